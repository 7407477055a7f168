"""How long a version of PostgreSQL is maintained, and which is its newest release."""

from collections.abc import Iterator
from datetime import date, datetime
from typing import Any

from opscheck.core.findings import Observe
from opscheck.core.observation import CouldNotObserve, Problem, ProblemKind
from opscheck.core.units import Duration, Graded
from opscheck.systems.postgres.readings.facts import Number
from opscheck.systems.postgres.settings import PostgresSettings, ServerState

KNOWN_ON = date(2026, 8, 13)
"""The day of the newest releases below; whoever edits them sets it."""
_END_OF_LIFE = {
    12: date(2024, 11, 21),
    13: date(2025, 11, 13),
    14: date(2026, 11, 12),
    15: date(2027, 11, 11),
    16: date(2028, 11, 9),
    17: date(2029, 11, 8),
    18: date(2030, 11, 14),
}
# Some numbers were never released, and are behind nobody's server: 18.5.
_NEWEST = {12: 22, 13: 23, 14: 24, 15: 19, 16: 15, 17: 11, 18: 6}
_NEVER_RELEASED = {18: {5}}
# Minor releases come every three months; the end of a major version is fixed when it begins.
_NEWEST_KNOWN_FOR, _END_KNOWN_FOR = 183, 730
_SECONDS = 86_400


def end_of_life(expectation: PostgresSettings, observe: Observe) -> Iterator[Number]:
    """For how long the major version is still maintained. Raises CouldNotObserve where nobody knows."""
    if expectation.end_of_life is None:
        return
    state = observe(expectation.state)
    release = expectation.releases.get(state.major)
    own = release.end_of_life if release else None
    end = own or _END_OF_LIFE.get(state.major)
    if end is None:
        raise _nobody_knows(expectation, f"when the end of PostgreSQL {state.major} is", "end_of_life")
    left = Duration((end - observe.now.date()).days * _SECONDS)
    number = _number(state, "time until its end of life", left, expectation.end_of_life, detail=f"on {end}")
    yield number
    if own is None and _is_stale(number, observe.now, _END_KNOWN_FOR):
        raise _stale(expectation, "ends of life", "end_of_life")


def minor_releases(expectation: PostgresSettings, observe: Observe) -> Iterator[Number]:
    """How many releases the server is behind. Raises CouldNotObserve where nobody knows."""
    if expectation.minor_releases_behind is None:
        return
    state = observe(expectation.state)
    release = expectation.releases.get(state.major)
    own = release.newest_minor if release else None
    newest = own or _NEWEST.get(state.major)
    if newest is None:
        raise _nobody_knows(expectation, f"which is the newest release of {state.major}", "newest_minor")
    newer = set(range(state.minor + 1, newest + 1)) - _NEVER_RELEASED.get(state.major, set())
    limit, detail = expectation.minor_releases_behind, f"the newest known is {state.major}.{newest}"
    number = _number(state, "minor releases behind", len(newer), limit, detail=detail)
    yield number
    if own is None and _is_stale(number, observe.now, _NEWEST_KNOWN_FOR):
        raise _stale(expectation, "minor releases", "newest_minor")


def _number(state: ServerState, name: str, observed: float, limit: Graded[Any], *, detail: str) -> Number:
    unit = Duration.unit if isinstance(observed, Duration) else ""
    subject = f"PostgreSQL {state.major}.{state.minor}"
    return Number(name=name, observed=observed, limit=limit, subject=subject, detail=detail, unit=unit)


def _is_stale(number: Number, now: datetime, days: int) -> bool:
    """True where what passes might not, had somebody looked lately."""
    passes = number.limit is None or number.limit.severity(number.observed) is None
    return passes and (now.date() - KNOWN_ON).days > days


def _stale(expectation: PostgresSettings, what: str, field: str) -> CouldNotObserve:
    text = f"what opscheck knows of {what} is of {KNOWN_ON}, and too old to pass anything"
    return _missing(expectation, text, f"a newer opscheck knows more, or say its `{field}` in `releases`")


def _nobody_knows(expectation: PostgresSettings, what: str, field: str) -> CouldNotObserve:
    return _missing(expectation, f"opscheck does not know {what}", f"set its `{field}` in `releases`")


def _missing(expectation: PostgresSettings, text: str, advice: str) -> CouldNotObserve:
    return CouldNotObserve(expectation.state, Problem(kind=ProblemKind.UNSUPPORTED, text=text, advice=advice))
