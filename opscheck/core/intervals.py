"""Rates of counters between two runs, and growth over a day or a week."""

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
    Base of expectations about counters: judged by the increase between two runs.

    Its query has `remembered=True`, and the function `interval` finds the earlier sample.
    """

    interval: Timeout = Duration(60)
    """
    Minimum time over which counters are compared: with the newest sample of at least that age.

    Samples are kept between runs in the state file, `--state FILE`.
    """
    first_sample: Literal["unknown", "lifetime"] = "unknown"
    """
    Verdict without an earlier sample: `unknown`, or judged over the whole `lifetime` of the counters, which hides
    new problems behind months without one.
    """


class Counted(Protocol):
    """An answer with counters. It may also have `counting_since`, the time of their last reset."""

    @property
    def epoch(self) -> str:
        """Identifies the reset and the server of its counters; only counters of the same epoch are compared."""
        ...


C = TypeVar("C", bound=Counted)
A = TypeVar("A")


@dataclass(frozen=True)
class Interval(Generic[C]):
    """Two answers and the time between them."""

    now: C
    earlier: C | None
    """None when the policy judges the lifetime: the counters now are the whole count."""
    seconds: float | None
    """Time between them in seconds; None for a lifetime with an unknown start."""

    @property
    def text(self) -> str:
        """The interval as a finding shows it: `over 5m`."""
        since = "since its counters began"
        if self.earlier is not None and self.seconds is not None:
            return f"over {format_duration(self.seconds)}"
        return since if self.seconds is None else f"{since}, {format_duration(self.seconds)} ago"


def interval(expectation: OverInterval, query: Query[C], observe: Observe) -> Interval[C]:
    """
    The current answer to `query`, and the newest earlier answer with comparable counters.

    That is one at least `expectation.interval` old whose counters have not been reset since. Raises CouldNotObserve
    without one, unless the policy judges the lifetime.
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
    The earlier sample whose age is closest to `age`, in seconds, for growth over a day or a week.

    None without a sample between half and twice that age: growth over an hour does not predict a week.
    `any_epoch` is for values that a reset of counters does not change, such as a size.
    """
    _must_be_remembered(query)
    observation = observe.observation(query)
    samples = observe.earlier(query)
    if not any_epoch:
        samples = _of_epoch(samples, observe(query).epoch)
    near = [sample for sample in samples if age / 2 <= _age(sample, observation) <= age * 2]
    return min(near, key=lambda sample: abs(_age(sample, observation) - age), default=None)


def no_sample_aged(observe: Observe, query: Query[Any], age: float) -> CouldNotObserve:
    """The exception to raise when a check needs the sample that `sample_aged` did not find."""
    observation = observe.observation(query)
    needed = f"{format_duration(age)} is needed"
    if observation.forgotten:
        return _first_sample(query, observation.forgotten)
    if not observation.earlier:
        return _first_sample(query, f"no earlier sample; one of about {needed}")
    ages = " and ".join(
        dict.fromkeys(format_duration(_age(observation.earlier[place], observation)) for place in (-1, 0))
    )
    return _first_sample(query, f"earlier samples are {ages} old; one of about {needed}")


def _must_be_remembered(query: Query[Any]) -> None:
    if not query.remembered:  # without it every sample would be the first
        raise TypeError(f"{type(query).__name__} is not remembered; define it with remembered=True")


def _why_not(now: Counted, observation: Observation, same: Sequence[Sample[Any]], least_s: float) -> str:
    least = f"counters need an interval of {format_duration(least_s)}"
    if observation.forgotten:
        return observation.forgotten
    if not observation.earlier:
        return f"no earlier sample; {least}"
    reset = _reset(now, observation, same)
    if not same:
        return f"counters were reset {reset}; {least}"
    oldest = f"the oldest sample {'since then ' if reset else ''}is {format_duration(_age(same[0], observation))} old"
    return f"{f'counters were reset {reset}; ' if reset else ''}{oldest}; {least}"


def _reset(now: Counted, observation: Observation, same: Sequence[Sample[Any]]) -> str:
    """Time of the counters' reset, as exactly as known; empty without a reset."""
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
