"""Cron jobs: the expectation, and the runs of one cron job."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Annotated, Any

from pydantic import Field

from opscheck.core.field_types import TimeZone
from opscheck.core.query import Query
from opscheck.core.remedy import Former, Remedy
from opscheck.core.units import Duration, Graded, Percentage
from opscheck.systems.kubernetes.batch import CronJob, Job, ListCronJobs, ListJobs, newest_runs, rerun_name
from opscheck.systems.kubernetes.schedules import Schedule, UnreadableSchedule, read_schedule
from opscheck.systems.kubernetes.scope import Glob, OfKind, Window, kubectl, missing_remedy
from opscheck.systems.kubernetes.words import lasting, longer_than

RUN_FACTS = {
    "cronjob": "the cron job's name",
    "failed_job": "its newest job, when that failed",
    "active_job": "the oldest of its jobs that still run",
    "rerun": "a name for a manual run of it",
}
REPORT = kubectl("Find out why no run succeeds, and fix it", "describe cronjob {{ cronjob }}")
FAILED_RUN = kubectl("Read the log of the failed run", "logs job/{{ failed_job }} --all-containers --tail=100")
ACTIVE_RUN = kubectl(
    "Find out what the unfinished run waits for",
    "describe job {{ active_job }}",
    "logs job/{{ active_job }} --all-containers --tail=100",
)
RESUME = kubectl("Resume it", 'patch cronjob {{ cronjob }} -p \'{"spec": {"suspend": false}}\'')
RUN_NOW = kubectl("Then run it once manually", "create job --from=cronjob/{{ cronjob }} {{ rerun }}")
MISSING = missing_remedy("cronjobs")


class CronJobsOnTime(OfKind, check="kubernetes.cronjobs"):
    """
    Every selected cron job succeeded within `max_age` or since its last schedule.

    The first run due after the last success must succeed, or a later one within `slack`, `run_time` and `grace`.
    Schedules are read in their time zone, with daylight saving. A suspended cron job is judged like any other,
    unless `allow_suspended` names it.
    """

    explains_others = True
    remedies = (REPORT, FAILED_RUN, ACTIVE_RUN, RESUME, RUN_NOW, MISSING)
    fact_names = OfKind.fact_names | RUN_FACTS
    former_fact_names = OfKind.former_fact_names | {
        "suspended": Former("cronjob", RESUME),
        "rerun_of": Former("cronjob", RUN_NOW),
    }

    max_age: Graded[Duration] | None = None
    """
    Maximum age of the last success. By default it follows from the schedule: the first run due after the last success
    must succeed, or a later one within `slack`, `run_time` and `grace` together.
    """
    slack: Percentage = Percentage.parse("50%")
    """Maximum delay of a success, as a share of the time between that run and the next."""
    run_time: Window = Duration.parse("1h")
    """Maximum duration of a run."""
    grace: Duration = Duration.parse("15m")
    """Maximum delay of the start of a run."""
    time_zone: TimeZone = "UTC"
    """The zone of schedules without a `timeZone`: that of the controller manager."""
    allow_suspended: bool | Annotated[tuple[Glob, ...], Field(min_length=1)] = False
    """
    Allow cron jobs to stay suspended: all of them, or those with these names (with `*` and `?`). Any other suspended
    cron job is judged as usual, and is a violation when a success is overdue. A schedule that no date matches, such as
    `0 0 31 2 *`, counts as suspended.
    """

    def queries(self) -> Iterable[Query[Any]]:
        return self.lists(ListCronJobs)

    def evidence_queries(self) -> Iterable[Query[Any]]:
        """The jobs too: the failed and the active runs."""
        return *super().evidence_queries(), *self.lists(ListJobs)

    def schedule_of(self, cronjob: CronJob) -> Schedule:
        """Its schedule in its zone. Raises UnreadableSchedule."""
        return read_schedule(cronjob.specified.schedule, cronjob.specified.time_zone, self.time_zone)


_POLL = 10
"""The controller may process a cron job this many seconds after it was due."""


@dataclass(frozen=True)
class Runs:
    """The runs of one cron job whose jobs still exist and could be read."""

    expectation: CronJobsOnTime
    cronjob: CronJob
    listed: Sequence[Job]
    """The jobs of every cron job."""

    @cached_property
    def jobs(self) -> tuple[Job, ...]:
        mine = (self.cronjob.namespace, self.cronjob.name)
        return tuple(job for job in self.listed if (job.namespace, job.cronjob) == mine)

    @cached_property
    def failure(self) -> Job | None:
        """The newest finished run, if it failed."""
        return next((job for job in newest_runs(self.jobs) if job.failure), None)

    @cached_property
    def active(self) -> str:
        """The oldest active run; empty without one."""
        names = {one.name for one in self.cronjob.reported.active or () if one.name}
        begun = {job.name: moment.timestamp() for job in self.jobs if (moment := job.started)}
        return min(names, key=lambda name: (begun.get(name, float("inf")), name), default="")

    @property
    def remedies(self) -> list[Remedy]:
        """The remedies for their state; the commands name `facts`."""
        found = [FAILED_RUN] if self.failure else []
        if self.cronjob.is_suspended:
            return [*found, RESUME]
        return [*found, ACTIVE_RUN if self.active else RUN_NOW]

    @property
    def facts(self) -> dict[str, str]:
        jobs = {"failed_job": self.failure.name if self.failure else "", "active_job": self.active}
        known = {name: job for name, job in jobs.items() if job}
        return {"cronjob": self.cronjob.name, "rerun": rerun_name(self.cronjob.name)} | known

    def obstacle(self, now: datetime) -> str:
        """The reason why it has no success."""
        if self.cronjob.is_suspended:
            return "suspended"
        if self.active:
            return self.still_active(now)
        missed = self.missed(now)
        if self.failure and not missed:
            return f"newest run {self.failure.name} {self.failure.described_failure(now)}"
        return missed or "no started run has succeeded"

    def still_active(self, now: datetime) -> str:
        """The unfinished run, its duration, and whether it blocks others."""
        began = next((moment for job in self.jobs if job.name == self.active and (moment := job.started)), None)
        running = lasting(began, now)
        if self.cronjob.specified.concurrency_policy == "Forbid":
            return f"{self.active} runs{running}, and concurrencyPolicy Forbid blocks other runs"
        more = len(self.cronjob.reported.active or ()) - 1
        return f"{self.active} runs{running}" + (f", and {more} more" if more > 0 else "")

    def missed(self, now: datetime) -> str:
        """The text that a due run was not started; empty when it was."""
        try:
            schedule = self.expectation.schedule_of(self.cronjob)
        except UnreadableSchedule:
            return ""
        last = self.cronjob.reported.last_schedule_time
        counted_from = last or self.cronjob.created
        due = schedule.after(counted_from) if counted_from else None
        if due is None or not longer_than(self.expectation.grace, due, now):
            return ""
        missed = f"no run started since {in_utc(last)}" if last else "no run has ever started"
        deadline = self.cronjob.specified.starting_deadline_seconds
        if deadline is not None and deadline < _POLL:
            return f"{missed}; startingDeadlineSeconds {deadline} is shorter than the controller's interval of {_POLL}s"
        allowed = f" within startingDeadlineSeconds {deadline}" if deadline is not None else ""
        return f"{missed}; one was due{allowed} at {in_utc(due)}"


def in_utc(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M}Z"
