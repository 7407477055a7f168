"""Restoring a backup, to know that it can be done."""

from opscheck import Findings, Observe
from opscheck.core.observation import CouldNotObserve, Problem, ProblemKind
from opscheck.systems.recovery.expectations.drill import RestoreDrill
from opscheck.systems.recovery.queries import Drill, PerformDrill
from opscheck.systems.recovery.readings.drill import (
    Fault,
    broken,
    ended,
    evidence,
    newest_fault,
    nothing_to_restore,
    number_of,
    phases,
)
from opscheck.systems.recovery.readings.outcome import age_s, ahead


def test_the_newest_backup_is_restored(expectation: RestoreDrill, observe: Observe, findings: Findings) -> None:
    """
    The newest backup can be restored in time, and holds what it should.

    A backup that nobody has restored is a hope. What breaks it, a dump that is cut off, a newer version, a table that
    was left out, shows only when it is restored, and that had better not be the first time it is needed.
    """
    series = expectation.chosen(observe)
    if series.newest is None:
        _add(findings, expectation.target.name, nothing_to_restore(expectation, series), [])
        return
    query = expectation.drill_of(series.newest)
    drill = observe(query)
    fault = ended(expectation, drill)
    if fault is not None:
        _add(findings, drill.key, fault, evidence(drill))
        _measure(drill, findings)
        return
    _judge_times(expectation, drill, findings)
    _judge_answers(expectation, drill, findings)
    _measure(drill, findings)
    _judge_soundness(drill, query, findings)


def _measure(drill: Drill, findings: Findings) -> None:
    for asserted in drill.assertions:
        if (number := number_of(drill, asserted)) is not None:
            findings.measure(asserted.name, number[0], unit=number[1], subject=drill.key)
    for phase in drill.phases:
        findings.measure(f"phase {phase.name}", phase.seconds, unit="s", subject=drill.key)
    if drill.missing:
        findings.measure("left out", len(drill.missing), subject=drill.key)


def _judge_times(expectation: RestoreDrill, drill: Drill, findings: Findings) -> None:
    if drill.recovered_s is not None:
        findings.grade(
            "recovered in",
            drill.recovered_s,
            expectation.rto,
            unit="s",
            subject=drill.key,
            detail=phases(drill),
            evidence=evidence(drill),
        )
    for name, at in (("age of the data", drill.data_time), ("age of the newest row", drill.newest)):
        if at is None:
            continue
        if future := ahead(drill, at):
            fault = Fault(f"{name}: {future}", "a time that has been; compare `time_zone` and the clocks")
            _add(findings, drill.key, fault, evidence(drill))
        else:
            age = age_s(drill, at)
            findings.grade(name, age, expectation.age, unit="s", subject=drill.key, since=at, evidence=evidence(drill))


def _judge_answers(expectation: RestoreDrill, drill: Drill, findings: Findings) -> None:
    missing = newest_fault(expectation, drill)
    if missing is not None:
        _add(findings, f"{drill.key}: the newest row", missing, evidence(drill))
    for name, fault in broken(expectation, drill):
        _add(findings, f"{drill.key}: {name}", fault, evidence(drill))


def _judge_soundness(drill: Drill, query: PerformDrill, findings: Findings) -> None:
    if drill.amcheck not in {"", "sound"}:
        _add(
            findings, drill.key, Fault(f"pg_amcheck: {drill.amcheck}", "tables and indexes are sound"), evidence(drill)
        )
    if drill.amcheck_missing:
        text = f"tables and indexes were not verified: {drill.amcheck_missing}"
        raise CouldNotObserve(query, Problem(kind=ProblemKind.UNSUPPORTED, text=text))


def _add(findings: Findings, subject: str, fault: Fault, lines: list[str]) -> None:
    findings.add(subject=subject, observed=fault.observed, expected=fault.expected, evidence=lines, facts=fault.facts)
