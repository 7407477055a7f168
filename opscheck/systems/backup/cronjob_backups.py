"""The last good backups of cron jobs, with their newest jobs and the text of their scripts."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from opscheck.core.findings import Findings, Observe
from opscheck.core.record import Finding
from opscheck.systems.backup.jobs import CRONJOB_SCRIPT, BackupJobs
from opscheck.systems.backup.last_backups import LastBackup, Subject, ToolReport
from opscheck.systems.kubernetes.batch import CronJob, Job, ListCronJobs, ListJobs, Scripted
from opscheck.systems.kubernetes.cronjobs import ACTIVE_RUN, FAILED_RUN, MISSING, REPORT, RESUME, CronJobsOnTime, Runs
from opscheck.systems.kubernetes.objects import reference
from opscheck.systems.kubernetes.selection import count_matches, listed, matching
from opscheck.systems.kubernetes.warnings import Warnings

_SECOND = timedelta(seconds=1)
_SOUND = "a script that fails when the dump does: set -euo pipefail, and one name for one file"
_ADVICE = "keep the last successful job of the cron job: successfulJobsHistoryLimit 1 or more, and a longer TTL"


def cronjob_report(expectation: BackupJobs, observe: Observe, findings: Findings) -> ToolReport:
    """The report on the selected cron jobs."""
    report, of = ToolReport(expectation, findings, observe.now, advice=_ADVICE), expectation.cronjobs
    there, jobs = listed(observe, of.lists(ListCronJobs)), listed(observe, of.lists(ListJobs))
    selected, warnings = matching(of, there), Warnings(of, observe)
    count_matches(of, there, selected, findings, kind="cron jobs", remedy=MISSING)

    def is_resting(cronjob: CronJob) -> bool:
        return expectation.allow_suspended and cronjob.is_suspended

    working = report.working(of, selected, is_resting, "cron job", "suspended")
    for cronjob in working:
        case = _Case(expectation, of, cronjob, Runs(of, cronjob, jobs), observe.now)
        report.last_backups.append(case.last_backup(warnings))
        report.findings += case.script_findings() if expectation.script_lint else ()
    if expectation.script_lint:
        scripts = sum(one.has_script for cronjob in working for one in _containers(cronjob))
        findings.measure("scripts that could be read", scripts, subject=of.selected)
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
    def subject(self) -> Subject:
        cronjob, of = self.cronjob, self.of
        facts = {"namespace": cronjob.namespace, **self.runs.facts}
        because = (reference(of.target, "cronjob", cronjob.name, cronjob.namespace),)
        return Subject(self.expectation, of.subject(cronjob), (REPORT,), facts, because)

    def last_backup(self, warnings: Warnings) -> LastBackup:
        began, earliest = self._last_good()
        return LastBackup(
            subject=self.subject,
            began=began,
            began_earliest=earliest,
            none_since=None if began else self.cronjob.created,
            detail=self.runs.obstacle(self.now),
            problems=tuple(self._problems()),
            evidence=(*_last(self.cronjob), *warnings.about("CronJob", self.cronjob)),
            stale_remedies=tuple(self.runs.remedies),
        )

    def _last_good(self) -> tuple[datetime | None, datetime | None]:
        """
        The begin of the last successful run, and its earliest possible begin when that is uncertain.

        The cron job contains only the end of that run. It began with its job, while that exists, or else when the last
        run was due before that end.
        """
        good = max((job for job in self.runs.jobs if job.has_succeeded), key=_ended, default=None)
        ended = self.cronjob.last_success
        if good is not None and (ended is None or _ended(good) + _SECOND.total_seconds() >= ended.timestamp()):
            return good.started, None
        if ended is None:
            return None, None
        due = self.cronjob.reported.last_schedule_time
        if due is not None and due <= ended:
            return due, None
        return ended, ended - timedelta(seconds=self.expectation.max_runtime)

    def _problems(self) -> Iterator[Finding]:
        """The problems that prevent the next backup."""
        finding = self.subject.finding
        if self.cronjob.is_suspended:
            yield finding("it is suspended", "a cron job that runs", RESUME)
            return
        if (hanging := self._hanging()) is not None:
            since, limit = hanging.started, self.expectation.max_runtime
            until = since + timedelta(seconds=limit) if since else None
            observed = self.runs.still_active(self.now)
            about = self._about("active_job", hanging)
            yield finding(observed, f"finished within {limit}", ACTIVE_RUN, since=until, **about)
        elif not self.runs.active and (reason := self.runs.missed(self.now)):
            yield finding(reason, "runs when they are due")
        failure, success = self.runs.failure, self.cronjob.last_success
        condition = failure.failure if failure else None
        at = condition.last_transition_time if condition else None
        if failure is not None and condition is not None and not (at and success and at < success):
            observed = f"its newest run {failure.name} {failure.described_failure(self.now)}"
            about = self._about("failed_job", failure)
            yield finding(observed, "complete", FAILED_RUN, since=at, **about)

    def _about(self, fact: str, job: Job) -> dict[str, Any]:
        return {"facts": {fact: job.name}, "because": (reference(self.of.target, "job", job.name, job.namespace),)}

    def _hanging(self) -> Job | None:
        job = next((one for one in self.runs.jobs if one.name == self.runs.active), None)
        since = job.started if job else None
        return job if since and (self.now - since).total_seconds() > self.expectation.max_runtime else None

    def script_findings(self) -> Iterator[Finding]:
        """Faults of scripts that make a failed dump a success."""
        subject = replace(self.subject, remedies=(), because=())
        for container in _containers(self.cronjob):
            for flaw in container.flaws:
                observed = f"the script of container {container.name} {flaw}"
                yield subject.finding(observed, _SOUND, CRONJOB_SCRIPT)


def _ended(job: Job) -> float:
    moment = (job.status and job.status.completion_time) or job.started
    return moment.timestamp() if moment else 0.0


def _last(cronjob: CronJob) -> Iterator[str]:
    if (ended := cronjob.last_success) is not None:
        yield f"last success ended {ended:%Y-%m-%d %H:%M}Z"
    if (due := cronjob.reported.last_schedule_time) is not None:
        yield f"last run was due {due:%Y-%m-%d %H:%M}Z"


def _containers(cronjob: CronJob) -> tuple[Scripted, ...]:
    return cronjob.spec.containers if cronjob.spec else ()
