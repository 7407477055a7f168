"""Whether a drill has passed, by the mildest of its policy's limits. It is kept with the drill."""

from collections.abc import Iterator
from datetime import datetime

from opscheck.core.units import format_duration, format_value
from opscheck.systems.recovery.queries import Asserted, Drill
from opscheck.systems.recovery.target import AssertionLimits, DrillLimits

_CLOCKS_S = 900.0
"""How far the clocks may be apart of where a backup was made and where it is restored."""


def reasons(drill: Drill, limits: DrillLimits) -> tuple[str, ...]:
    """Why it has not passed; nothing where it has."""
    if drill.failure is not None:
        return (f"{drill.failure.phase}: {drill.failure.text}",)
    return tuple(_reasons(drill, limits))


def age_s(drill: Drill, at: datetime) -> float:
    """How old something is that was there at that time, when the drill began."""
    return (drill.began_at - at).total_seconds()


def ahead(drill: Drill, at: datetime) -> str:
    """How far in the future a time lies, in words; empty where it does not. What is to come is no young one."""
    seconds = -age_s(drill, at)
    return f"in the future: {format_duration(seconds)} ahead of the drill" if seconds > _CLOCKS_S else ""


def _reasons(drill: Drill, limits: DrillLimits) -> Iterator[str]:
    recovered, most = drill.recovered_s, limits.recovered_within_s
    if recovered is not None and most is not None and recovered > most:
        yield f"recovered in {format_duration(recovered)}, at most {format_duration(most)}"
    for what, at in (("the backup's data", drill.data_time), ("the newest row", drill.newest)):
        if at is not None:
            yield from _too_old(drill, what, at, limits.newest_within_s)
    if drill.newest_problem:
        yield f"the newest row: {drill.newest_problem}"
    for asserted in drill.assertions:
        yield from _broken(drill, asserted, limits.assertions.get(asserted.name, AssertionLimits()))
    if drill.amcheck not in {"", "sound"}:
        yield f"pg_amcheck: {drill.amcheck}"
    if drill.amcheck_missing:
        yield f"tables and indexes were not verified: {drill.amcheck_missing}"


def _too_old(drill: Drill, what: str, at: datetime, most: float | None) -> Iterator[str]:
    age = age_s(drill, at)
    if future := ahead(drill, at):
        yield f"{what} is {future}"
    if most is not None and age > most:
        yield f"{what} is {format_duration(age)} old, at most {format_duration(most)}"


def _broken(drill: Drill, asserted: Asserted, limits: AssertionLimits) -> Iterator[str]:
    if asserted.problem:
        yield f"{asserted.name}: {asserted.problem}"
    if asserted.time is not None:
        yield from _too_old(drill, asserted.name, asserted.time, limits.newest_within_s)
    number = asserted.number
    if number is None:
        return
    if limits.at_least is not None and number < limits.at_least:
        yield f"{asserted.name} {format_value(number)}, at least {format_value(limits.at_least)}"
    if limits.at_most is not None and number > limits.at_most:
        yield f"{asserted.name} {format_value(number)}, at most {format_value(limits.at_most)}"
