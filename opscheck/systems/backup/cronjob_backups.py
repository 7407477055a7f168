"""What the cron jobs that make backups tell, with their newest jobs and the text of their scripts."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta

from opscheck.systems.backup.jobs import BackupJobs
from opscheck.systems.backup.last_backups import Fault, Made, Series
from opscheck.systems.kubernetes.batch import (
    CronJob,
    CronJobStatus,
    Job,
    Scripted,
    described_failure,
    failed,
    started,
    succeeded,
)
from opscheck.systems.kubernetes.cronjobs import (
    Runs,
    is_suspended,
    last_success,
    missed,
    remedies,
    runs_of,
    still_active,
    what_keeps,
)
from opscheck.systems.kubernetes.owners import reference
from opscheck.systems.kubernetes.remedies import place_facts
from opscheck.systems.kubernetes.warnings import Warnings

_SECOND = timedelta(seconds=1)
_SOUND = "a script that fails when the dump does: set -euo pipefail, and one name for one file"
_ADVICE = "keep the last successful job of the cron job: successfulJobsHistoryLimit 1 or more, and a longer TTL"


def made_by(
    expectation: BackupJobs, cronjobs: Iterable[CronJob], jobs: Sequence[Job], warnings: Warnings, now: datetime
) -> Made:
    """What the selected cron jobs tell."""
    made = Made(now, advice=_ADVICE)
    suspended = scripts = 0
    for cronjob in cronjobs:
        if cronjob.is_terminating:
            continue
        if is_suspended(cronjob) and expectation.allow_suspended:
            suspended += 1
            continue
        made.series.append(_series(expectation, cronjob, runs_of(cronjob, jobs), warnings, now))
        if expectation.script_lint:
            made.faults += _of_the_script(expectation, cronjob)
            scripts += sum(one.has_script for one in _containers(cronjob))
    where = expectation.cronjobs.selected
    if suspended:
        made.counts["suspended cron jobs"] = suspended, where
    if expectation.script_lint:
        made.counts["scripts that could be read"] = scripts, where
    return made


def _series(expectation: BackupJobs, cronjob: CronJob, runs: Runs, warnings: Warnings, now: datetime) -> Series:
    of = expectation.cronjobs
    began, earliest = _last_good(expectation, cronjob, runs)
    place = place_facts(of.target, cronjob.namespace)
    facts = {**place, "cronjob": cronjob.name}
    return Series(
        subject=of.subject(cronjob),
        began=began,
        began_earliest=earliest,
        none_since=None if began else cronjob.created,
        detail=what_keeps(of, cronjob, runs, now),
        faults=tuple(_faults(expectation, cronjob, runs, now)),
        evidence=(*_last(cronjob), *warnings.about("CronJob", cronjob)),
        facts=facts,
        stale_facts=dict(remedies(cronjob, runs)),
        because=(reference(of.target, "cronjob", cronjob.name, cronjob.namespace),),
    )


def _last_good(expectation: BackupJobs, cronjob: CronJob, runs: Runs) -> tuple[datetime | None, datetime | None]:
    """
    When the last run began that succeeded; and when it may have begun at the earliest, where this is not known.

    The cron job itself tells only when that run ended. When it began tells its job, while it is there; or when a run
    was due last, where that was before.
    """
    good = max((job for job in runs.jobs if succeeded(job)), key=_ended, default=None)
    ended = last_success(cronjob)
    if good is not None and (ended is None or _ended(good) + _SECOND.total_seconds() >= ended.timestamp()):
        return started(good), None
    if ended is None:
        return None, None
    due = _status(cronjob).last_schedule_time
    if due is not None and due <= ended:
        return due, None
    return ended, ended - timedelta(seconds=expectation.max_runtime)


def _ended(job: Job) -> float:
    moment = (job.status and job.status.completion_time) or started(job)
    return moment.timestamp() if moment else 0.0


def _faults(expectation: BackupJobs, cronjob: CronJob, runs: Runs, now: datetime) -> Iterator[Fault]:
    of = expectation.cronjobs
    because = (reference(of.target, "cronjob", cronjob.name, cronjob.namespace),)
    if is_suspended(cronjob):
        yield Fault("it is suspended", "a cron job that runs", facts={"suspended": cronjob.name}, because=because)
        return
    if (hanging := _hanging(expectation, runs, now)) is not None:
        since = started(hanging)
        yield Fault(
            still_active(cronjob, runs, now),
            f"finished within {expectation.max_runtime}",
            since=since + timedelta(seconds=expectation.max_runtime) if since else None,
            facts={"active_job": hanging.name},
            because=(reference(of.target, "job", hanging.name, hanging.namespace), *because),
        )
    elif not runs.active and (told := missed(of, cronjob, now)):
        yield Fault(told, "runs when they are due", because=because)
    failure, success = runs.failure, last_success(cronjob)
    condition = failed(failure) if failure else None
    if failure is not None and condition is not None and not _is_before(condition.last_transition_time, success):
        yield Fault(
            f"its newest run {failure.name} {described_failure(failure, condition, now)}",
            "complete",
            since=condition.last_transition_time,
            facts={"failed_job": failure.name},
            because=(reference(of.target, "job", failure.name, failure.namespace), *because),
        )


def _hanging(expectation: BackupJobs, runs: Runs, now: datetime) -> Job | None:
    job = next((one for one in runs.jobs if one.name == runs.active), None)
    since = started(job) if job else None
    return job if since and (now - since).total_seconds() > expectation.max_runtime else None


def _is_before(failure: datetime | None, success: datetime | None) -> bool:
    return failure is not None and success is not None and failure < success


def _last(cronjob: CronJob) -> Iterator[str]:
    status = _status(cronjob)
    if (ended := last_success(cronjob)) is not None:
        yield f"last success ended {ended:%Y-%m-%d %H:%M}Z"
    if (due := status.last_schedule_time) is not None:
        yield f"last run was due {due:%Y-%m-%d %H:%M}Z"


def _of_the_script(expectation: BackupJobs, cronjob: CronJob) -> Iterator[Fault]:
    of = expectation.cronjobs
    for container in _containers(cronjob):
        for flaw in container.flaws:
            yield Fault(
                f"the script of container {container.name} {flaw}",
                _SOUND,
                subject=of.subject(cronjob),
                facts={**place_facts(of.target, cronjob.namespace), "scripted": cronjob.name},
            )


def _containers(cronjob: CronJob) -> tuple[Scripted, ...]:
    return cronjob.spec.containers if cronjob.spec else ()


def _status(cronjob: CronJob) -> CronJobStatus:
    return cronjob.status or CronJobStatus()
