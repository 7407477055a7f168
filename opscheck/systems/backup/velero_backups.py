"""What Velero's schedules tell, with the backups that were made by each and the buckets that these are in."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from opscheck.core.words import counted
from opscheck.systems.backup.jobs import BackupJobs
from opscheck.systems.backup.last_backups import Fault, Made, Series
from opscheck.systems.backup.velero import (
    Backup,
    BackupStatus,
    BackupStorageLocation,
    Schedule,
    ScheduleSpec,
    ScheduleStatus,
)
from opscheck.systems.kubernetes.remedies import place_facts
from opscheck.systems.kubernetes.words import message, messages, span

# Its life ends with these, well or not; `Deleting` is none of them, and is not there any more.
_GOOD = "Completed"
_BAD = frozenset({"PartiallyFailed", "Failed", "FailedValidation"})
_GOING = "Deleting"
_AVAILABLE = "Available"
# One that is made here is created before it begins, by clocks that may differ.
_SYNCED_AFTER = timedelta(seconds=60)


@dataclass(frozen=True)
class Around:
    """All of Velero's objects that were listed."""

    backups: Sequence[Backup]
    locations: Sequence[BackupStorageLocation]


def made_by(expectation: BackupJobs, schedules: Iterable[Schedule], around: Around, now: datetime) -> Made:
    """What the selected schedules tell."""
    made, paused = Made(now), 0
    for schedule in schedules:
        if schedule.is_terminating:
            continue
        if _is_paused(schedule) and expectation.allow_suspended:
            paused += 1
            continue
        made.series.append(_series(expectation, schedule, around, now))
        made.faults += [one for one in _of_the_location(expectation, schedule, around, now) if one not in made.faults]
    if paused:
        made.counts["paused schedules"] = paused, expectation.schedules.selected
    return made


def _series(expectation: BackupJobs, schedule: Schedule, around: Around, now: datetime) -> Series:
    of = expectation.schedules
    there = [one for one in around.backups if _is_of(one, schedule)]
    own = [one for one in there if expectation.count_synced or not is_synced(one)]
    good = [one for one in own if _is_good(one, now)]
    newest = max(good, key=_began, default=None)
    facts = {**place_facts(of.target, schedule.namespace), "schedule": schedule.name}
    return Series(
        subject=of.subject(schedule),
        began=_status(newest).start_timestamp if newest else None,
        none_since=None if newest else schedule.created,
        detail=newest.name if newest else "",
        copies=len(good),
        faults=tuple(_faults(expectation, schedule, own, now)),
        evidence=tuple(_evidence(newest, there, own, now)),
        facts=facts,
        stale_facts={} if _is_paused(schedule) else {"run_schedule": schedule.name},
    )


def is_synced(backup: Backup) -> bool:
    """
    Whether it was found in a bucket, and not made in this cluster, or not in what this cluster is now.

    Velero creates such an object when it finds it, which is after the backup ended. It has no other sign.
    """
    status, created = _status(backup), backup.created
    if created is None or status.start_timestamp is None:
        return False
    ended = status.completion_timestamp or status.start_timestamp + _SYNCED_AFTER
    return created > min(ended, status.start_timestamp + _SYNCED_AFTER)


def _is_of(backup: Backup, schedule: Schedule) -> bool:
    return (backup.namespace, backup.schedule) == (schedule.namespace, schedule.name) and not backup.is_terminating


def _is_good(backup: Backup, now: datetime) -> bool:
    """Whether it is complete and stays: one that has expired may be deleted at any time."""
    status = _status(backup)
    lasts = status.expiration is None or status.expiration > now
    return status.phase == _GOOD and status.start_timestamp is not None and lasts


def _faults(expectation: BackupJobs, schedule: Schedule, own: Sequence[Backup], now: datetime) -> Iterator[Fault]:
    status = schedule.status or ScheduleStatus()
    if _is_paused(schedule):
        yield Fault("it is paused", "a schedule that runs", facts={"paused_schedule": schedule.name})
    if status.phase == "FailedValidation":
        told = messages(*(status.validation_errors or ()))
        yield Fault("Velero refuses it: FailedValidation", "a schedule that is Enabled", evidence=told)
    ended = [one for one in own if _status(one).phase in _BAD or _status(one).phase == _GOOD]
    last = max(ended, key=_began, default=None)
    if last is not None and _status(last).phase in _BAD:
        yield _failure(last, now)
    for backup in sorted(own, key=_began):
        if (fault := _stuck(expectation, backup, now)) is not None:
            yield fault


