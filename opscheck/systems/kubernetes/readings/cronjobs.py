"""Whether a cron job has succeeded lately, and what keeps it from that; told from itself, its schedule and the time."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fnmatch import fnmatchcase

from opscheck.core.observation import Problem
from opscheck.core.units import Severity, format_duration
from opscheck.core.words import some
from opscheck.systems.kubernetes.batch import CronJob, CronJobSpec, CronJobStatus, Job
from opscheck.systems.kubernetes.cronjobs import CronJobsOnTime
from opscheck.systems.kubernetes.readings.jobs import (
    cronjob_of,
    described_failure,
    failed,
    newest_runs,
    rerun_facts,
    started,
)
from opscheck.systems.kubernetes.schedules import Schedule, UnreadableSchedule, read_schedule
from opscheck.systems.kubernetes.selection import Beside
from opscheck.systems.kubernetes.troubles import Trouble
from opscheck.systems.kubernetes.words import cannot_tell, lasting

_POLL = 10
"""The controller may look at a cron job this many seconds after it was due."""


@dataclass(frozen=True)
class Age:
    """How long ago a cron job succeeded last, or was made where it never did, and how long ago that may be."""

    cronjob: CronJob
    seconds: float
    limit: float
    severity: Severity | None
    """How bad that is where a limit grades it; None where it is on time, or the expectation's own severity counts."""
    said: str
    """Where the limit comes from, in words."""

    @property
    def margin(self) -> float:
        """How many seconds are left; negative when it is overdue."""
        return self.limit - self.seconds

    @property
    def is_overdue(self) -> bool:
        """True beyond the limit."""
        return self.seconds > self.limit


@dataclass
class Judgement:
    """What can be said of all selected cron jobs."""

    ages: list[Age] = field(default_factory=list)
    never_due: list[CronJob] = field(default_factory=list)
    """Those whose schedule no date ever matches, and that may not be suspended in this way."""
    suspended: int = 0
    """How many are suspended and may be."""
    unjudged: dict[str, str] = field(default_factory=dict)
    """Those of which nothing can be said, each with the reason."""

    @property
    def worst(self) -> Age | None:
        """The one that is most overdue, or will be so first."""
        return min(self.ages, key=lambda age: age.margin, default=None)


def judge_cronjobs(expectation: CronJobsOnTime, cronjobs: Iterable[CronJob], now: datetime) -> Judgement:
    """Hold each to its limit."""
    judgement = Judgement()
    for cronjob in cronjobs:
        if cronjob.is_terminating:
            continue
        if is_suspended(cronjob) and may_be_suspended(expectation, cronjob):
            judgement.suspended += 1
            continue
        try:
            _judge(expectation, cronjob, judgement, now)
        except UnreadableSchedule as reason:
            judgement.unjudged[expectation.subject(cronjob)] = str(reason)
    return judgement


def _judge(expectation: CronJobsOnTime, cronjob: CronJob, judgement: Judgement, now: datetime) -> None:
    counted_from = last_success(cronjob) or cronjob.created
    if counted_from is None:
        judgement.unjudged[expectation.subject(cronjob)] = "it does not say when it was made"
        return
    seconds = max(0.0, (now - counted_from).total_seconds())
    if (limits := expectation.max_age) is not None:
        limit, severity = limits.limit(seconds), limits.severity(seconds)
        age = Age(cronjob, seconds, float(limit), severity, f"at most {limit} ago")
    else:
        schedule = schedule_of(expectation, cronjob)
        due = due_after(expectation, schedule, counted_from)
        if due is None:
            _never_due(expectation, cronjob, judgement)
            return
        limit_s = (due - counted_from).total_seconds()
        age = Age(
            cronjob, seconds, limit_s, None, f"at most {format_duration(limit_s)} ago, by its schedule {schedule}"
        )
    if age.is_overdue and not _success_would_be_known(expectation, cronjob, now):
        judgement.unjudged[expectation.subject(cronjob)] = (
            "it keeps no successful jobs (successfulJobsHistoryLimit: 0), so that a cluster older than"
            " kubernetes/kubernetes#122025 does not record when it succeeded"
        )
        return
    judgement.ages.append(age)


