"""What a target wrote, as harmless text."""

import unicodedata

import pytest

from opscheck.core.escaping import visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, ä, 日本, 🎉, ⚠\ufe0f", "plain, ä, 日本, 🎉, ⚠\ufe0f"),
        ("two\nlines\t\r", r"two\nlines\t\r"),
        ("\x1b[31m\x9b\x7f\x00", r"\x1b[31m\x9b\x7f\x00"),
        ("user\u202egnp.exe", r"user\u202egnp.exe"),
        ("a\u200bb\ufeffc\u3164d", r"a\u200bb\ufeffc\u3164d"),
        ("\udcff", r"\udcff"),
        ("\U000e0041", r"\U000e0041"),
    ],
)
def test_invisible_characters_are_escaped(text, shown):
    assert shown == visible(text)


def test_control_format_and_line_end_characters_are_escaped():
    hidden = [
        chr(code) for code in range(0x110000) if unicodedata.category(chr(code)) in {"Cc", "Cf", "Cs", "Zl", "Zp"}
    ]

    assert [] == [character for character in hidden if visible(character) == character]
