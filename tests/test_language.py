"""The text of the project is plain English: tests/language.py has the rules."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.language import Kind, Text, complaints, names_of_tests, texts

ROOT = Path(__file__).resolve().parent.parent
QUOTED = ROOT / "opscheck" / "demo" / "kubernetes" / "statuses.py"
"""Messages of a real API server, word for word."""
GENERATED = ROOT / "docs" / "checks"
READ_BY_USERS = ("opscheck", "checks", "docs", "policies", "examples", "README.md", "CHANGELOG.md")


def _texts(*names: str) -> Iterator[Text]:
    for name in names:
        for path in [ROOT / name] if (ROOT / name).is_file() else sorted((ROOT / name).rglob("*")):
            if path.suffix in {".py", ".md", ".yaml"} and path != QUOTED and GENERATED not in path.parents:
                yield from texts(path, ROOT)


@pytest.mark.parametrize("name", READ_BY_USERS)
def test_text_that_users_read_is_plain_english(name):
    found = [complaint for text in _texts(name) for complaint in complaints(text)]

    assert not found, "\n".join([f"{len(found)} texts to rewrite", *found])


def test_test_names_are_plain_english():
    names = (text for path in sorted((ROOT / "tests").rglob("test_*.py")) for text in names_of_tests(path, ROOT))
    found = [complaint for text in names for complaint in complaints(text)]

    assert not found, "\n".join([f"{len(found)} names to rewrite", *found])


@pytest.mark.parametrize(
    ("kind", "words", "better"),
    [
        (Kind.STRING, "the server is no primary", "is not a"),
        (Kind.STRING, "nobody listens on port {}", "the name of the component"),
        (Kind.STRING, "1 clients wait", "the singular"),
        (Kind.FIELD, "How long a query may take.", "the noun or the verb"),
        (Kind.DOCSTRING, "Whether it is ready.", "the noun or the verb"),
        (Kind.PROSE, "waits for 17h14s", "two adjacent units"),
        (Kind.PROSE, " ".join(["word"] * 26), "sentence of 26 words"),
        (Kind.TEST_NAME, "what_is_late_is_reported", "subject, condition, result"),
        (Kind.TEST_NAME, "n" * 71, "71 characters"),
    ],
)
def test_text_that_breaks_a_rule_is_named_with_the_better_pattern(kind, words, better):
    (complaint,) = complaints(Text(kind, "file.py:1", words))

    assert complaint.startswith("file.py:1: ")
    assert better in complaint


def test_text_of_a_file_has_its_kind_and_line(tmp_path):
    path = tmp_path / "sample.py"
    path.write_text('"""Module."""\n\nLIMIT = 5\n"""Rows."""\n\n\ndef test_it():\n    return f"{LIMIT} rows"\n')

    found = [*texts(path, tmp_path), *names_of_tests(path, tmp_path)]

    assert [(text.kind, text.place, text.words) for text in found] == [
        (Kind.DOCSTRING, "sample.py:1", "Module."),
        (Kind.FIELD, "sample.py:4", "Rows."),
        (Kind.STRING, "sample.py:8", "{} rows"),
        (Kind.TEST_NAME, "sample.py:7", "it"),
    ]


def test_long_command_is_not_a_long_sentence():
    assert list(complaints(Text(Kind.STRING, "file.py:1", "psql {{ dsn }} " + "word " * 40))) == []
