"""Text for a terminal."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opscheck.reports.text import (
    command_lines,
    cut,
    cuts_word,
    distance,
    for_job_log,
    lines_of,
    moment,
    one_line,
    padded,
    width_of,
    without_workflow_commands,
    wrapped,
)

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def test_a_wide_character_takes_two_columns_and_a_combining_one_none():
    assert 4 == width_of("日本")
    assert 1 == width_of("e\u0301")
    assert "日本  " == padded("日本", 6)


def test_truncated_text_ends_with_an_ellipsis():
    assert "abcd" == cut("abcd", 4)
    assert "abc…" == cut("abcde", 4)
    assert "日…" == cut("日本語", 4)


def test_prose_is_broken_between_words():
    assert ["one two", "three"] == wrapped("one two three", 8)


def test_a_word_wider_than_a_line_is_broken_inside():
    assert ["see", "aaaa", "aaaa", "aa"] == wrapped("see aaaaaaaaaa", 4)


@given(st.text(st.characters(exclude_categories=("C", "Z", "M")), max_size=60), st.integers(2, 20))
def test_wrapped_lines_fit_and_lose_nothing(text, width):
    lines = wrapped(text, width)

    assert all(width_of(line) <= width for line in lines)
    assert text == "".join(lines)
    assert width_of(cut(text, width)) <= width


@given(st.text())
def test_page_escapes_control_characters(text):
    shown = one_line(text) + "".join(lines_of(text))

    assert not any(character in shown for character in "\n\r\x1b\x07\x00\u202e\u200b\u2066\x9b")


def test_control_sequence_is_escaped():
    assert r"\x1b[31mred\u202e" == one_line("\x1b[31mred\u202e")
    assert ["a", r"\x1b[2Jb"] == lines_of("a\n\n\x1b[2Jb\n")


def test_a_command_keeps_its_lines_and_tabs():
    assert ["cat <<-E", "\ta  b", r"\x07", "E"] == command_lines("cat <<-E\n\ta  b\n\x07\nE\n")


def test_a_time_of_another_day_shows_its_date():
    assert "09:47 UTC" == moment(datetime(2026, 3, 1, 9, 47, tzinfo=UTC), NOW)
    assert "2026-02-28 09:47 UTC" == moment(datetime(2026, 2, 28, 9, 47, tzinfo=UTC), NOW)


@pytest.mark.parametrize(("seconds", "said"), [(0, "now"), (900, "in 15m"), (-7980, "2h13m ago"), (-0.2, "now")])
def test_distance_of_a_time_from_now(seconds, said):
    assert said == distance(NOW + timedelta(seconds=seconds), NOW)


def test_cut_is_between_words_where_it_can_be():
    assert "one two…" == cut("one two, three", 12)
    assert "one two…" == cut("one two three", 8)
    assert "a cccccccc…" == cut("a cccccccccccccc", 11)


@pytest.mark.parametrize("text", ["::set-output name=a::b", "  ::add-mask::x", "a\n\t::error::b", "x ##[group]y"])
def test_github_reads_no_command_in_the_output(text):
    shown = without_workflow_commands(text)

    assert not re.search(r"^\s*::|##\[", shown, re.MULTILINE)
    assert text == shown.replace(r"\x3a", ":").replace(r"\x23", "#")


def test_colons_inside_a_line_stay():
    assert "redis on ::1" == without_workflow_commands("redis on ::1")


MARKS = st.sampled_from(
    ["::", "##[", "##VSO[", "section_start:", "section_end:", "\r", "\n", "\x1b[0K", " ", "x", "\t", ":"]
)


@given(text=st.lists(MARKS | st.text(max_size=3)).map("".join))
def test_no_job_log_reads_a_command_in_captured_text(text):
    shown = for_job_log(text)

    assert not re.search(r"^\s*::|##\[|##vso\[|section_(start|end):", shown, re.MULTILINE | re.IGNORECASE)
    assert not set(shown) & {"\r", "\x1b"}
    assert len(shown.split("\n")) == len(text.split("\n"))


@given(words=st.lists(st.text("abc", min_size=1, max_size=9), min_size=1), width=st.integers(20, 120))
def test_short_words_are_never_cut(words, width):
    text = " ".join(words)
    shown = cut(text, width)

    assert not cuts_word(text, shown)
    assert width_of(shown) <= width
    assert text.startswith(shown.removesuffix("…"))
