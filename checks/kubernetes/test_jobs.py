"""The jobs of a cluster."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

from opscheck import Findings, Observe
from opscheck.core.record import Finding
from opscheck.systems.kubernetes.batch import (
    CronJob,
    Job,
    JobStatus,
    ListCronJobs,
    ListJobs,
    cronjob_of,
    described_failure,
    failed,
    newest_runs,
    rerun_name,
    started,
    succeeded,
)
from opscheck.systems.kubernetes.containers import Reported, containers, described_end
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
from opscheck.systems.kubernetes.objects import Condition, condition
from opscheck.systems.kubernetes.owners import controller, owner_reference
from opscheck.systems.kubernetes.pod_status import has_ended, phase
from opscheck.systems.kubernetes.pods import ListPods, Pod
from opscheck.systems.kubernetes.selection import Evidence, count_matches, listed, listed_evidence, matching
from opscheck.systems.kubernetes.warnings import Warnings
from opscheck.systems.kubernetes.words import message, messages, span

_LONG_AGO = datetime.min.replace(tzinfo=UTC)


def test_the_jobs_do_their_work(expectation: JobsComplete, observe: Observe, findings: Findings) -> None:
    """
    No selected job has failed, and none runs for too long.

    What a job was there for, a migration, a backup, a report, has not happened, and nothing tries it again.
    """
    there, cronjobs = listed(observe, expectation.lists(ListJobs)), listed(observe, expectation.lists(ListCronJobs))
    jobs = matching(expectation, there)
    count_matches(expectation, there, jobs, findings, remedy=MISSING)
    measure_jobs(expectation, jobs, observe.now, findings)
    around = Around(there, cronjobs, listed_evidence(observe, expectation.lists(ListPods)))
    warnings = Warnings(expectation, observe)
    for job in jobs:
        for finding in problems(expectation, job, around, observe.now):
            findings.report(warnings.attach(finding, job))


def measure_jobs(expectation: JobsComplete, jobs: Sequence[Job], now: datetime, findings: Findings) -> None:
    """Record how many failed, old ones too, and which runs longest."""
    findings.measure("failed jobs", sum(failed(job) is not None for job in jobs), subject=expectation.selected)
    runs = [
        ((now - since).total_seconds(), job.namespace, job.name, job)
        for job in jobs
        if not (job.is_terminating or succeeded(job) or failed(job) or is_suspended(job))
        and (since := started(job)) is not None
    ]
    if runs:
        seconds, *_, job = max(runs, key=lambda run: run[:3])
        name, limit = expectation.subject(job), float(expectation.max_runtime)
        findings.measure("longest run", seconds, unit="s", subject=name, limit=limit, margin=limit - seconds)


@dataclass(frozen=True)
class Around:
    """What is around the selected jobs."""

    jobs: Sequence[Job]
    """All jobs that were listed, the selected ones too."""
    cronjobs: Sequence[CronJob]
    pods: Evidence[Pod] = field(default_factory=Evidence)

    @cached_property
    def newest_runs(self) -> frozenset[tuple[str, str]]:
        """Of each cron job the newest run that has finished, by namespace and name."""
        return frozenset((run.namespace, run.name) for run in newest_runs(self.jobs))

    @cached_property
    def _successes(self) -> dict[tuple[str, str], datetime | None]:
        return {(one.namespace, one.name): one.status and one.status.last_successful_time for one in self.cronjobs}

    def has_succeeded_since(self, job: Job, failure: Condition) -> bool:
        """True when its cron job knows of a run that succeeded after it failed."""
        at, success = failure.last_transition_time, self._successes.get((job.namespace, cronjob_of(job)))
        return at is not None and success is not None and at < success


def problems(expectation: JobsComplete, job: Job, around: Around, now: datetime) -> Iterator[Finding]:
    """What is wrong with a job: that it failed, runs for too long, or is suspended and may not be."""
    failure = failed(job)
    if job.is_terminating or succeeded(job):
        return
    if failure is None:
        yield from _suspended(expectation, job, now) if is_suspended(job) else _slow(expectation, job, around.pods, now)
    elif cronjob_of(job):
        if (job.namespace, job.name) in around.newest_runs and not around.has_succeeded_since(job, failure):
            yield _failure(expectation, job, failure, around.pods, now)
    else:
        at, limit = failure.last_transition_time, expectation.forget_after
        if limit is None or at is None or (now - at).total_seconds() <= limit:
            yield _failure(expectation, job, failure, around.pods, now)


def _finding(expectation: JobsComplete, job: Job, facts: Mapping[str, str], **given: Any) -> Finding:
    of = owner_reference(expectation.target, job)
    return expectation.finding_on(job, facts={"job": job.name, **facts}, because=[of] if of else [], **given)


def is_suspended(job: Job) -> bool:
    return bool(job.spec and job.spec.suspend)


def _failure(expectation: JobsComplete, job: Job, failure: Condition, pods: Evidence[Pod], now: datetime) -> Finding:
    evidence, facts, remedies = [*messages(failure.message)], {}, [FAILED]
    if (bad := _failed_pod(job, pods.items)) is not None:
        pod, container = bad
        evidence.append(f"pod {pod.name}: {_described_pod(pod, container, now)}")
        facts = {"pod": pod.name, "container": container.name if container else ""}
        remedies += [FAILED_POD] if container else []
    else:
        gone = "none of its failed pods is there any more; their logs are where logs are collected"
        evidence.append(pods.unread or gone)
    cronjob = cronjob_of(job)
    return _finding(
        expectation,
        job,
        facts | ({"cronjob": cronjob, "rerun": rerun_name(cronjob)} if cronjob else {}),
        observed=described_failure(job, failure, now),
        expected="complete",
        since=failure.last_transition_time,
        evidence=evidence,
        remedies=[*remedies, RERUN if cronjob else DELETE],
    )


def _failed_pod(job: Job, pods: Iterable[Pod]) -> tuple[Pod, Reported | None] | None:
    """The newest of its pods that failed, and its container that ended badly."""
    # A pod that restarts its containers itself (restartPolicy OnFailure) may be there and not have failed.
    ended = [(pod, _ended_badly(pod)) for pod in pods_of(job, pods)]
    bad = [(pod, container) for pod, container in ended if container is not None or phase(pod) == "Failed"]
    return max(bad, key=lambda one: (one[0].created or _LONG_AGO, one[0].name), default=None)


def _ended_badly(pod: Pod) -> Reported | None:
    ends = ((container, container.last_end) for container in containers(pod))
    return next((container for container, end in ends if end is not None and end.exit_code), None)


def _described_pod(pod: Pod, container: Reported | None, now: datetime) -> str:
    if container is not None:
        return f"container {container.name}, {described_end(container.last_end, container, now)}"
    said = message(pod.status and pod.status.message)
    reason = (pod.status and pod.status.reason) or "Failed"
    return f"{reason}: {said}" if said else reason


def pods_of(job: Job, pods: Iterable[Pod]) -> Iterator[Pod]:
    """The pods that it made; those of a predecessor of the same name are not its own."""
    for pod in pods:
        owner = controller(pod)
        if owner and owner.kind == "Job" and (pod.namespace, owner.name) == (job.namespace, job.name):
            born, made = job.created, pod.created
            if born is None or made is None or made >= born:
                yield pod


def _slow(expectation: JobsComplete, job: Job, pods: Evidence[Pod], now: datetime) -> Iterator[Finding]:
    since, limit = started(job), timedelta(seconds=expectation.max_runtime)
    if since is None or now - since <= limit:
        return
    slow = min((pod for pod in pods_of(job, pods.items) if not has_ended(pod)), key=lambda pod: pod.name, default=None)
    status, has_deadline = job.status or JobStatus(), job.spec is None or job.spec.active_deadline_seconds is not None
    counts = f"{status.active or 0} active, {status.succeeded or 0} succeeded, {status.failed or 0} failed"
    unlimited = "" if has_deadline else "; no activeDeadlineSeconds ends it"
    yield _finding(
        expectation,
        job,
        {"pod": slow.name} if slow else {},
        observed=f"not finished after {span(since, now)}, pods: {counts}{unlimited}",
        expected=f"finished within {expectation.max_runtime}",
        since=since + limit,
        evidence=[f"pod {slow.name}: {_state(slow)}" if slow else pods.unread or "no pod of it is there"],
        remedies=[SLOW, SLOW_POD] if slow else [SLOW],
    )


def _state(pod: Pod) -> str:
    waits = next((one for one in containers(pod) if one.waiting_reason), None)
    if waits is not None:
        return f"{phase(pod)}, container {waits.name} waits ({waits.waiting_reason})"
    return phase(pod)


def _suspended(expectation: JobsComplete, job: Job, now: datetime) -> Iterator[Finding]:
    held = condition(job.status and job.status.conditions, "Suspended", "True")
    since = (held and held.last_transition_time) or job.created
    if expectation.allow_suspended or since is None or (now - since).total_seconds() <= expectation.grace:
        return
    yield _finding(
        expectation,
        job,
        {},
        observed=f"suspended for {span(since, now)}",
        expected=f"suspended for {expectation.grace} at most",
        since=since,
        remedies=[RESUME],
    )