def _never_due(expectation: CronJobsOnTime, cronjob: CronJob, judgement: Judgement) -> None:
    if may_be_suspended(expectation, cronjob):
        judgement.suspended += 1
    else:
        judgement.never_due.append(cronjob)


def schedule_of(expectation: CronJobsOnTime, cronjob: CronJob) -> Schedule:
    """Its schedule in its zone. Raises UnreadableSchedule."""
    spec = _spec(cronjob)
    return read_schedule(spec.schedule, spec.time_zone, expectation.time_zone)


def due_after(expectation: CronJobsOnTime, schedule: Schedule, moment: datetime) -> datetime | None:
    """
    When the first success after `moment` is due: with the first run after it, or one soon after; None for never.

    It goes by the runs and not by the length of a period, which is longer over a weekend, or where the clocks skip
    the hour of a run, than on other days.
    """
    first = schedule.after(moment)
    if first is None:
        return None
    second = schedule.after(first) or first
    share = (second - first).total_seconds() * expectation.slack / 100
    try:
        return first + timedelta(seconds=share + expectation.run_time + expectation.grace)
    except OverflowError:
        return None


def _success_would_be_known(expectation: CronJobsOnTime, cronjob: CronJob, now: datetime) -> bool:
    spec, status = _spec(cronjob), _status(cronjob)
    if status.last_successful_time is not None or spec.successful_jobs_history_limit != 0:
        return True
    # Where no run has been started either, none can have succeeded.
    begun = status.last_schedule_time
    if begun is None:
        return True
    if expectation.max_age is not None:
        ended_at_latest = begun + timedelta(seconds=expectation.run_time)
        return expectation.max_age.severity((now - ended_at_latest).total_seconds()) is not None
    due = due_after(expectation, schedule_of(expectation, cronjob), begun)
    return due is not None and due < now


def is_suspended(cronjob: CronJob) -> bool:
    """True while it starts no runs."""
    return bool(_spec(cronjob).suspend)


def may_be_suspended(expectation: CronJobsOnTime, cronjob: CronJob) -> bool:
    """True when the policy allows it for this one."""
    allowed = expectation.allow_suspended
    if isinstance(allowed, bool):
        return allowed
    return any(fnmatchcase(cronjob.name, pattern) for pattern in allowed)


def last_success(cronjob: CronJob) -> datetime | None:
    """When its newest successful run ended."""
    return _status(cronjob).last_successful_time


def troubles(expectation: CronJobsOnTime, judgement: Judgement, jobs: Beside[Job], now: datetime) -> Iterator[Trouble]:
    """What is wrong, one for each cron job that is overdue or never due."""
    for cronjob in judgement.never_due:
        facts = _facts(cronjob)
        schedule = _spec(cronjob).schedule
        yield Trouble(cronjob, f"never runs: no date matches its schedule {schedule}", "runs now and then", facts=facts)
    for age in judgement.ages:
        if age.is_overdue:
            yield _overdue(expectation, age, jobs, now)


@dataclass(frozen=True)
class Runs:
    """The jobs of one cron job, as far as they are still there and could be read."""

    jobs: Sequence[Job]
    failure: Job | None
    """The newest one that has finished, when it failed."""
    active: str
    """The oldest one that runs; empty when none does."""


def runs_of(cronjob: CronJob, jobs: Iterable[Job]) -> Runs:
    """Its jobs among `jobs`."""
    own = [job for job in jobs if (job.namespace, cronjob_of(job)) == (cronjob.namespace, cronjob.name)]
    failure = next((job for job in newest_runs(own) if failed(job)), None)
    return Runs(own, failure, _oldest_active(cronjob, own))


def _oldest_active(cronjob: CronJob, own: Iterable[Job]) -> str:
    names = {one.name for one in _status(cronjob).active or () if one.name}
    begun = {job.name: moment.timestamp() for job in own if (moment := started(job))}
    return min(names, key=lambda name: (begun.get(name, float("inf")), name), default="")


def _overdue(expectation: CronJobsOnTime, age: Age, jobs: Beside[Job], now: datetime) -> Trouble:
    cronjob = age.cronjob
    runs = runs_of(cronjob, jobs.items)
    since = format_duration(age.seconds)
    seen = f"last success {since} ago" if last_success(cronjob) else f"no success since it was made {since} ago"
    why = what_keeps(expectation, cronjob, runs, now)
    untold = runs.failure if runs.failure and runs.failure.name not in why else None
    return Trouble(
        cronjob,
        f"{seen}: {why}",
        f"a success {age.said}",
        now + timedelta(seconds=age.margin),
        (*_last_runs(cronjob, untold, now), *filter(None, [jobs.unread])),
        _facts(cronjob) | dict(remedies(cronjob, runs)),
        severity=age.severity,
    )


