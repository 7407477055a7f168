"""Jobs and cron jobs, as the API server returns them."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import final

from msgspec.structs import force_setattr

from opscheck.core.query import Timestamp
from opscheck.core.words import counted
from opscheck.systems.kubernetes.lists import ListObjects
from opscheck.systems.kubernetes.objects import Condition, KubernetesObject, ObjectReference, Part, condition
from opscheck.systems.kubernetes.scripts import flaws, script_of
from opscheck.systems.kubernetes.words import span

# Complete and Failed come when the last pod has ended; the other two when the outcome is certain.
_OUTCOMES = ("Complete", "Failed", "SuccessCriteriaMet", "FailureTarget")


@final
class JobSpec(Part, frozen=True):
    suspend: bool | None = None
    active_deadline_seconds: int | None = None
    backoff_limit: int | None = None
    backoff_limit_per_index: int | None = None


@final
class JobStatus(Part, frozen=True):
    conditions: tuple[Condition, ...] | None = None
    active: int | None = None
    succeeded: int | None = None
    failed: int | None = None
    """Number of failed pods. A job that succeeded in the end has some too, so this decides nothing."""
    start_time: Timestamp | None = None
    """The time of the start or the last resume; null while it is suspended."""
    completion_time: Timestamp | None = None
    """The time of the success; null for a failed job."""
    failed_indexes: str | None = None
    """Of an indexed job with a limit per index: `1,3-5`."""


@final
class Job(KubernetesObject, frozen=True):
    spec: JobSpec | None = None
    status: JobStatus | None = None

    @property
    def is_suspended(self) -> bool:
        return bool(self.spec and self.spec.suspend)

    @property
    def started(self) -> datetime | None:
        """The time of the start, else of the creation."""
        return (self.status and self.status.start_time) or self.created

    @property
    def cronjob(self) -> str:
        """The name of the cron job that owns it; empty for others."""
        owner = self.controller
        return (owner.name or "") if owner and owner.kind == "CronJob" else ""

    @property
    def outcome(self) -> Condition | None:
        """The condition that marks it as finished, however many of its pods failed."""
        conditions = self.status and self.status.conditions
        return next((found for kind in _OUTCOMES if (found := condition(conditions, kind, "True"))), None)

    @property
    def has_succeeded(self) -> bool:
        return self.outcome is not None and self.outcome.type in {"Complete", "SuccessCriteriaMet"}

    @property
    def failure(self) -> Condition | None:
        """The condition that marks it as failed; None for a job that has not failed."""
        return None if self.has_succeeded else self.outcome

    def described_failure(self, now: datetime) -> str:
        """The failure in words: `failed 5m ago: BackoffLimitExceeded (7 pods failed, backoffLimit 6)`."""
        failure = self.failure or Condition()
        ago = f" {span(failure.last_transition_time, now)} ago" if failure.last_transition_time else ""
        notes = ", ".join(self._notes(failure.reason))
        return f"failed{ago}: {failure.reason or 'no reason given'}" + (f" ({notes})" if notes else "")

    def _notes(self, reason: str | None) -> Iterator[str]:
        spec, status = self.spec or JobSpec(), self.status or JobStatus()
        if status.failed:
            yield f"{counted(status.failed, 'pod')} failed"
        if status.failed_indexes:
            yield f"indexes {status.failed_indexes}"
        if reason == "DeadlineExceeded" and spec.active_deadline_seconds is not None:
            yield f"activeDeadlineSeconds {spec.active_deadline_seconds}"
        if reason == "BackoffLimitExceeded" and spec.backoff_limit is not None:
            yield f"backoffLimit {spec.backoff_limit}"
        if reason in {"FailedIndexes", "MaxFailedIndexesExceeded"} and spec.backoff_limit_per_index is not None:
            yield f"backoffLimitPerIndex {spec.backoff_limit_per_index}"


@final
class Scripted(Part, frozen=True):
    """A container of a job and the flaws of its script. The command itself is dropped: it may hold secrets."""

    name: str | None = None
    command: tuple[str, ...] | None = None
    """Always None once it was read."""
    args: tuple[str, ...] | None = None
    """Always None once they were read."""
    has_script: bool = False
    """True when the script is in its command and not in a file."""
    flaws: tuple[str, ...] = ()
    """Flaws that hide a failure, in fixed words."""

    def __post_init__(self) -> None:
        """Inspect the script, then drop it."""
        words = (*(self.command or ()), *(self.args or ()))
        if words:
            force_setattr(self, "has_script", bool(script_of(words)[0]))
            force_setattr(self, "flaws", flaws(words))
            force_setattr(self, "command", None)
            force_setattr(self, "args", None)


@final
class ScriptedPod(Part, frozen=True):
    containers: tuple[Scripted, ...] | None = None
    init_containers: tuple[Scripted, ...] | None = None


@final
class PodTemplate(Part, frozen=True):
    spec: ScriptedPod | None = None


@final
class JobTemplateSpec(Part, frozen=True):
    template: PodTemplate | None = None


@final
class JobTemplate(Part, frozen=True):
    spec: JobTemplateSpec | None = None


@final
class CronJobSpec(Part, frozen=True):
    schedule: str | None = None
    time_zone: str | None = None
    """The zone of the schedule; by default that of the controller manager."""
    suspend: bool | None = None
    starting_deadline_seconds: int | None = None
    concurrency_policy: str | None = None
    successful_jobs_history_limit: int | None = None
    job_template: JobTemplate | None = None

    @property
    def containers(self) -> tuple[Scripted, ...]:
        of_job = self.job_template and self.job_template.spec
        pod = of_job and of_job.template and of_job.template.spec
        return (*(pod.init_containers or ()), *(pod.containers or ())) if pod else ()


@final
class CronJobStatus(Part, frozen=True):
    """The reported status. It has no time of the last failure (kubernetes/kubernetes#133662)."""

    active: tuple[ObjectReference, ...] | None = None
    last_schedule_time: Timestamp | None = None
    last_successful_time: Timestamp | None = None


@final
class CronJob(KubernetesObject, frozen=True):
    spec: CronJobSpec | None = None
    status: CronJobStatus | None = None

    @property
    def is_suspended(self) -> bool:
        return bool(self.specified.suspend)

    @property
    def specified(self) -> CronJobSpec:
        return self.spec or CronJobSpec()

    @property
    def reported(self) -> CronJobStatus:
        return self.status or CronJobStatus()

    @property
    def last_success(self) -> datetime | None:
        return self.reported.last_successful_time


class ListJobs(ListObjects[Job], name="kubernetes.jobs", resource="jobs.v1.batch"):
    """Lists jobs."""


class ListCronJobs(ListObjects[CronJob], name="kubernetes.cronjobs", resource="cronjobs.v1.batch"):
    """Lists cron jobs."""

    called = "cron jobs"


def newest_runs(jobs: Iterable[Job]) -> Iterator[Job]:
    """
    The newest finished run of each cron job.

    Failed runs stay until a history limit removes them, so older ones would be reported forever (OSD-14058).
    """
    runs: dict[tuple[str, str], list[Job]] = defaultdict(list)
    for job in jobs:
        if job.cronjob and not job.is_terminating and job.outcome:
            runs[job.namespace, job.cronjob].append(job)
    for finished in runs.values():
        yield max(finished, key=lambda job: (moment.timestamp() if (moment := job.started) else 0.0, job.name))


def rerun_name(cronjob: str) -> str:
    """A name for a job that is created manually from the cron job: at most 63 characters."""
    return f"{cronjob[:55]}-by-hand"