def _failure(backup: Backup, now: datetime) -> Fault:
    status = _status(backup)
    began = status.start_timestamp or backup.created
    ago = f" {span(began, now)} ago" if began else ""
    counts = [
        counted(number, noun) for number, noun in ((status.errors, "error"), (status.warnings, "warning")) if number
    ]
    how = f" ({', '.join(counts)})" if counts else ""
    return Fault(
        f"its newest backup {backup.name}, which began{ago}, is {status.phase}{how}",
        _GOOD,
        since=status.completion_timestamp or began,
        evidence=messages(status.failure_reason, *(status.validation_errors or ())),
        facts={"failed_backup": backup.name},
    )


def _stuck(expectation: BackupJobs, backup: Backup, now: datetime) -> Fault | None:
    status = _status(backup)
    phase = status.phase or "New"
    if phase in _BAD or phase in {_GOOD, _GOING}:
        return None
    since = status.start_timestamp or backup.created
    if since is None or (now - since).total_seconds() <= expectation.max_runtime:
        return None
    return Fault(
        f"{backup.name} is {phase} for {span(since, now)}",
        f"finished within {expectation.max_runtime}",
        since=since + timedelta(seconds=expectation.max_runtime),
        facts={"stuck_backup": backup.name},
    )


def _evidence(newest: Backup | None, there: Sequence[Backup], own: Sequence[Backup], now: datetime) -> Iterator[str]:
    if newest is not None and (expires := _status(newest).expiration) is not None:
        yield f"{newest.name} expires in {span(now, expires)}"
    expired = [one for one in own if _status(one).phase == _GOOD and not _is_good(one, now)]
    if expired:
        yield f"{counted(len(expired), 'backup')} of it that expired, and may be deleted at any time"
    if synced := len(there) - len(own):
        yield f"{counted(synced, 'backup')} of it that Velero found in the bucket and did not make here; not counted"


def _of_the_location(expectation: BackupJobs, schedule: Schedule, around: Around, now: datetime) -> Iterator[Fault]:
    """Whether the bucket that its backups go to can be written."""
    of = expectation.schedules
    here = [one for one in around.locations if one.namespace == schedule.namespace]
    template = schedule.spec and schedule.spec.template
    wanted = (template and template.storage_location) or next((one.name for one in here if _is_default(one)), "")
    facts = place_facts(of.target, schedule.namespace)
    location = next((one for one in here if one.name == wanted), None)
    subject = f"storage location {wanted}" if wanted else of.subject(schedule)
    if location is None:
        observed = "it is not there" if wanted else "it names no storage location, and none is the default"
        yield Fault(observed, "a storage location that is Available", subject, facts=facts)
    elif (phase := (location.status and location.status.phase) or "not looked at yet") != _AVAILABLE:
        yield Fault(
            f"it is {phase}",
            _AVAILABLE,
            subject,
            evidence=tuple(_looked_at(location, now)),
            facts={**facts, "location": location.name},
        )


def _looked_at(location: BackupStorageLocation, now: datetime) -> Iterator[str]:
    status = location.status
    if status and status.message:
        yield message(status.message)
    if status and status.last_validation_time:
        yield f"Velero looked at it last {span(status.last_validation_time, now)} ago"


def _is_default(location: BackupStorageLocation) -> bool:
    return bool(location.spec and location.spec.default)


def _is_paused(schedule: Schedule) -> bool:
    return bool((schedule.spec or ScheduleSpec()).paused)


def _began(backup: Backup) -> tuple[float, str]:
    moment = _status(backup).start_timestamp or backup.created
    return (moment.timestamp() if moment else 0.0, backup.name)


def _status(backup: Backup) -> BackupStatus:
    return backup.status or BackupStatus()
