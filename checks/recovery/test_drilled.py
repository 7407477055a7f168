"""The record of restore drills."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from opscheck import Findings, Observe
from opscheck.core.observation import NO_STATE_FILE, CouldNotObserve, Problem, ProblemKind
from opscheck.core.units import format_duration
from opscheck.systems.recovery.drill_record import Drill
from opscheck.systems.recovery.drilled import FAILED, OVERDUE, Drilled

_SKEW = timedelta(minutes=5)
"""The tolerance between the clocks of two machines."""


def test_a_drill_has_passed_lately(expectation: Drilled, observe: Observe, findings: Findings) -> None:
    """
    A restore drill passed recently, and no later drill failed.

    Backups stop being restorable unnoticed: after an upgrade, with a new extension, or when a table grows. The last
    passed drill shows since when.
    """
    known = history(expectation, observe)
    here, last = findings.on(expectation.drill), known.last
    if known.ahead is not None:
        observed = f"the last drill is dated {known.ahead.began_at:%Y-%m-%d %H:%M} UTC, which is in the future"
        here.add(observed=observed, expected="a drill in the past", remedies=(OVERDUE,))
        return
    if known.passed_at is not None:
        age = (observe.now - known.passed_at).total_seconds()
        here.grade("since one passed", age, expectation.age, unit="s", since=known.passed_at, remedies=(OVERDUE,))
    if last is not None and not last.passed:
        ago = format_duration((observe.now - last.began_at).total_seconds())
        never = ", and no drill has passed" if known.passed_at is None else ""
        here.add(
            observed=f"the last drill failed, {ago} ago{never}",
            expected="it passes",
            since=last.began_at,
            evidence=[f"{last.key}: {reason}" for reason in last.reasons],
            remedies=(FAILED,),
        )
    elif known.passed_at is None:
        expected = f"one that passed, {expectation.age.words} {expectation.age.steps[0][1]} ago"
        here.add(observed="no drill is known", expected=expected, remedies=(OVERDUE,))


@dataclass(frozen=True)
class History:
    """The known drills, as far as they matter."""

    last: Drill | None = None
    """The newest one."""
    passed_at: datetime | None = None
    """The start time of the newest passed drill."""
    ahead: Drill | None = None
    """The newest drill, when all known drills are in the future, where they would never become too old."""


def history(expectation: Drilled, observe: Observe) -> History:
    """The known drills, by the state file and the record. Raises CouldNotObserve when neither can be read."""
    recorded = observe(expectation.last)
    remembered = [sample.answer for sample in observe.earlier(expectation.last)]
    forgotten = observe.observation(expectation.last).forgotten
    if forgotten and recorded is None and not remembered:
        raise CouldNotObserve(expectation.last, _unread(expectation, forgotten))
    return in_order((drill for drill in [*remembered, recorded] if drill is not None), observe.now)


def in_order(drills: Iterable[Drill], now: datetime) -> History:
    """The newest of them, and the last passed one; without those in the future, by a wrong clock."""
    ordered = sorted(drills, key=lambda drill: drill.began_at)
    known = [drill for drill in ordered if drill.began_at <= now + _SKEW]
    if not known:
        return History(ahead=ordered[-1] if ordered else None)
    passed = [drill.began_at for drill in known if drill.passed]
    passed += [drill.passed_at for drill in known if drill.passed_at is not None and drill.passed_at <= drill.began_at]
    return History(known[-1], max(passed, default=None))


def _unread(expectation: Drilled, forgotten: str) -> Problem:
    if forgotten != NO_STATE_FILE:
        return Problem(kind=ProblemKind.UNREADABLE, text=f"no drill is known: {forgotten}")
    text = "no drill can be known: no state file is kept, and no `record` is named"
    if expectation.record is not None:
        text = f"no drill is known: {expectation.record} is not there, and no state file is kept"
    advice = "add `--state FILE` to this run and to the one that drills, or `record` to both expectations"
    return Problem(kind=ProblemKind.UNSUPPLIED, text=text, advice=advice)
