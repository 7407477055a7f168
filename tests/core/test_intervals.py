"""Counters are compared with an earlier sample of the same count, or not at all."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from opscheck.core.intervals import OverInterval, interval, no_sample_aged, sample_aged
from opscheck.core.observation import CouldNotObserve, Problem, ProblemKind, Sample
from opscheck.core.query import Query
from opscheck.testing import Answers, expect

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
HOUR, DAY = 3600.0, 86400.0


class Turns(msgspec.Struct, frozen=True, kw_only=True):
    """How often a wheel has turned."""

    turns: int
    epoch: str = "wheel 1"
    counting_since: datetime | None = None


@dataclass(frozen=True)
class CountTurns(Query[Turns], remembered=True):
    """Asks how often the wheel has turned."""


class Turning(OverInterval):
    """The wheel turns."""


ASKED = CountTurns(target="mill")
NOW = Turns(turns=100)


def aged(seconds: float, turns: int = 40, **fields: Any) -> Sample[Turns]:
    return Sample(taken_at=NOON - timedelta(seconds=seconds), answer=Turns(turns=turns, **fields))


def observing(*earlier: Sample[Turns], now: Turns = NOW) -> Answers:
    return Answers({ASKED: now}, NOON, {ASKED: earlier})


def over(observe: Answers, **fields: Any):
    """The interval that an expectation with these fields is judged over."""
    return interval(expect(Turning, severity="P2", **fields), ASKED, observe)


def over_it(observe: Answers, query: CountTurns):
    return interval(expect(Turning, severity="P2"), query, observe)


def reason(observe: Answers, **fields: Any) -> str:
    """Why there is nothing to compare with."""
    with pytest.raises(CouldNotObserve) as caught:
        over(observe, **fields)
    assert ProblemKind.FIRST_SAMPLE is caught.value.problem.kind
    assert ASKED is caught.value.query
    return caught.value.problem.text


def test_newest_old_enough_sample_is_compared():
    found = over(observing(aged(600, 10), aged(90, 40), aged(12, 99)))

    assert (40, 100, 90.0) == (found.earlier.turns, found.now.turns, found.seconds)
    assert "over 1m30s" == found.text


def test_a_sample_of_just_the_interval_is_old_enough():
    assert 300.0 == over(observing(aged(300), aged(299)), interval="5m").seconds


def test_samples_of_another_epoch_are_ignored():
    found = over(observing(aged(600, 1), aged(90, 9000, epoch="wheel 0")))

    assert (1, 600.0) == (found.earlier.turns, found.seconds)


@pytest.mark.parametrize(
    ("observe", "text"),
    [
        (Answers({ASKED: NOW}, NOON), "no state file; run twice with --state FILE"),
        (observing(), "no earlier sample; counters need an interval of 1m"),
        (observing(aged(12)), "the oldest sample is 12s old; counters need an interval of 1m"),
        (
            observing(aged(90, epoch="wheel 0")),
            (
                "counters were reset between 2026-03-01 11:58:30 UTC and 2026-03-01 12:00:00 UTC; "
                "counters need an interval of 1m"
            ),
        ),
        (
            observing(aged(90, epoch="wheel 0"), now=Turns(turns=1, counting_since=NOON - timedelta(seconds=20))),
            "counters were reset at 2026-03-01 11:59:40 UTC; counters need an interval of 1m",
        ),
        (
            observing(aged(90, epoch="wheel 0"), aged(12)),
            (
                "counters were reset between 2026-03-01 11:58:30 UTC and 2026-03-01 11:59:48 UTC; "
                "the oldest sample since then is 12s old; counters need an interval of 1m"
            ),
        ),
    ],
    ids=["no-file", "nothing-yet", "too-young", "reset", "reset-at-a-known-time", "too-young-after-a-reset"],
)
def test_missing_sample_has_a_reason(observe, text):
    assert f"first sample: {text}" == reason(observe)


def test_policy_may_judge_the_lifetime_at_the_first_sample():
    counting = Turns(turns=100, counting_since=NOON - timedelta(days=2))

    known = over(observing(now=counting), first_sample="lifetime")
    unknown = over(observing(), first_sample="lifetime")

    assert (None, 100, 2 * DAY) == (known.earlier, known.now.turns, known.seconds)
    assert "since its counters began, 2d ago" == known.text
    assert (None, None, "since its counters began") == (unknown.earlier, unknown.seconds, unknown.text)


def test_lifetime_is_only_judged_without_a_sample():
    assert 90.0 == over(observing(aged(90)), first_sample="lifetime").seconds


def test_counter_that_began_in_the_future_has_lasted_0s():
    ahead = Turns(turns=1, counting_since=NOON + timedelta(minutes=5))

    assert 0.0 == over(observing(now=ahead), first_sample="lifetime").seconds


def test_missing_answer_is_not_a_first_sample():
    down = Answers({ASKED: Problem(kind=ProblemKind.UNREACHABLE, text="connection refused")}, NOON, {ASKED: [aged(90)]})

    with pytest.raises(CouldNotObserve, match="connection refused"):
        over(down)


@pytest.mark.parametrize("compare", [lambda observe, query: sample_aged(observe, query, DAY), over_it])
def test_query_without_remembered_is_an_error(compare):
    @dataclass(frozen=True)
    class Forgetful(Query[Turns]):
        """Asks, and does not keep the answer."""

    query = Forgetful(target="mill")

    with pytest.raises(TypeError, match="Forgetful is not remembered"):
        compare(Answers({query: NOW}, NOON, {query: [aged(90)]}), query)


def test_growth_uses_the_sample_closest_to_the_age():
    observe = observing(aged(3 * DAY, 1), aged(1.1 * DAY, 2), aged(0.8 * DAY, 3), aged(HOUR, 4))

    assert 2 == sample_aged(observe, ASKED, DAY).answer.turns


@pytest.mark.parametrize("age", [0.49 * DAY, 2.01 * DAY])
def test_growth_over_an_hour_or_a_month_is_not_used_for_a_day(age):
    assert sample_aged(observing(aged(age)), ASKED, DAY) is None


def test_size_is_compared_across_a_reset_of_counters():
    observe = observing(aged(DAY, 7, epoch="wheel 0"))

    assert sample_aged(observe, ASKED, DAY) is None
    assert 7 == sample_aged(observe, ASKED, DAY, any_epoch=True).answer.turns


@pytest.mark.parametrize(
    ("observe", "text"),
    [
        (Answers({ASKED: NOW}, NOON), "no state file; run twice with --state FILE"),
        (observing(), "no earlier sample; one of about 1d is needed"),
        (observing(aged(60)), "earlier samples are 1m old; one of about 1d is needed"),
        (
            observing(aged(600), aged(60)),
            "earlier samples are 1m and 10m old; one of about 1d is needed",
        ),
    ],
    ids=["no-file", "nothing-yet", "one", "several"],
)
def test_missing_sample_of_an_age_has_a_reason(observe, text):
    missing = no_sample_aged(observe, ASKED, DAY)

    assert (ProblemKind.FIRST_SAMPLE, f"first sample: {text}") == (missing.problem.kind, missing.problem.text)
