"""Of many runs a few samples stay, and one is found for every age that is asked for."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opscheck.gathering.retention import OLDEST, RATIO, SHORTEST, thinned

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
MOST = 22
"""Every second sample is three times as old as the one before it, up to 40 days."""

ages = st.lists(st.timedeltas(timedelta(0), timedelta(days=60)), min_size=1, max_size=200)


def after_runs(every: timedelta, count: int) -> list[timedelta]:
    """The ages of what is left, youngest first, when a run was made so often and each thinned what it found."""
    kept: set[datetime] = set()
    now = NOW
    for _ in range(count):
        now += every
        kept = thinned(kept | {now}, now)
    return sorted(now - time for time in kept)


@given(ages)
def test_newest_sample_is_kept(ages):
    taken = {NOW - age for age in [*ages, timedelta(0)]}

    kept = thinned(taken, NOW)

    assert max(taken) in kept
    assert kept <= taken


@given(ages)
def test_number_and_age_of_kept_samples_are_bounded(ages):
    kept = thinned({NOW - age for age in ages}, NOW)

    assert len(kept) <= MOST
    assert all(NOW - time <= OLDEST for time in kept)


@given(ages)
def test_gaps_between_kept_samples_are_bounded(ages):
    taken = sorted({NOW - age for age in ages if age <= OLDEST}, reverse=True)

    kept = sorted(thinned(taken, NOW), reverse=True)

    for younger, older in pairwise(kept):
        neighbours = taken.index(older) == taken.index(younger) + 1
        assert neighbours or younger - older <= (RATIO - 1) * max(NOW - younger, SHORTEST)


@given(ages)
def test_thinning_twice_equals_thinning_once(ages):
    once = thinned({NOW - age for age in ages}, NOW)

    assert once == thinned(once, NOW)


@given(st.integers(30, 7200), st.integers(2, 300), st.data())
def test_sample_is_close_to_each_age_for_any_schedule(seconds, count, data):
    every = timedelta(seconds=seconds)
    left = after_runs(every, count)
    asked = timedelta(seconds=data.draw(st.integers(60, max(60, seconds * (count - 1)))))

    found = [age for age in left if age >= asked]

    if asked <= every * (count - 1):
        assert found
        assert found[0] <= max(RATIO * asked, asked + every)


@pytest.mark.parametrize(
    ("every", "runs", "asked"),
    [
        (MINUTE, 3 * 1440, MINUTE),
        (MINUTE, 3 * 1440, DAY),
        (HOUR, 24 * 45, DAY),
        (HOUR, 24 * 45, 7 * DAY),
        (DAY, 60, DAY),
        (DAY, 60, 7 * DAY),
        (DAY, 60, 30 * DAY),
    ],
    ids=["minutely-minute", "minutely-day", "hourly-day", "hourly-week", "daily-day", "daily-week", "daily-month"],
)
def test_cron_finds_a_sample_between_half_and_twice_the_age(every, runs, asked):
    left = after_runs(every, runs)

    assert [age for age in left if asked / 2 <= age <= asked * 2]
    assert len(left) <= MOST


def test_a_month_of_samples_is_not_lost_when_the_clock_goes_back_a_year():
    taken = {NOW - age for age in (timedelta(0), HOUR, DAY)}

    kept = thinned(taken | {NOW - 365 * DAY}, NOW - 365 * DAY)

    assert taken | {NOW - 365 * DAY} == kept


def test_a_sample_of_just_forty_days_stays_and_an_older_one_goes():
    assert {NOW, NOW - OLDEST} == thinned([NOW, NOW - OLDEST, NOW - OLDEST - MINUTE], NOW)
