"""What has been counted between two runs, and what was there a day or a week ago."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, Literal, Protocol, TypeVar

from opscheck.core.expectation import Expectation
from opscheck.core.findings import Observe
from opscheck.core.observation import CouldNotObserve, Observation, Problem, ProblemKind, Sample
from opscheck.core.query import Query
from opscheck.core.units import Duration, Timeout, format_duration


class OverInterval(Expectation):
    """
    Judged by what has been counted between two runs; inherit it, also beside another base.

    Its query is one that is remembered, and `interval` below finds the earlier sample.
    """

    interval: Timeout = Duration(60)
    """
    Over how long counters are compared at least: with the newest sample that is so old or older.

    Samples are kept from run to run in the file that `--state` names.
    """
    first_sample: Literal["unknown", "lifetime"] = "unknown"
    """
    What is said while there is no earlier sample to compare with: `unknown`, or a judgement over the counters' whole
    `lifetime`, which hides what is wrong now behind what was well for months.
    """


class Counted(Protocol):
    """An answer with counters. It may also know `counting_since`, the time at which they were nothing."""

    @property
    def epoch(self) -> str:
        """Since when, or where, its counters count; they compare with those of the same epoch alone."""
        ...


C = TypeVar("C", bound=Counted)
A = TypeVar("A")


@dataclass(frozen=True)
class Interval(Generic[C]):
    """Two answers and the time between them."""

    now: C
    earlier: C | None
    """None where the policy chose to judge the lifetime: what is counted now is all that has been counted."""
    seconds: float | None
    """How long lies between them; None for a lifetime whose beginning the answer does not know."""

    @property
    def text(self) -> str:
        """The interval as a finding shows it: `over 5m`."""
        since = "since its counters began"
        if self.earlier is not None and self.seconds is not None:
            return f"over {format_duration(self.seconds)}"
        return since if self.seconds is None else f"{since}, {format_duration(self.seconds)} ago"


def interval(expectation: OverInterval, query: Query[C], observe: Observe) -> Interval[C]:
    """
    What `query` was answered now, and the newest earlier answer that its counters can be compared with.

    That is one at least `expectation.interval` old whose counters have not been reset since. Raises CouldNotObserve
    when there is none, unless the policy chose to judge the lifetime.
    """
    _must_be_remembered(query)
    now = observe(query)
    observation = observe.observation(query)
    same = _of_epoch(observation.earlier, now.epoch)
    for sample in reversed(same):
        seconds = _age(sample, observation)
        if seconds >= expectation.interval:
            return Interval(now, sample.answer, seconds)
    if expectation.first_sample == "lifetime":
        since = _counting_since(now)
        lifetime = None if since is None else max(0.0, (observation.taken_at - since).total_seconds())
        return Interval(now, None, lifetime)
    raise _first_sample(query, _why_not(now, observation, same, float(expectation.interval)))


def sample_aged(observe: Observe, query: Query[C], age: float, *, any_epoch: bool = False) -> Sample[C] | None:
    """
    The earlier sample whose age is nearest to `age`, in seconds, for growth over a day or a week.

    None when there is none between half as old and twice as old: growth over an hour says nothing of a week.
    `any_epoch` is for what a reset of counters does not change, such as a size.
    """
    _must_be_remembered(query)
    observation = observe.observation(query)
    samples = observe.earlier(query)
    if not any_epoch:
        samples = _of_epoch(samples, observe(query).epoch)
    near = [sample for sample in samples if age / 2 <= _age(sample, observation) <= age * 2]
    return min(near, key=lambda sample: abs(_age(sample, observation) - age), default=None)


def no_sample_aged(observe: Observe, query: Query[Any], age: float) -> CouldNotObserve:
    """What to raise where a check cannot be judged without the sample that `sample_aged` did not find."""
    observation = observe.observation(query)
    asked = f"{format_duration(age)} is compared with"
    if observation.forgotten:
        return _first_sample(query, observation.forgotten)
    if not observation.earlier:
        return _first_sample(query, f"nothing earlier is known; a sample of about {asked}")
    ages = " and ".join(
        dict.fromkeys(format_duration(_age(observation.earlier[place], observation)) for place in (-1, 0))
    )
    return _first_sample(query, f"its earlier samples are {ages} old, and one of about {asked}")


def _must_be_remembered(query: Query[Any]) -> None:
    if not query.remembered:  # or its first sample would be the first forever
        raise TypeError(f"{type(query).__name__} is not remembered; say so where it is defined: remembered=True")


def _why_not(now: Counted, observation: Observation, same: Sequence[Sample[Any]], least_s: float) -> str:
    least = f"compared over {format_duration(least_s)} at least"
    if observation.forgotten:
        return observation.forgotten
    if not observation.earlier:
        return f"nothing earlier is known; counters are {least}"
    reset = _reset(now, observation, same)
    if not same:
        return f"its counters were reset {reset}, and are {least}"
    oldest = f"its oldest sample {'since then ' if reset else ''}is {format_duration(_age(same[0], observation))} old"
    return f"{f'its counters were reset {reset}; ' if reset else ''}{oldest}, and counters are {least}"


def _reset(now: Counted, observation: Observation, same: Sequence[Sample[Any]]) -> str:
    """When the counters were reset, as exactly as is known; empty when they were not."""
    others = [sample for sample in observation.earlier if sample not in same]
    if not others:
        return ""
    since = _counting_since(now)
    if since is not None:
        return f"at {_moment(since)}"
    last, first = others[-1].taken_at, same[0].taken_at if same else observation.taken_at
    return f"between {_moment(last)} and {_moment(first)}"


def _of_epoch(samples: Sequence[Sample[C]], epoch: str) -> tuple[Sample[C], ...]:
    return tuple(sample for sample in samples if sample.answer.epoch == epoch)


def _age(sample: Sample[Any], observation: Observation) -> float:
    return (observation.taken_at - sample.taken_at).total_seconds()


def _counting_since(answer: Counted) -> datetime | None:
    since: datetime | None = getattr(answer, "counting_since", None)
    return since


def _moment(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M:%S} UTC"


def _first_sample(query: Query[Any], text: str) -> CouldNotObserve:
    return CouldNotObserve(query, Problem(kind=ProblemKind.FIRST_SAMPLE, text=f"first sample: {text}"))
