"""Restore drills of backups."""

from opscheck import Findings, Observe
from opscheck.core.observation import CouldNotObserve, Problem, ProblemKind
from opscheck.core.units import format_duration, format_value
from opscheck.systems.backup.series import Series, Suggestion, list_backups
from opscheck.systems.recovery.drill import (
    AGAIN,
    DAMAGED,
    DAMAGED_FILE,
    NEWER_DUMP,
    UNMET,
    DrillAssertion,
    RestoreDrill,
)
from opscheck.systems.recovery.drill_record import (
    BROKEN,
    EMPTY,
    NEWER,
    PHASES,
    REFUSED,
    Asserted,
    Drill,
    Failure,
    age_s,
    ahead,
)
from opscheck.systems.stores.target import FolderTarget

_DAMAGED = frozenset({BROKEN, EMPTY, REFUSED})
_NOT_ASKED = Asserted(name="", problem="it was not queried")


def test_the_newest_backup_is_restored(expectation: RestoreDrill, observe: Observe, findings: Findings) -> None:
    """
    The newest backup can be restored within the RTO, and contains the expected data.

    A truncated dump, a newer version or a missing table shows only in a restore. That should not be the first time the
    backup is needed.
    """
    series = expectation.chosen(observe)
    if series.newest is None:
        _report_no_backup(expectation, series, findings.on(expectation.target.name))
        return
    query = expectation.drill_of(series.newest)
    drill = observe(query)
    here = findings.on(drill.key)
    if drill.failure is not None:
        suggestion = _look_into(expectation, drill, drill.failure) + Suggestion((AGAIN,))
        observed = f"{drill.failure.phase}: {drill.failure.text}"
        here.add(observed=observed, expected="restored and queried", evidence=evidence(drill), **vars(suggestion))
        _measure(drill, here)
        return
    _judge_times(expectation, drill, here)
    _judge_answers(expectation, drill, findings)
    _measure(drill, here)
    if drill.amcheck not in {"", "sound"}:
        observed, expected = f"pg_amcheck: {drill.amcheck}", "tables and indexes are sound"
        here.add(observed=observed, expected=expected, evidence=evidence(drill), remedies=(AGAIN,))
    if drill.amcheck_missing:
        text = f"tables and indexes were not verified: {drill.amcheck_missing}"
        raise CouldNotObserve(query, Problem(kind=ProblemKind.UNSUPPORTED, text=text))


def _report_no_backup(expectation: RestoreDrill, series: Series, findings: Findings) -> None:
    """Report a missing backup: without it neither a drill nor a recovery can begin."""
    seen = series.listing.examples or series.listing.elsewhere
    others = f"; there are others, such as {', '.join(seen[:3])}" if seen else ""
    suggestion = list_backups(expectation.target, series.prefix) + Suggestion((AGAIN,))
    observed, expected = f"no backup is there{others}", f"one named {series.template}"
    findings.add(observed=observed, expected=expected, **vars(suggestion))


def _look_into(expectation: RestoreDrill, drill: Drill, failure: Failure) -> Suggestion:
    """The suggestion for the cause of a failed drill."""
    if failure.trouble in _DAMAGED:
        address = expectation.target.address_of(drill.key)
        in_folder = isinstance(expectation.target, FolderTarget)
        return Suggestion((DAMAGED_FILE,), {"file": address}) if in_folder else Suggestion((DAMAGED,), {"url": address})
    if failure.trouble == NEWER and drill.dumped_from:
        return Suggestion((NEWER_DUMP,), {"newer": drill.dumped_from})
    return Suggestion()


def _measure(drill: Drill, findings: Findings) -> None:
    for asserted in drill.assertions:
        if asserted.time is not None:
            findings.measure(asserted.name, age_s(drill, asserted.time), unit="s")
        elif asserted.number is not None:
            findings.measure(asserted.name, asserted.number)
    for phase in drill.phases:
        findings.measure(f"phase {phase.name}", phase.seconds, unit="s")
    if drill.missing:
        findings.measure("left out", len(drill.missing))


def _judge_times(expectation: RestoreDrill, drill: Drill, findings: Findings) -> None:
    lines, phases = evidence(drill), _phases(drill)
    if drill.recovered_s is not None:
        seconds, limit = drill.recovered_s, expectation.rto
        findings.grade("recovered in", seconds, limit, unit="s", detail=phases, evidence=lines, remedies=(AGAIN,))
    for name, at in (("age of the data", drill.data_time), ("age of the newest row", drill.newest)):
        if at is None:
            continue
        if future := ahead(drill, at):
            expected = "a time that has been; compare `time_zone` and the clocks"
            findings.add(observed=f"{name}: {future}", expected=expected, evidence=lines, remedies=(AGAIN,))
        else:
            age, limit = age_s(drill, at), expectation.age
            findings.grade(name, age, limit, unit="s", since=at, evidence=lines, remedies=(AGAIN,))


def _judge_answers(expectation: RestoreDrill, drill: Drill, findings: Findings) -> None:
    """Report the assertions that failed."""
    if drill.newest_problem and expectation.newest is not None:
        here = findings.on(f"{drill.key}: the newest row")
        _report_answer(drill, expectation.newest, drill.newest_problem, "the time of the newest row", here)
    asserted = {one.name: one for one in drill.assertions}
    for assertion in expectation.assertions:
        if observed := violated(assertion, drill, asserted.get(assertion.name, _NOT_ASKED)):
            limits = str(assertion).removeprefix(assertion.name).strip()
            _report_answer(drill, assertion.sql, observed, limits, findings.on(f"{drill.key}: {assertion.name}"))


def _report_answer(drill: Drill, sql: str, observed: str, expected: str, findings: Findings) -> None:
    # A comment would continue to the end of the joined line.
    on_one_line = "" if "--" in sql and "\n" in sql else " ".join(line.strip() for line in sql.splitlines())
    suggestion = Suggestion((UNMET, AGAIN), {"question": on_one_line}) if on_one_line else Suggestion((AGAIN,))
    findings.add(observed=observed, expected=expected, evidence=evidence(drill), **vars(suggestion))


def violated(assertion: DrillAssertion, drill: Drill, asserted: Asserted) -> str:
    """The result that violates the assertion; empty when it holds."""
    limits = assertion.limits()
    if asserted.problem:
        return asserted.problem
    if asserted.time is not None:
        age = age_s(drill, asserted.time)
        if future := ahead(drill, asserted.time):
            return future
        return f"{format_duration(age)} old" if limits.newest_within_s is None or age > limits.newest_within_s else ""
    number = asserted.number
    if number is None:  # a snapshot of another policy, which queried a time
        return "no number"
    low = limits.at_least is not None and number < limits.at_least
    high = limits.at_most is not None and number > limits.at_most
    return format_value(number) if low or high else ""


def evidence(drill: Drill) -> list[str]:
    """The dump and the server that it was restored into, the duration of each phase, and the objects left out."""
    made_of = ", ".join(filter(None, [drill.made_of, drill.dumped_from and f"from PostgreSQL {drill.dumped_from}"]))
    lines = [f"backup: {made_of}"] if made_of else []
    if drill.server:
        lines.append(f"restored into PostgreSQL {drill.server}")
    lines += [f"left out, as the scratch server lacks it: {', '.join(drill.missing)}"] if drill.missing else []
    return [*lines, *([f"phases: {_phases(drill)}"] if drill.phases else [])]


def _phases(drill: Drill) -> str:
    return ", ".join(f"{phase.name} {format_duration(phase.seconds)}" for phase in drill.phases if phase.name in PHASES)
