"""What is known of the drills that were done."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from opscheck.core.findings import Observe
from opscheck.core.observation import NO_STATE_FILE, CouldNotObserve, Problem, ProblemKind
from opscheck.systems.recovery.expectations.drilled import Drilled
from opscheck.systems.recovery.queries import Drill

_SKEW = timedelta(minutes=5)
"""How far clocks of two machines may be apart."""
_BOTH = "add `--state FILE` to this run and to the one that drills, or `record` to both expectations"


@dataclass(frozen=True)
class History:
    """The drills that are known, as far as they matter."""

    last: Drill | None = None
    """The newest one."""
    passed_at: datetime | None = None
    """When the newest one began that passed."""
    ahead: Drill | None = None
    """Where none is known but such that lie in the future, which would never become too old, the newest of them."""

    @property
    def failed_since(self) -> bool:
        """Whether the newest one failed."""
        return self.last is not None and not self.last.passed


def history(expectation: Drilled, observe: Observe) -> History:
    """What is known, by the state file and the record. Raises CouldNotObserve where neither could be looked at."""
    recorded = observe(expectation.last)
    remembered = [sample.answer for sample in observe.earlier(expectation.last)]
    forgotten = observe.observation(expectation.last).forgotten
    if forgotten and recorded is None and not remembered:
        raise CouldNotObserve(expectation.last, _not_looked_at(expectation, forgotten))
    return in_order((drill for drill in [*remembered, recorded] if drill is not None), observe.now)


def in_order(drills: Iterable[Drill], now: datetime) -> History:
    """The newest of them, and when one passed last; those of the future, by a clock that was wrong, are none."""
    told = sorted(drills, key=lambda drill: drill.began_at)
    known = [drill for drill in told if drill.began_at <= now + _SKEW]
    if not known:
        return History(ahead=told[-1] if told else None)
    passed = [drill.began_at for drill in known if drill.passed]
    passed += [drill.passed_at for drill in known if drill.passed_at is not None and drill.passed_at <= drill.began_at]
    return History(known[-1], max(passed, default=None))


def _not_looked_at(expectation: Drilled, forgotten: str) -> Problem:
    if forgotten != NO_STATE_FILE:
        return Problem(kind=ProblemKind.UNREADABLE, text=f"no drill is known: {forgotten}")
    if expectation.record is not None:
        text = f"no drill is known: {expectation.record} is not there, and no state file is kept"
        return Problem(kind=ProblemKind.UNSUPPLIED, text=text, advice=_BOTH)
    text = "no drill can be known: no state file is kept, and no `record` is named"
    return Problem(kind=ProblemKind.UNSUPPLIED, text=text, advice=_BOTH)
