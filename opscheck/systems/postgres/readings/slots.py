"""What a server keeps for those that replicate from it."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from fnmatch import fnmatchcase

from opscheck.core.findings import Observe
from opscheck.core.observation import CouldNotObserve, Problem, ProblemKind, Sample
from opscheck.core.units import ByteSize, Duration, Graded, format_duration
from opscheck.systems.postgres.replication import PostgresReplication, Slot, Slots

_LOST, _UNRESERVED = "lost", "unreserved"
_SUGGESTED = ByteSize(20_000_000_000)
_MEGABYTE = 2**20


def judged_slots(expectation: PostgresReplication, answer: Slots) -> list[Slot]:
    """The named ones, or all."""
    if expectation.slots is None:
        return list(answer.slots)
    return [slot for slot in answer.slots if any(fnmatchcase(slot.name, name) for name in expectation.slots)]


def missing_slots(expectation: PostgresReplication, answer: Slots) -> list[str]:
    """The patterns of the policy that match no slot."""
    names = [slot.name for slot in answer.slots]
    return [one for one in expectation.slots or () if not any(fnmatchcase(name, one) for name in names)]


def lost(slot: Slot) -> str | None:
    """How it was lost; None while it is not."""
    if slot.invalid:
        return f"the slot is invalid: {slot.invalid}"
    return "its WAL is gone: wal_status is lost" if slot.wal_status == _LOST else None


def nearly_lost(slot: Slot) -> bool:
    """Whether the next checkpoint may remove its WAL."""
    return slot.wal_status == _UNRESERVED


def described(slot: Slot) -> str:
    """What kind of slot it is, and how it is."""
    kind = f"{'temporary ' if slot.temporary else ''}{'logical' if slot.logical else 'physical'}"
    use = "active" if slot.active else "inactive"
    return ", ".join([kind, use, *([slot.wal_status] if slot.wal_status else [])])


def keep_size(expectation: PostgresReplication) -> str:
    """What max_slot_wal_keep_size might be: as much as slots may hold back at worst."""
    most = expectation.slot_retained.steps[-1][1] if expectation.slot_retained else _SUGGESTED
    return f"{max(1, int(most / _MEGABYTE))}MB"


@dataclass(frozen=True)
class Inactive:
    """For how long a slot has had no consumer."""

    at_least: Duration
    at_most: Duration | None
    """None where nobody saw it with one."""
    since: datetime | None

    @property
    def known(self) -> bool:
        """Whether the server tells, so that both are the same."""
        return self.at_least == self.at_most

    def settles(self, limit: Graded[Duration]) -> bool:
        """Whether it makes no difference which of the two it is."""
        worst = limit.steps[-1][0] if self.at_most is None else limit.severity(self.at_most)
        return limit.severity(self.at_least) == worst


def inactive(expectation: PostgresReplication, observe: Observe, slot: Slot) -> Inactive | None:
    """For how long it is inactive; None while it is not, or is so by design."""
    if slot.active or slot.synced:
        return None
    answer = observe(expectation.kept)
    if slot.inactive_since is not None:
        age = _age(answer, slot.inactive_since)
        return Inactive(age, age, slot.inactive_since)
    return _as_seen(answer, slot, observe.earlier(expectation.kept))


def unknown_since(expectation: PostgresReplication, observe: Observe, slot: Slot, found: Inactive) -> CouldNotObserve:
    """What to raise where it matters for how long a slot is inactive."""
    seen = f"seen so for {format_duration(found.at_least)}" if found.at_least else "and no earlier run saw it"
    why = observe.observation(expectation.kept).forgotten
    text = f"slot {slot.name} is inactive, {seen}; PostgreSQL tells since when from 17 on" + (f": {why}" if why else "")
    advice = "keep a state file (--state FILE) from run to run"
    return CouldNotObserve(expectation.kept, Problem(kind=ProblemKind.FIRST_SAMPLE, text=text, advice=advice))


def _as_seen(answer: Slots, slot: Slot, earlier: tuple[Sample[Slots], ...]) -> Inactive:
    """One that did not move from sample to sample had no consumer; one that moved, or was not there, had."""
    least: datetime | None = None
    for sample in reversed(earlier):
        if sample.answer.epoch != answer.epoch:
            break
        before = next((one for one in sample.answer.slots if one.name == slot.name), None)
        if before is None or before.active or before.restart_lsn != slot.restart_lsn:
            return Inactive(_age(answer, least), _age(answer, sample.answer.taken_at), least)
        least = sample.answer.taken_at
    return Inactive(_age(answer, least), None, least)


def _age(answer: Slots, since: datetime | None) -> Duration:
    return Duration(max(timedelta(), answer.taken_at - since).total_seconds() if since else 0.0)
