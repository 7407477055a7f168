"""Restoring a backup, to know that it can be done."""

from collections.abc import Iterator

from opscheck import Findings, Observe
from opscheck.core.observation import CouldNotObserve, Problem, ProblemKind
from opscheck.core.record import Finding
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
    PerformDrill,
    age_s,
    ahead,
)
from opscheck.systems.stores.target import FolderTarget

_DAMAGED = frozenset({BROKEN, EMPTY, REFUSED})
_NOT_ASKED = Asserted(name="", problem="it was not asked")


def test_the_newest_backup_is_restored(expectation: RestoreDrill, observe: Observe, findings: Findings) -> None:
    """
    The newest backup can be restored in time, and holds what it should.

    A backup that nobody has restored is a hope. What breaks it, a dump that is cut off, a newer version, a table that
    was left out, shows only when it is restored, and that had better not be the first time it is needed.
    """
    series = expectation.chosen(observe)
    if series.newest is None:
        findings.report(_nothing_to_restore(expectation, series))
        return
    query = expectation.drill_of(series.newest)
    drill = observe(query)
    if drill.failure is not None:
        findings.report(_failed(expectation, drill, drill.failure))
        _measure(drill, findings)
        return
    _judge_times(expectation, drill, findings)
    for finding in _unmet(expectation, drill):
        findings.report(finding)
    _measure(drill, findings)
    _judge_soundness(expectation, drill, query, findings)


def _nothing_to_restore(expectation: RestoreDrill, series: Series) -> Finding:
    """There is no backup: a drill cannot even begin, as a recovery could not."""
    seen = series.listing.examples or series.listing.elsewhere
    others = f"; there are others, such as {', '.join(seen[:3])}" if seen else ""
    return expectation.finding(
        subject=expectation.target.name,
        observed=f"no backup is there{others}",
        expected=f"one named {series.template}",
        **vars(list_backups(expectation.target, series.prefix) + Suggestion((AGAIN,))),
    )


def _failed(expectation: RestoreDrill, drill: Drill, failure: Failure) -> Finding:
    return expectation.finding(
        subject=drill.key,
        observed=f"{failure.phase}: {failure.text}",
        expected="restored and asked",
        evidence=evidence(drill),
        **vars(_look_into(expectation, drill, failure) + Suggestion((AGAIN,))),
    )


def _look_into(expectation: RestoreDrill, drill: Drill, failure: Failure) -> Suggestion:
    """Look into the cause of a failed drill."""
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
            findings.measure(asserted.name, age_s(drill, asserted.time), unit="s", subject=drill.key)
        elif asserted.number is not None:
            findings.measure(asserted.name, asserted.number, subject=drill.key)
    for phase in drill.phases:
        findings.measure(f"phase {phase.name}", phase.seconds, unit="s", subject=drill.key)
    if drill.missing:
        findings.measure("left out", len(drill.missing), subject=drill.key)


def _judge_times(expectation: RestoreDrill, drill: Drill, findings: Findings) -> None:
    lines = evidence(drill)
    if drill.recovered_s is not None:
        findings.grade(
            "recovered in",
            drill.recovered_s,
            expectation.rto,
            unit="s",
            subject=drill.key,
            detail=_phases(drill),
            evidence=lines,
            remedies=(AGAIN,),
        )
    for name, at in (("age of the data", drill.data_time), ("age of the newest row", drill.newest)):
        if at is None:
            continue
        if future := ahead(drill, at):
            findings.add(
                subject=drill.key,
                observed=f"{name}: {future}",
                expected="a time that has been; compare `time_zone` and the clocks",
                evidence=lines,
                remedies=(AGAIN,),
            )
        else:
            findings.grade(
                name,
                age_s(drill, at),
                expectation.age,
                unit="s",
                subject=drill.key,
                since=at,
                evidence=lines,
                remedies=(AGAIN,),
            )


def _unmet(expectation: RestoreDrill, drill: Drill) -> Iterator[Finding]:
    """The questions without the answer that they should have."""
    if drill.newest_problem and expectation.newest is not None:
        wanted = "the time of the newest row"
        yield _unanswered(expectation, drill, "the newest row", expectation.newest, (drill.newest_problem, wanted))
    asserted = {one.name: one for one in drill.assertions}
    for assertion in expectation.assertions:
        if observed := violated(assertion, drill, asserted.get(assertion.name, _NOT_ASKED)):
            limits = str(assertion).removeprefix(assertion.name).strip()
            yield _unanswered(expectation, drill, assertion.name, assertion.sql, (observed, limits))


def _unanswered(expectation: RestoreDrill, drill: Drill, name: str, sql: str, answer: tuple[str, str]) -> Finding:
    observed, expected = answer
    # A comment would end with the line that it is on.
    on_one_line = "" if "--" in sql and "\n" in sql else " ".join(line.strip() for line in sql.splitlines())
    return expectation.finding(
        subject=f"{drill.key}: {name}",
        observed=observed,
        expected=expected,
        evidence=evidence(drill),
        remedies=(UNMET, AGAIN) if on_one_line else (AGAIN,),
        facts={"question": on_one_line} if on_one_line else {},
    )


def violated(assertion: DrillAssertion, drill: Drill, asserted: Asserted) -> str:
    """The answer that violates the assertion; empty where it holds."""
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


def _judge_soundness(expectation: RestoreDrill, drill: Drill, query: PerformDrill, findings: Findings) -> None:
    if drill.amcheck not in {"", "sound"}:
        findings.report(
            expectation.finding(
                subject=drill.key,
                observed=f"pg_amcheck: {drill.amcheck}",
                expected="tables and indexes are sound",
                evidence=evidence(drill),
                remedies=(AGAIN,),
            )
        )
    if drill.amcheck_missing:
        text = f"tables and indexes were not verified: {drill.amcheck_missing}"
        raise CouldNotObserve(query, Problem(kind=ProblemKind.UNSUPPORTED, text=text))


def evidence(drill: Drill) -> list[str]:
    """The dump and the server that it was restored into, the duration of each phase, and what was left out."""
    made_of = ", ".join(filter(None, [drill.made_of, drill.dumped_from and f"from PostgreSQL {drill.dumped_from}"]))
    lines = [f"backup: {made_of}"] if made_of else []
    if drill.server:
        lines.append(f"restored into PostgreSQL {drill.server}")
    lines += [f"left out, as the scratch server lacks it: {', '.join(drill.missing)}"] if drill.missing else []
    return [*lines, *([f"phases: {_phases(drill)}"] if drill.phases else [])]


def _phases(drill: Drill) -> str:
    return ", ".join(f"{phase.name} {format_duration(phase.seconds)}" for phase in drill.phases if phase.name in PHASES)
