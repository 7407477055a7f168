"""What can be expected of cron jobs."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from pydantic import Field

from opscheck.core.field_types import TimeZone
from opscheck.core.query import Query
from opscheck.core.remedy import Former, Remedy
from opscheck.core.units import Duration, Graded, Percentage
from opscheck.systems.kubernetes.batch import (
    CronJob,
    CronJobSpec,
    CronJobStatus,
    Job,
    ListCronJobs,
    ListJobs,
    newest_runs,
    rerun_name,
)
from opscheck.systems.kubernetes.schedules import Schedule, UnreadableSchedule, read_schedule
from opscheck.systems.kubernetes.scope import OfKind, Window, kubectl, missing_remedy
from opscheck.systems.kubernetes.words import lasting

NamePatterns = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(min_length=1)]


RUN_FACTS = {
    "cronjob": "the cron job's name",
    "failed_job": "its newest job, when that failed",
    "active_job": "the oldest of its jobs that still run",
    "rerun": "a name for another run of it",
}
REPORT = kubectl("See why no run succeeds, and fix that", "describe cronjob {{ cronjob }}")
FAILED_RUN = kubectl("Read the log of the run that failed", "logs job/{{ failed_job }} --all-containers --tail=100")
ACTIVE_RUN = kubectl(
    "See what the run that has not ended waits for",
    "describe job {{ active_job }}",
    "logs job/{{ active_job }} --all-containers --tail=100",
)
RESUME = kubectl("Resume it", 'patch cronjob {{ cronjob }} -p \'{"spec": {"suspend": false}}\'')
RUN_NOW = kubectl("Then run it by hand once", "create job --from=cronjob/{{ cronjob }} {{ rerun }}")
MISSING = missing_remedy("cronjobs")


class CronJobsOnTime(OfKind, check="kubernetes.cronjobs"):
    """Every selected cron job has succeeded lately: within `max_age`, or as its schedule says."""

    explains_others = True
    remedies = (REPORT, FAILED_RUN, ACTIVE_RUN, RESUME, RUN_NOW, MISSING)
    fact_names = OfKind.fact_names | RUN_FACTS
    former_fact_names = OfKind.former_fact_names | {
        "suspended": Former("cronjob", RESUME),
        "rerun_of": Former("cronjob", RUN_NOW),
    }

    max_age: Graded[Duration] | None = None
    """
    How long ago the last success may be. By default the schedule says it: the first run that is due after the last
    success must succeed, or one soon after it, within `slack`, `run_time` and `grace` together.
    """
    slack: Percentage = Percentage.parse("50%")
    """How much later than due a success may come, as a share of the time between that run and the next."""
    run_time: Window = Duration.parse("1h")
    """How long a run may take."""
    grace: Duration = Duration.parse("15m")
    """How late a run may be started."""
    time_zone: TimeZone = "UTC"
    """The zone of schedules without a `timeZone`, which is that of the controller manager."""
    allow_suspended: bool | NamePatterns = False
    """
    Whether cron jobs may stay suspended, or the names (with `*` and `?`) of those that may. One that may not is
    judged like any other, so that it may be suspended for as long as no success is overdue. A schedule that no date
    ever matches, such as `0 0 31 2 *`, is another way to suspend.
    """

    def queries(self) -> Iterable[Query[Any]]:
        return self.lists(ListCronJobs)

    def evidence_queries(self) -> Iterable[Query[Any]]:
        """The jobs too: which of its runs failed, and which still runs."""
        yield from super().evidence_queries()
        yield from self.lists(ListJobs)


_POLL = 10
"""The controller may look at a cron job this many seconds after it was due."""


def schedule_of(expectation: CronJobsOnTime, cronjob: CronJob) -> Schedule:
    """Its schedule in its zone. Raises UnreadableSchedule."""
    spec = spec_of(cronjob)
    return read_schedule(spec.schedule, spec.time_zone, expectation.time_zone)


@dataclass(frozen=True)
class Runs:
    """The jobs of one cron job, as far as they are still there and could be read."""

    jobs: Sequence[Job]
    failure: Job | None
    """The newest one that has finished, when it failed."""
    active: str
    """The oldest one that runs; empty when none does."""


def runs_of(cronjob: CronJob, jobs: Iterable[Job]) -> Runs:
    own = [job for job in jobs if (job.namespace, job.cronjob) == (cronjob.namespace, cronjob.name)]
    failure = next((job for job in newest_runs(own) if job.failure), None)
    return Runs(own, failure, _oldest_active(cronjob, own))


def _oldest_active(cronjob: CronJob, own: Iterable[Job]) -> str:
    names = {one.name for one in status_of(cronjob).active or () if one.name}
    begun = {job.name: moment.timestamp() for job in own if (moment := job.started)}
    return min(names, key=lambda name: (begun.get(name, float("inf")), name), default="")


def run_remedies(cronjob: CronJob, runs: Runs) -> list[Remedy]:
    """What fits the state of its runs; the commands name `run_facts`."""
    found = [FAILED_RUN] if runs.failure else []
    if cronjob.is_suspended:
        return [*found, RESUME]
    return [*found, ACTIVE_RUN if runs.active else RUN_NOW]


def run_facts(cronjob: CronJob, runs: Runs) -> dict[str, str]:
    """The values that commands about the cron job and its runs name."""
    jobs = {"failed_job": runs.failure.name if runs.failure else "", "active_job": runs.active}
    known = {name: job for name, job in jobs.items() if job}
    return {"cronjob": cronjob.name, "rerun": rerun_name(cronjob.name)} | known


def what_keeps(expectation: CronJobsOnTime, cronjob: CronJob, runs: Runs, now: datetime) -> str:
    """What keeps it from success, the nearest cause first."""
    if cronjob.is_suspended:
        return "it is suspended"
    if runs.active:
        return still_active(cronjob, runs, now)
    untold = missed(expectation, cronjob, now)
    if runs.failure and not untold:
        return f"its newest run {runs.failure.name} {runs.failure.described_failure(now)}"
    return untold or "no run that was started has succeeded"


def still_active(cronjob: CronJob, runs: Runs, now: datetime) -> str:
    """Which run has not ended, since when, and whether it keeps others from starting."""
    began = next((moment for job in runs.jobs if job.name == runs.active and (moment := job.started)), None)
    running = lasting(began, now)
    if spec_of(cronjob).concurrency_policy == "Forbid":
        return f"{runs.active} runs{running}, and concurrencyPolicy Forbid lets no other start"
    more = len(status_of(cronjob).active or ()) - 1
    return f"{runs.active} runs{running}" + (f", and {more} more" if more > 0 else "")


def missed(expectation: CronJobsOnTime, cronjob: CronJob, now: datetime) -> str:
    """Told where runs were due and none was started; empty where they were."""
    try:
        schedule = schedule_of(expectation, cronjob)
    except UnreadableSchedule:
        return ""
    last = status_of(cronjob).last_schedule_time
    counted_from = last or cronjob.created
    due = schedule.after(counted_from) if counted_from else None
    if due is None or (now - due).total_seconds() <= expectation.grace:
        return ""
    told = f"no run was started since {in_utc(last)}" if last else "no run was ever started"
    deadline = spec_of(cronjob).starting_deadline_seconds
    if deadline is not None and deadline < _POLL:
        return f"{told}; startingDeadlineSeconds {deadline} is shorter than the {_POLL}s between two looks at it"
    allowed = f" within startingDeadlineSeconds {deadline}" if deadline is not None else ""
    return f"{told}, though one was due{allowed} at {in_utc(due)}"


def in_utc(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M}Z"


def spec_of(cronjob: CronJob) -> CronJobSpec:
    return cronjob.spec or CronJobSpec()


def status_of(cronjob: CronJob) -> CronJobStatus:
    return cronjob.status or CronJobStatus()
