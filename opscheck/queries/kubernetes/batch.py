"""Jobs and cron jobs, as far as checks read them."""

from dataclasses import dataclass
from typing import final

from opscheck.queries.kubernetes.lists import ListObjects
from opscheck.queries.kubernetes.objects import Condition, KubernetesObject, Part, Timestamp


@final
class JobSpec(Part, frozen=True):
    """What was asked for."""

    suspend: bool | None = None
    active_deadline_seconds: int | None = None
    backoff_limit: int | None = None
    backoff_limit_per_index: int | None = None


@final
class JobStatus(Part, frozen=True):
    """What became of it."""

    conditions: tuple[Condition, ...] | None = None
    active: int | None = None
    succeeded: int | None = None
    failed: int | None = None
    """How many of its pods failed. A job that succeeded at last has some too: this is no verdict."""
    start_time: Timestamp | None = None
    """When it was started, or last resumed; null while it is suspended."""
    failed_indexes: str | None = None
    """Of an indexed job with a limit per index: `1,3-5`."""


@final
class Job(KubernetesObject, frozen=True):
    """A job."""

    spec: JobSpec | None = None
    status: JobStatus | None = None


@final
class CronJobSpec(Part, frozen=True):
    """What was asked for."""

    schedule: str | None = None
    time_zone: str | None = None
    """Of the schedule; the zone of the controller manager where it says nothing."""
    suspend: bool | None = None
    starting_deadline_seconds: int | None = None
    concurrency_policy: str | None = None
    successful_jobs_history_limit: int | None = None


@final
class ActiveJob(Part, frozen=True):
    """One of the jobs that a cron job has running."""

    name: str | None = None


@final
class CronJobStatus(Part, frozen=True):
    """What became of it. There is no time of the last failure (kubernetes/kubernetes#133662)."""

    active: tuple[ActiveJob, ...] | None = None
    last_schedule_time: Timestamp | None = None
    last_successful_time: Timestamp | None = None


@final
class CronJob(KubernetesObject, frozen=True):
    """A cron job."""

    spec: CronJobSpec | None = None
    status: CronJobStatus | None = None


@dataclass(frozen=True)
class ListJobs(ListObjects[Job], name="kubernetes.jobs", resource="jobs.v1.batch"):
    """Every job there."""


@dataclass(frozen=True)
class ListCronJobs(ListObjects[CronJob], name="kubernetes.cronjobs", resource="cronjobs.v1.batch", called="cron jobs"):
    """Every cron job there."""
