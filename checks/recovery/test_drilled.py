"""Whether restoring was practised, and how long ago."""

from opscheck import Findings, Observe
from opscheck.core.units import format_duration
from opscheck.systems.recovery.expectations.drilled import Drilled
from opscheck.systems.recovery.readings.drilled import History, history


def test_a_drill_has_passed_lately(expectation: Drilled, observe: Observe, findings: Findings) -> None:
    """
    A restore drill has passed not too long ago, and none has failed since.

    Backups stop being restorable unnoticed: with a new version, a new extension, a table that grows. How long that has
    been so is told by the last drill that passed.
    """
    known = history(expectation, observe)
    if known.ahead is not None:
        observed = f"the last drill is dated {known.ahead.began_at:%Y-%m-%d %H:%M} UTC, which is in the future"
        facts = {"overdue": expectation.drill}
        findings.add(subject=expectation.drill, observed=observed, expected="a drill in the past", facts=facts)
        return
    if known.passed_at is None:
        _tell_never(expectation, known, observe, findings)
        return
    findings.grade(
        "since one passed",
        (observe.now - known.passed_at).total_seconds(),
        expectation.age,
        unit="s",
        subject=expectation.drill,
        since=known.passed_at,
        facts={"overdue": expectation.drill},
    )
    if known.failed_since:
        _tell_failed(expectation, known, observe, findings)


def _tell_never(expectation: Drilled, known: History, observe: Observe, findings: Findings) -> None:
    if known.failed_since:
        _tell_failed(expectation, known, observe, findings)
        return
    findings.add(
        subject=expectation.drill,
        observed="no drill is known",
        expected=f"one that passed, {expectation.age.words} {expectation.age.steps[0][1]} ago",
        facts={"overdue": expectation.drill},
    )


def _tell_failed(expectation: Drilled, known: History, observe: Observe, findings: Findings) -> None:
    last = known.last
    if last is None:
        return
    ago = format_duration((observe.now - last.began_at).total_seconds())
    never = ", and none has passed" if known.passed_at is None else ""
    findings.add(
        subject=expectation.drill,
        observed=f"the last drill failed, {ago} ago{never}",
        expected="it passes",
        since=last.began_at,
        evidence=[f"{last.key}: {reason}" for reason in last.reasons],
        facts={"failed": expectation.drill},
    )