def remedies(cronjob: CronJob, runs: Runs) -> Iterator[tuple[str, str]]:
    """What commands may name, beside the cron job itself."""
    if runs.failure is not None:
        yield "failed_job", runs.failure.name
    if is_suspended(cronjob):
        return
    if runs.active:
        yield "active_job", runs.active
    else:
        yield from rerun_facts(cronjob.name).items()


def what_keeps(expectation: CronJobsOnTime, cronjob: CronJob, runs: Runs, now: datetime) -> str:
    """What keeps it from success, the nearest cause first."""
    if is_suspended(cronjob):
        return "it is suspended"
    if runs.active:
        return still_active(cronjob, runs, now)
    untold = missed(expectation, cronjob, now)
    condition = failed(runs.failure) if runs.failure else None
    if runs.failure and condition and not untold:
        return f"its newest run {runs.failure.name} {described_failure(runs.failure, condition, now)}"
    return untold or "no run that was started has succeeded"


def still_active(cronjob: CronJob, runs: Runs, now: datetime) -> str:
    """Which run has not ended, since when, and whether it keeps others from starting."""
    began = next((moment for job in runs.jobs if job.name == runs.active and (moment := started(job))), None)
    running = lasting(began, now)
    if _spec(cronjob).concurrency_policy == "Forbid":
        return f"{runs.active} runs{running}, and concurrencyPolicy Forbid lets no other start"
    more = len(_status(cronjob).active or ()) - 1
    return f"{runs.active} runs{running}" + (f", and {more} more" if more > 0 else "")


def missed(expectation: CronJobsOnTime, cronjob: CronJob, now: datetime) -> str:
    """Told where runs were due and none was started; empty where they were."""
    try:
        schedule = schedule_of(expectation, cronjob)
    except UnreadableSchedule:
        return ""
    last = _status(cronjob).last_schedule_time
    counted_from = last or cronjob.created
    due = schedule.after(counted_from) if counted_from else None
    if due is None or (now - due).total_seconds() <= expectation.grace:
        return ""
    told = f"no run was started since {_utc(last)}" if last else "no run was ever started"
    deadline = _spec(cronjob).starting_deadline_seconds
    if deadline is not None and deadline < _POLL:
        return f"{told}; startingDeadlineSeconds {deadline} is shorter than the {_POLL}s between two looks at it"
    allowed = f" within startingDeadlineSeconds {deadline}" if deadline is not None else ""
    return f"{told}, though one was due{allowed} at {_utc(due)}"


def _last_runs(cronjob: CronJob, failure: Job | None, now: datetime) -> Iterator[str]:
    status = _status(cronjob)
    if (success := status.last_successful_time) is not None:
        yield f"last success {_utc(success)}"
    if (begun := status.last_schedule_time) is not None:
        yield f"last run was due {_utc(begun)}"
    condition = failed(failure) if failure else None
    if failure and condition:
        yield f"newest run {failure.name} {described_failure(failure, condition, now)}"


def _facts(cronjob: CronJob) -> dict[str, str]:
    suspended = {"suspended": cronjob.name} if is_suspended(cronjob) else {}
    return {"cronjob": cronjob.name} | suspended


def unjudged(judgement: Judgement) -> Problem | None:
    """Why this cannot be called kept, where nothing can be said of some cron jobs."""
    if not judgement.unjudged:
        return None
    reasons = some((f"{name}: {why}" for name, why in sorted(judgement.unjudged.items())), between="; ")
    return cannot_tell(
        f"cannot tell whether it is on time: {reasons}",
        "give a `max_age` where a schedule cannot be read; keep at least one successful job of each cron job",
    )


def _utc(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M}Z"


def _spec(cronjob: CronJob) -> CronJobSpec:
    return cronjob.spec or CronJobSpec()


def _status(cronjob: CronJob) -> CronJobStatus:
    return cronjob.status or CronJobStatus()
