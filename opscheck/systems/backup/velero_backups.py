"""The last good backup of each of Velero's schedules, and the buckets of the backups."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from opscheck.core.findings import Findings, Observe
from opscheck.core.record import Finding
from opscheck.core.remedy import Remedy
from opscheck.core.units import Duration
from opscheck.core.words import counted
from opscheck.systems.backup.jobs import (
    LOCATION,
    MISSING_SCHEDULES,
    NO_LOCATION,
    SCHEDULE,
    SCHEDULE_PAUSED,
    SCHEDULE_RUN,
    VELERO_FAILED,
    VELERO_STUCK,
    BackupJobs,
)
from opscheck.systems.backup.last_backups import LastBackup, Subject, ToolReport
from opscheck.systems.backup.velero import (
    Backup,
    BackupStatus,
    BackupStorageLocation,
    ListStorageLocations,
    ListVeleroBackups,
    ListVeleroSchedules,
    Schedule,
    ScheduleSpec,
    ScheduleStatus,
    StorageLocationStatus,
)
from opscheck.systems.kubernetes.selection import count_matches, listed, matching
from opscheck.systems.kubernetes.words import message, messages, span

# Final phases. A backup that is `Deleting` counts as gone.
_GOOD = "Completed"
_BAD = frozenset({"PartiallyFailed", "Failed", "FailedValidation"})
_GOING = "Deleting"
_AVAILABLE = "Available"
# The object of a backup of this cluster is created before it begins, by clocks that may differ.
_SYNCED_AFTER = timedelta(seconds=60)


def velero_report(expectation: BackupJobs, observe: Observe, findings: Findings) -> ToolReport:
    """The report on the selected schedules."""
    report, of = ToolReport(expectation, findings, observe.now), expectation.schedules
    there = listed(observe, of.lists(ListVeleroSchedules))
    backups, locations = listed(observe, of.lists(ListVeleroBackups)), listed(observe, of.lists(ListStorageLocations))
    selected = matching(of, there)
    count_matches(of, there, selected, findings, kind="schedules", remedy=MISSING_SCHEDULES)

    def is_resting(schedule: Schedule) -> bool:
        return expectation.allow_suspended and _is_paused(schedule)

    for schedule in report.working(of, selected, is_resting, "schedule", "paused"):
        report.last_backups.append(_last_backup(expectation, schedule, backups, observe.now))
        location = _location_finding(expectation, schedule, locations, observe.now)
        if location is not None and location not in report.findings:
            report.findings.append(location)
    return report


def _last_backup(expectation: BackupJobs, schedule: Schedule, backups: Sequence[Backup], now: datetime) -> LastBackup:
    of = expectation.schedules
    option = ("--kubecontext", of.target.context) if of.target.context else ()
    facts = {"namespace": schedule.namespace, "kubecontext_option": option, "schedule": schedule.name}
    subject = Subject(expectation, of.subject(schedule), (SCHEDULE,), facts)
    place = (schedule.namespace, schedule.name)
    there = [one for one in backups if (one.namespace, one.schedule) == place and not one.is_terminating]
    own = [one for one in there if expectation.count_synced or not _is_synced(one)]
    good = [one for one in own if _is_good(one, now)]
    newest = max(good, key=_began, default=None)
    problems = list(_problems(subject, schedule, own, now))
    stale = dict.fromkeys(remedy for remedies, _ in problems for remedy in remedies)
    return LastBackup(
        subject=subject,
        began=_status(newest).start_timestamp if newest else None,
        none_since=None if newest else schedule.created,
        detail=newest.name if newest else "",
        copies=len(good),
        problems=tuple(finding for _, finding in problems),
        evidence=tuple(_evidence(newest, there, own, now)),
        stale_remedies=(*stale, *([] if _is_paused(schedule) else [SCHEDULE_RUN])),
    )


def _is_synced(backup: Backup) -> bool:
    """
    True when Velero found it in a bucket, and this cluster did not make it.

    Velero creates the object of such a backup when it finds it, after the backup ended. It has no other mark.
    """
    status, created = _status(backup), backup.created
    if created is None or status.start_timestamp is None:
        return False
    ended = status.completion_timestamp or status.start_timestamp + _SYNCED_AFTER
    return created > min(ended, status.start_timestamp + _SYNCED_AFTER)


def _is_good(backup: Backup, now: datetime) -> bool:
    """True when it is complete and has not expired: an expired one may be deleted at any time."""
    status = _status(backup)
    lasts = status.expiration is None or status.expiration > now
    return status.phase == _GOOD and status.start_timestamp is not None and lasts


def _problems(
    subject: Subject, schedule: Schedule, own: Sequence[Backup], now: datetime
) -> Iterator[tuple[tuple[Remedy, ...], Finding]]:
    """The problems that may prevent the next backup, each with its own remedies."""

    def problem(observed: str, expected: str, *remedies: Remedy, **more: Any) -> tuple[tuple[Remedy, ...], Finding]:
        return remedies, subject.finding(observed, expected, *remedies, **more)

    status, limit = schedule.status or ScheduleStatus(), subject.expectation.max_runtime
    if _is_paused(schedule):
        yield problem("it is paused", "a schedule that runs", SCHEDULE_PAUSED)
    if status.phase == "FailedValidation":
        reasons = messages(*(status.validation_errors or ()))
        yield problem("Velero refuses it: FailedValidation", "a schedule that is Enabled", evidence=reasons)
    ended = [one for one in own if _status(one).phase in _BAD or _status(one).phase == _GOOD]
    last = max(ended, key=_began, default=None)
    if last is not None and (failure := _status(last)).phase in _BAD:
        yield problem(
            _failure(last, now),
            _GOOD,
            VELERO_FAILED,
            since=failure.completion_timestamp or failure.start_timestamp or last.created,
            evidence=messages(failure.failure_reason, *(failure.validation_errors or ())),
            facts={"failed_backup": last.name},
        )
    for backup in sorted(own, key=_began):
        if (since := _stuck_since(backup, limit, now)) is not None:
            observed = f"{backup.name} is {_status(backup).phase or 'New'} for {span(since, now)}"
            until, facts = since + timedelta(seconds=limit), {"stuck_backup": backup.name}
            yield problem(observed, f"finished within {limit}", VELERO_STUCK, since=until, facts=facts)


def _failure(backup: Backup, now: datetime) -> str:
    status = _status(backup)
    began = status.start_timestamp or backup.created
    ago = f" {span(began, now)} ago" if began else ""
    counts = {"error": status.errors, "warning": status.warnings}
    how = ", ".join(counted(number, noun) for noun, number in counts.items() if number)
    return f"its newest backup {backup.name}, which began{ago}, is {status.phase}" + (f" ({how})" if how else "")


def _stuck_since(backup: Backup, limit: Duration, now: datetime) -> datetime | None:
    """The start time of a backup that should have ended by now."""
    status = _status(backup)
    if status.phase in _BAD or status.phase in {_GOOD, _GOING}:
        return None
    since = status.start_timestamp or backup.created
    return since if since and (now - since).total_seconds() > limit else None


def _evidence(newest: Backup | None, there: Sequence[Backup], own: Sequence[Backup], now: datetime) -> Iterator[str]:
    if newest is not None and (expires := _status(newest).expiration) is not None:
        yield f"{newest.name} expires in {span(now, expires)}"
    expired = [one for one in own if _status(one).phase == _GOOD and not _is_good(one, now)]
    if expired:
        yield f"{counted(len(expired), 'backup')} of it that expired, and may be deleted at any time"
    if synced := len(there) - len(own):
        yield f"{counted(synced, 'backup')} of it that Velero found in the bucket and did not make here; not counted"


def _location_finding(
    expectation: BackupJobs, schedule: Schedule, locations: Sequence[BackupStorageLocation], now: datetime
) -> Finding | None:
    """The finding for a storage location that is not available."""
    here = [one for one in locations if one.namespace == schedule.namespace]
    template = schedule.spec and schedule.spec.template
    wanted = (template and template.storage_location) or next(
        (one.name for one in here if one.spec and one.spec.default), ""
    )
    location = next((one for one in here if one.name == wanted), None)
    name = f"storage location {wanted}" if wanted else expectation.schedules.subject(schedule)
    subject = Subject(expectation, name, facts={"namespace": schedule.namespace})
    if location is None:
        observed = "it is not there" if wanted else "it names no storage location, and no default exists"
        return subject.finding(observed, "a storage location that is Available", NO_LOCATION)
    status, facts = location.status or StorageLocationStatus(), {"location": location.name}
    if status.phase == _AVAILABLE:
        return None
    evidence = [message(status.message)] if status.message else []
    if status.last_validation_time:
        evidence.append(f"Velero looked at it last {span(status.last_validation_time, now)} ago")
    observed = f"it is {status.phase or 'not looked at yet'}"
    return subject.finding(observed, _AVAILABLE, LOCATION, evidence=evidence, facts=facts)


def _is_paused(schedule: Schedule) -> bool:
    return bool((schedule.spec or ScheduleSpec()).paused)


def _began(backup: Backup) -> tuple[float, str]:
    moment = _status(backup).start_timestamp or backup.created
    return (moment.timestamp() if moment else 0.0, backup.name)


def _status(backup: Backup) -> BackupStatus:
    return backup.status or BackupStatus()
