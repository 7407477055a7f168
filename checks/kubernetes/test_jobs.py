"""The jobs of a cluster."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

from opscheck import Findings, Observe
from opscheck.core.record import Finding
from opscheck.systems.kubernetes.batch import CronJob, Job, JobStatus, ListCronJobs, ListJobs, newest_runs, rerun_name
from opscheck.systems.kubernetes.containers import Reported, containers
from opscheck.systems.kubernetes.jobs import (
    DELETE,
    FAILED,
    FAILED_POD,
    MISSING,
    RERUN,
    RESUME,
    SLOW,
    SLOW_POD,
    JobsComplete,
)
from opscheck.systems.kubernetes.objects import Condition, condition, owner_reference
from opscheck.systems.kubernetes.pods import ListPods, Pod
from opscheck.systems.kubernetes.selection import Evidence, count_matches, listed, listed_evidence, matching
from opscheck.systems.kubernetes.warnings import Warnings
from opscheck.systems.kubernetes.words import longer_than, messages, span

_LONG_AGO = datetime.min.replace(tzinfo=UTC)


def test_the_jobs_do_their_work(expectation: JobsComplete, observe: Observe, findings: Findings) -> None:
    """
    No selected job has failed, and none runs longer than allowed.

    The migration, backup or report of that job did not happen, and nothing retries it.
    """
    there, cronjobs = listed(observe, expectation.lists(ListJobs)), listed(observe, expectation.lists(ListCronJobs))
    jobs = matching(expectation, there)
    count_matches(expectation, there, jobs, findings, remedy=MISSING)
    measure_jobs(expectation, jobs, observe.now, findings)
    pods = listed_evidence(observe, expectation.lists(ListPods))
    around = Around(expectation, there, cronjobs, pods, observe.now)
    warnings = Warnings(expectation, observe)
    for job in jobs:
        for finding in around.problems(job):
            findings.report(warnings.attach(finding, job))


def measure_jobs(expectation: JobsComplete, jobs: Sequence[Job], now: datetime, findings: Findings) -> None:
    """Record the number of failed jobs, including old ones, and the longest run."""
    findings.measure("failed jobs", sum(job.failure is not None for job in jobs), subject=expectation.selected)
    runs = [
        ((now - since).total_seconds(), job.namespace, job.name, job)
        for job in jobs
        if not (job.is_terminating or job.has_succeeded or job.failure or job.is_suspended)
        and (since := job.started) is not None
    ]
    if runs:
        seconds, *_, job = max(runs, key=lambda run: run[:3])
        name, limit = expectation.subject(job), float(expectation.max_runtime)
        findings.measure("longest run", seconds, unit="s", subject=name, limit=limit, margin=limit - seconds)


@dataclass(frozen=True)
class Around:
    """The surroundings of the selected jobs: cron jobs, pods and time."""

    expectation: JobsComplete
    jobs: Sequence[Job]
    """All listed jobs, including the selected ones."""
    cronjobs: Sequence[CronJob]
    pods: Evidence[Pod]
    now: datetime

    @cached_property
    def newest_runs(self) -> frozenset[tuple[str, str]]:
        """The newest finished run of each cron job, by namespace and name."""
        return frozenset((run.namespace, run.name) for run in newest_runs(self.jobs))

    @cached_property
    def _successes(self) -> dict[tuple[str, str], datetime | None]:
        return {(one.namespace, one.name): one.status and one.status.last_successful_time for one in self.cronjobs}

    def problems(self, job: Job) -> Iterator[Finding]:
        """The problem of a job: it failed, runs too long, or is suspended without permission."""
        if job.is_terminating or job.has_succeeded:
            return
        if (failure := job.failure) is not None:
            if self._counts(job, failure):
                yield self._failure(job, failure)
        elif job.is_suspended:
            yield from self._suspended(job)
        else:
            yield from self._slow(job)

    def _counts(self, job: Job, failure: Condition) -> bool:
        """True unless a later run of its cron job succeeded, or `forget_after` is over."""
        at = failure.last_transition_time
        if cronjob := job.cronjob:
            success = self._successes.get((job.namespace, cronjob))
            has_succeeded_since = at is not None and success is not None and at < success
            return (job.namespace, job.name) in self.newest_runs and not has_succeeded_since
        limit = self.expectation.forget_after
        return limit is None or at is None or not longer_than(limit, at, self.now)

    def _finding(self, job: Job, facts: Mapping[str, str], **given: Any) -> Finding:
        of = owner_reference(self.expectation.target, job)
        return self.expectation.finding_on(job, facts={"job": job.name, **facts}, because=[of] if of else [], **given)

    def _failure(self, job: Job, failure: Condition) -> Finding:
        evidence, facts, remedies = [*messages(failure.message)], {}, [FAILED]
        if (bad := _failed_pod(job, self.pods.items)) is not None:
            pod, container = bad
            evidence.append(f"pod {pod.name}: {_described_pod(pod, container, self.now)}")
            facts = {"pod": pod.name, "container": container.name if container else ""}
            remedies += [FAILED_POD] if container else []
        else:
            gone = "its failed pods are deleted; look for their logs in the log collection"
            evidence.append(self.pods.unread or gone)
        if cronjob := job.cronjob:
            facts |= {"cronjob": cronjob, "rerun": rerun_name(cronjob)}
        return self._finding(
            job,
            facts,
            observed=job.described_failure(self.now),
            expected="complete",
            since=failure.last_transition_time,
            evidence=evidence,
            remedies=[*remedies, RERUN if cronjob else DELETE],
        )

    def _slow(self, job: Job) -> Iterator[Finding]:
        since, limit = job.started, self.expectation.max_runtime
        if since is None or not longer_than(limit, since, self.now):
            return
        working = (pod for pod in pods_of(job, self.pods.items) if not pod.has_ended)
        slow = min(working, key=lambda pod: pod.name, default=None)
        status, has_deadline = job.status or JobStatus(), not job.spec or job.spec.active_deadline_seconds is not None
        counts = f"{status.active or 0} active, {status.succeeded or 0} succeeded, {status.failed or 0} failed"
        unlimited = "" if has_deadline else "; no activeDeadlineSeconds"
        yield self._finding(
            job,
            {"pod": slow.name} if slow else {},
            observed=f"not finished after {span(since, self.now)} (pods: {counts}{unlimited})",
            expected=f"finished within {limit}",
            since=since + timedelta(seconds=limit),
            evidence=[f"pod {slow.name}: {_state(slow)}" if slow else self.pods.unread or "it has no pod"],
            remedies=[SLOW, SLOW_POD] if slow else [SLOW],
        )

    def _suspended(self, job: Job) -> Iterator[Finding]:
        held = condition(job.status and job.status.conditions, "Suspended", "True")
        since, grace = (held and held.last_transition_time) or job.created, self.expectation.grace
        if since is not None and longer_than(grace, since, self.now) and not self.expectation.allow_suspended:
            observed, expected = f"suspended for {span(since, self.now)}", f"suspended for at most {grace}"
            yield self._finding(job, {}, observed=observed, expected=expected, since=since, remedies=[RESUME])


def _failed_pod(job: Job, pods: Iterable[Pod]) -> tuple[Pod, Reported | None] | None:
    """Its newest failed pod, and the failed container of that."""
    # A pod that restarts its containers itself (restartPolicy OnFailure) may not have failed as a whole.
    ended = [(pod, _ended_badly(pod)) for pod in pods_of(job, pods)]
    bad = [(pod, container) for pod, container in ended if container is not None or pod.phase == "Failed"]
    return max(bad, key=lambda one: (one[0].created or _LONG_AGO, one[0].name), default=None)


def _ended_badly(pod: Pod) -> Reported | None:
    return next((one for one in containers(pod) if one.last_end and one.last_end.exit_code), None)


def _described_pod(pod: Pod, container: Reported | None, now: datetime) -> str:
    if container is not None:
        return f"container {container.name}, {container.described(container.last_end, now)}"
    reason = (pod.status and pod.status.reason) or "Failed"
    return ": ".join((reason, *messages(pod.status and pod.status.message)))


def pods_of(job: Job, pods: Iterable[Pod]) -> Iterator[Pod]:
    """Its pods, without those of an older job of the same name."""
    for pod in pods:
        owner = pod.controller
        if owner and owner.kind == "Job" and (pod.namespace, owner.name) == (job.namespace, job.name):
            born, made = job.created, pod.created
            if born is None or made is None or made >= born:
                yield pod


def _state(pod: Pod) -> str:
    waits = next((one for one in containers(pod) if one.waiting_reason), None)
    return pod.phase + (f", container {waits.name} waits ({waits.waiting_reason})" if waits else "")
