"""Lists, counts and times as findings say them."""

from datetime import UTC, datetime, timedelta

import pytest

from opscheck.core.words import counted, some, some_lines, some_with_reasons
from opscheck.systems.kubernetes.words import lasting, longer_than, span

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(("names", "said"), [("", ""), ("abc", "a, b, c"), ("abcde", "a, b, c, d, e")])
def test_short_list_is_complete(names, said):
    assert said == some(names)


def test_rest_of_a_long_list_is_counted():
    assert "a, b and 2 more" == some("abcd", 2)
    assert "a; b and 1 more" == some("abc", 2, between="; ")
    assert ["A", "and 2 more"] == list(some_lines("abc", str.upper, 1))
    assert ["A", "B"] == list(some_lines("ab", str.upper, 2))


def test_reasons_are_in_the_order_of_the_names():
    assert "a (old), b (new)" == some_with_reasons({"b": "new", "a": "old"})


def test_one_is_singular_and_zero_is_plural():
    assert ["0 pods", "1 pod", "2 pods"] == [counted(count, "pod") for count in range(3)]


def test_object_without_a_time_has_no_grace():
    assert longer_than(60, None, NOW)
    assert not longer_than(60, NOW - timedelta(seconds=60), NOW)
    assert longer_than(60, NOW - timedelta(seconds=61), NOW)


def test_future_time_has_not_lasted():
    assert (" for 20m", "", "") == (
        lasting(NOW - timedelta(minutes=20), NOW),
        lasting(None, NOW),
        lasting(NOW + timedelta(minutes=1), NOW),
    )
    assert "0s" == span(NOW + timedelta(minutes=1), NOW)
