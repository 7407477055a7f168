"""What a drill has shown: why there was none, what ended it, and which assertions do not hold."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from opscheck.core.units import format_duration, format_value
from opscheck.systems.backup.expectations.buckets import named
from opscheck.systems.backup.expectations.series import Series
from opscheck.systems.backup.readings.stores import address_of
from opscheck.systems.recovery.expectations.drill import DrillAssertion, RestoreDrill
from opscheck.systems.recovery.queries import BROKEN, EMPTY, NEWER, PHASES, REFUSED, Asserted, Drill
from opscheck.systems.recovery.readings.outcome import age_s, ahead
from opscheck.systems.stores.target import FolderTarget

_DAMAGED = frozenset({BROKEN, EMPTY, REFUSED})
_NOT_ASKED = Asserted(name="", problem="it was not asked")


@dataclass(frozen=True)
class Fault:
    """One thing that is not as it should be."""

    observed: str
    expected: str
    facts: dict[str, str] = field(default_factory=dict)


def nothing_to_restore(expectation: RestoreDrill, series: Series) -> Fault:
    """There is no backup: a drill cannot even begin, as a recovery could not."""
    target, listing = expectation.target, series.listing
    prefix = series.prefix
    seen = listing.examples or listing.elsewhere
    others = f"; there are others, such as {', '.join(seen[:3])}" if seen else ""
    if isinstance(target, FolderTarget):
        facts = {"folder": address_of(target, prefix.rpartition("/")[0]).rstrip("/")}
    else:
        facts = named(target, {"listed": address_of(target, prefix)})
    return Fault(f"no backup is there{others}", f"one named {series.template}", facts)


def ended(expectation: RestoreDrill, drill: Drill) -> Fault | None:
    """What ended the drill early; None where nothing did."""
    failure = drill.failure
    if failure is None:
        return None
    facts = {}
    if failure.trouble in _DAMAGED:
        facts = _where(expectation, drill.key)
    elif failure.trouble == NEWER and drill.dumped_from:
        facts = {"newer": drill.dumped_from}
    return Fault(f"{failure.phase}: {failure.text}", "restored and asked", facts)


def broken(expectation: RestoreDrill, drill: Drill) -> Iterator[tuple[str, Fault]]:
    """The assertions that do not hold, by name."""
    asserted = {one.name: one for one in drill.assertions}
    for assertion in expectation.assertions:
        answer = asserted.get(assertion.name, _NOT_ASKED)
        if observed := _against(assertion, drill, answer):
            yield assertion.name, Fault(observed, _limits(assertion), _question(assertion.sql))


def newest_fault(expectation: RestoreDrill, drill: Drill) -> Fault | None:
    """That there is no newest row; None where there is one, or none was asked for."""
    if not drill.newest_problem or expectation.newest is None:
        return None
    return Fault(drill.newest_problem, "the time of the newest row", _question(expectation.newest))


def evidence(drill: Drill) -> list[str]:
    """What was restored into what, how long each phase took, and what was left out."""
    made_of = ", ".join(filter(None, [drill.made_of, drill.dumped_from and f"from PostgreSQL {drill.dumped_from}"]))
    lines = [f"backup: {made_of}"] if made_of else []
    if drill.server:
        lines.append(f"restored into PostgreSQL {drill.server}")
    lines += [f"left out, as the scratch server lacks it: {', '.join(drill.missing)}"] if drill.missing else []
    return [*lines, *([f"phases: {phases(drill)}"] if drill.phases else [])]


def phases(drill: Drill) -> str:
    """How long each phase took, in words."""
    return ", ".join(f"{phase.name} {format_duration(phase.seconds)}" for phase in drill.phases if phase.name in PHASES)


def number_of(drill: Drill, asserted: Asserted) -> tuple[float, str] | None:
    """What an assertion yielded as a number with its unit: of a time, its age. None where there is none."""
    if asserted.time is not None:
        return age_s(drill, asserted.time), "s"
    return (asserted.number, "") if asserted.number is not None else None


def _against(assertion: DrillAssertion, drill: Drill, asserted: Asserted) -> str:
    """What was observed where that breaks the assertion; empty where it holds."""
    limits = assertion.limits()
    if asserted.problem:
        return asserted.problem
    if asserted.time is not None:
        age = age_s(drill, asserted.time)
        if future := ahead(drill, asserted.time):
            return future
        return f"{format_duration(age)} old" if limits.newest_within_s is None or age > limits.newest_within_s else ""
    number = asserted.number
    if number is None:  # a snapshot of another policy, which asked for a time
        return "no number"
    low = limits.at_least is not None and number < limits.at_least
    high = limits.at_most is not None and number > limits.at_most
    return format_value(number) if low or high else ""


def _limits(assertion: DrillAssertion) -> str:
    return str(assertion).removeprefix(assertion.name).strip()


def _question(sql: str) -> dict[str, str]:
    if "--" in sql and "\n" in sql:
        return {}
    return {"question": " ".join(line.strip() for line in sql.splitlines())}


def _where(expectation: RestoreDrill, key: str) -> dict[str, str]:
    address = address_of(expectation.target, key)
    if isinstance(expectation.target, FolderTarget):
        return {"damaged_file": address}
    return named(expectation.target, {"damaged": address})
