"""The last good backups of cron jobs, with their newest jobs and the text of their scripts."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from opscheck.core.record import Finding
from opscheck.core.remedy import Fact, Remedy
from opscheck.systems.backup.jobs import (
    CRONJOB,
    CRONJOB_ACTIVE,
    CRONJOB_FAILED,
    CRONJOB_RERUN,
    CRONJOB_SCRIPT,
    CRONJOB_SUSPENDED,
    BackupJobs,
)
from opscheck.systems.backup.last_backups import LastBackup, ToolReport
from opscheck.systems.kubernetes.batch import (
    CronJob,
    Job,
    Scripted,
    described_failure,
    failed,
    rerun_facts,
    started,
    succeeded,
)
from opscheck.systems.kubernetes.cronjobs import (
    CronJobsOnTime,
    Runs,
    is_suspended,
    last_success,
    missed,
    runs_of,
    status_of,
    still_active,
    what_keeps,
)
from opscheck.systems.kubernetes.owners import reference
from opscheck.systems.kubernetes.warnings import Warnings

_SECOND = timedelta(seconds=1)
_SOUND = "a script that fails when the dump does: set -euo pipefail, and one name for one file"
_ADVICE = "keep the last successful job of the cron job: successfulJobsHistoryLimit 1 or more, and a longer TTL"


def cronjob_report(
    expectation: BackupJobs, cronjobs: Iterable[CronJob], jobs: Sequence[Job], warnings: Warnings, now: datetime
) -> ToolReport:
    """The selected cron jobs."""
    report, of = ToolReport(now, advice=_ADVICE), expectation.cronjobs
    suspended = scripts = 0
    for cronjob in cronjobs:
        if cronjob.is_terminating:
            continue
        if is_suspended(cronjob) and expectation.allow_suspended:
            suspended += 1
            continue
        case = _Case(expectation, of, cronjob, runs_of(cronjob, jobs), now)
        report.last_backups.append(case.last_backup(warnings))
        if expectation.script_lint:
            report.findings += case.script_findings()
            scripts += sum(one.has_script for one in _containers(cronjob))
    if suspended:
        report.counts["suspended cron jobs"] = suspended, of.selected
    if expectation.script_lint:
        report.counts["scripts that could be read"] = scripts, of.selected
    return report


@dataclass(frozen=True)
class _Case:
    """One cron job and its runs."""

    expectation: BackupJobs
    of: CronJobsOnTime
    cronjob: CronJob
    runs: Runs
    now: datetime

    @property
    def facts(self) -> dict[str, Fact]:
        return {"namespace": self.cronjob.namespace, "cronjob": self.cronjob.name}

    @property
    def reference(self) -> str:
        return reference(self.of.target, "cronjob", self.cronjob.name, self.cronjob.namespace)

    def last_backup(self, warnings: Warnings) -> LastBackup:
        began, earliest = self._last_good()
        remedies, facts = self._make_one()
        return LastBackup(
            subject=self.of.subject(self.cronjob),
            began=began,
            began_earliest=earliest,
            none_since=None if began else self.cronjob.created,
            detail=what_keeps(self.of, self.cronjob, self.runs, self.now),
            problems=tuple(self._problems()),
            evidence=(*_last(self.cronjob), *warnings.about("CronJob", self.cronjob)),
            because=(self.reference,),
            remedies=(CRONJOB,),
            stale_remedies=remedies,
            facts=self.facts,
            stale_facts=facts,
        )

    def _last_good(self) -> tuple[datetime | None, datetime | None]:
        """
        When the last successful run began; and the earliest time of that, where it is not known exactly.

        The cron job contains only the end of that run. Its begin is that of its job, while that exists; or when a run
        was due last, where that was before.
        """
        good = max((job for job in self.runs.jobs if succeeded(job)), key=_ended, default=None)
        ended = last_success(self.cronjob)
        if good is not None and (ended is None or _ended(good) + _SECOND.total_seconds() >= ended.timestamp()):
            return started(good), None
        if ended is None:
            return None, None
        due = status_of(self.cronjob).last_schedule_time
        if due is not None and due <= ended:
            return due, None
        return ended, ended - timedelta(seconds=self.expectation.max_runtime)

    def _make_one(self) -> tuple[tuple[Remedy, ...], dict[str, Fact]]:
        """How to have a backup made now."""
        failure = self.runs.failure
        remedies = (CRONJOB_FAILED,) if failure else ()
        facts: dict[str, Fact] = {"failed_job": failure.name} if failure else {}
        if is_suspended(self.cronjob):
            return (*remedies, CRONJOB_SUSPENDED), facts
        if self.runs.active:
            return (*remedies, CRONJOB_ACTIVE), {**facts, "active_job": self.runs.active}
        return (*remedies, CRONJOB_RERUN), {**facts, **rerun_facts(self.cronjob.name)}

    def _problems(self) -> Iterator[Finding]:
        """What keeps the next backup from being made."""
        if is_suspended(self.cronjob):
            yield self._problem("it is suspended", "a cron job that runs", CRONJOB_SUSPENDED)
            return
        if (hanging := self._hanging()) is not None:
            since, limit = started(hanging), self.expectation.max_runtime
            yield self._problem(
                still_active(self.cronjob, self.runs, self.now),
                f"finished within {limit}",
                CRONJOB_ACTIVE,
                since=since + timedelta(seconds=limit) if since else None,
                job=("active_job", hanging),
            )
        elif not self.runs.active and (reason := missed(self.of, self.cronjob, self.now)):
            yield self._problem(reason, "runs when they are due")
        failure, success = self.runs.failure, last_success(self.cronjob)
        condition = failed(failure) if failure else None
        if failure is not None and condition is not None and not _is_before(condition.last_transition_time, success):
            yield self._problem(
                f"its newest run {failure.name} {described_failure(failure, condition, self.now)}",
                "complete",
                CRONJOB_FAILED,
                since=condition.last_transition_time,
                job=("failed_job", failure),
            )

    def _problem(
        self,
        observed: str,
        expected: str,
        *remedies: Remedy,
        since: datetime | None = None,
        job: tuple[str, Job] | None = None,
    ) -> Finding:
        """`job` is the one that it is about, with the name of that fact."""
        fact, cause = job or ("", None)
        causes = (reference(self.of.target, "job", cause.name, cause.namespace),) if cause else ()
        return self.expectation.finding(
            subject=self.of.subject(self.cronjob),
            observed=observed,
            expected=expected,
            severity=self.expectation.mild_severity,
            since=since,
            remedies=(CRONJOB, *remedies),
            facts={**self.facts, **({fact: cause.name} if cause else {})},
            because=(*causes, self.reference),
        )

    def _hanging(self) -> Job | None:
        job = next((one for one in self.runs.jobs if one.name == self.runs.active), None)
        since = started(job) if job else None
        return job if since and (self.now - since).total_seconds() > self.expectation.max_runtime else None

    def script_findings(self) -> Iterator[Finding]:
        """What makes a failed dump a success."""
        for container in _containers(self.cronjob):
            for flaw in container.flaws:
                yield self.expectation.finding(
                    subject=self.of.subject(self.cronjob),
                    observed=f"the script of container {container.name} {flaw}",
                    expected=_SOUND,
                    severity=self.expectation.mild_severity,
                    remedies=(CRONJOB_SCRIPT,),
                    facts=self.facts,
                )


def _ended(job: Job) -> float:
    moment = (job.status and job.status.completion_time) or started(job)
    return moment.timestamp() if moment else 0.0


def _is_before(failure: datetime | None, success: datetime | None) -> bool:
    return failure is not None and success is not None and failure < success


def _last(cronjob: CronJob) -> Iterator[str]:
    if (ended := last_success(cronjob)) is not None:
        yield f"last success ended {ended:%Y-%m-%d %H:%M}Z"
    if (due := status_of(cronjob).last_schedule_time) is not None:
        yield f"last run was due {due:%Y-%m-%d %H:%M}Z"


def _containers(cronjob: CronJob) -> tuple[Scripted, ...]:
    return cronjob.spec.containers if cronjob.spec else ()
