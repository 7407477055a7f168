"""The cron jobs of a cluster."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fnmatch import fnmatchcase

from opscheck import Findings, Observe
from opscheck.core.observation import CouldNotObserve, Problem
from opscheck.core.record import Finding
from opscheck.core.units import Severity, format_duration
from opscheck.core.words import some
from opscheck.systems.kubernetes.batch import CronJob, Job, ListCronJobs, ListJobs
from opscheck.systems.kubernetes.cronjobs import MISSING, REPORT, RESUME, CronJobsOnTime, Runs, in_utc
from opscheck.systems.kubernetes.schedules import Schedule, UnreadableSchedule
from opscheck.systems.kubernetes.selection import Evidence, count_matches, listed, listed_evidence, matching
from opscheck.systems.kubernetes.warnings import Warnings
from opscheck.systems.kubernetes.words import cannot_tell


def test_the_cron_jobs_are_on_time(expectation: CronJobsOnTime, observe: Observe, findings: Findings) -> None:
    """
    Every selected cron job succeeded within `max_age` or since its last schedule.

    A backup or a cleanup that no longer runs is missed only on the day when it is needed.
    """
    there = listed(observe, expectation.lists(ListCronJobs))
    cronjobs = matching(expectation, there)
    count_matches(expectation, there, cronjobs, findings, remedy=MISSING)
    judgement = judge_cronjobs(expectation, cronjobs, observe.now)
    measure_ages(expectation, judgement, findings)
    jobs, warnings = listed_evidence(observe, expectation.lists(ListJobs)), Warnings(expectation, observe)
    for cronjob in judgement.never_due:
        findings.report(warnings.attach(never_runs(expectation, cronjob), cronjob))
    for age in judgement.overdue:
        findings.report(warnings.attach(overdue(expectation, age, jobs, observe.now), age.cronjob))
    if (problem := unjudged(judgement)) is not None:
        raise CouldNotObserve(next(iter(expectation.queries())), problem)


@dataclass(frozen=True)
class Age:
    """The age of a cron job's last success, else of its creation, and the maximum age."""

    cronjob: CronJob
    seconds: float
    limit: float
    severity: Severity | None
    """The severity by a limit; None when it is on time, or when the expectation's own severity counts."""
    said: str
    """The limit in words."""

    @property
    def margin(self) -> float:
        """Remaining seconds; negative when it is overdue."""
        return self.limit - self.seconds


@dataclass
class Judgement:
    """The results for all selected cron jobs."""

    ages: list[Age] = field(default_factory=list)
    never_due: list[CronJob] = field(default_factory=list)
    """Cron jobs whose schedule no date matches, and that may not be suspended."""
    suspended: int = 0
    """Number of cron jobs that are suspended with permission."""
    unjudged: dict[str, str] = field(default_factory=dict)
    """Cron jobs that cannot be judged, with the reason."""

    @property
    def overdue(self) -> list[Age]:
        return [age for age in self.ages if age.margin < 0]


def judge_cronjobs(expectation: CronJobsOnTime, cronjobs: Iterable[CronJob], now: datetime) -> Judgement:
    judgement = Judgement()
    for cronjob in cronjobs:
        if cronjob.is_terminating:
            continue
        if cronjob.is_suspended and may_be_suspended(expectation, cronjob):
            judgement.suspended += 1
            continue
        try:
            _judge(expectation, cronjob, judgement, now)
        except UnreadableSchedule as reason:
            judgement.unjudged[expectation.subject(cronjob)] = str(reason)
    return judgement


def _judge(expectation: CronJobsOnTime, cronjob: CronJob, judgement: Judgement, now: datetime) -> None:
    counted_from = cronjob.last_success or cronjob.created
    if counted_from is None:
        judgement.unjudged[expectation.subject(cronjob)] = "no creationTimestamp"
        return
    seconds = max(0.0, (now - counted_from).total_seconds())
    if (limits := expectation.max_age) is not None:
        limit, severity = limits.limit(seconds), limits.severity(seconds)
        age = Age(cronjob, seconds, float(limit), severity, f"at most {limit} ago")
    else:
        schedule = expectation.schedule_of(cronjob)
        due = due_after(expectation, schedule, counted_from)
        if due is None and may_be_suspended(expectation, cronjob):
            judgement.suspended += 1
            return
        if due is None:
            judgement.never_due.append(cronjob)
            return
        limit_s = (due - counted_from).total_seconds()
        said = f"at most {format_duration(limit_s)} ago, by its schedule {schedule}"
        age = Age(cronjob, seconds, limit_s, None, said)
    if age.margin < 0 and not _success_would_be_known(expectation, cronjob, now):
        judgement.unjudged[expectation.subject(cronjob)] = (
            "it keeps no successful jobs (successfulJobsHistoryLimit: 0); clusters without"
            " kubernetes/kubernetes#122025 then record no success"
        )
        return
    judgement.ages.append(age)


def due_after(expectation: CronJobsOnTime, schedule: Schedule, moment: datetime) -> datetime | None:
    """
    The due time of the first success after `moment`, with the first run or shortly after it; None for never.

    It follows the runs and not a period: that is longer over a weekend, or when the clocks skip the hour of a run.
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
    if cronjob.last_success is not None or cronjob.specified.successful_jobs_history_limit != 0:
        return True
    # If no run has started, none can have succeeded.
    begun = cronjob.reported.last_schedule_time
    if begun is None:
        return True
    if expectation.max_age is not None:
        ended_at_latest = begun + timedelta(seconds=expectation.run_time)
        return expectation.max_age.severity((now - ended_at_latest).total_seconds()) is not None
    due = due_after(expectation, expectation.schedule_of(cronjob), begun)
    return due is not None and due < now


def may_be_suspended(expectation: CronJobsOnTime, cronjob: CronJob) -> bool:
    allowed = expectation.allow_suspended
    if isinstance(allowed, bool):
        return allowed
    return any(fnmatchcase(cronjob.name, pattern) for pattern in allowed)


def never_runs(expectation: CronJobsOnTime, cronjob: CronJob) -> Finding:
    """The finding for a cron job whose schedule no date matches."""
    return expectation.finding_on(
        cronjob,
        observed=f"never runs: no date matches its schedule {cronjob.specified.schedule}",
        expected="a schedule that matches a date",
        remedies=[REPORT, RESUME] if cronjob.is_suspended else [REPORT],
        facts={"cronjob": cronjob.name},
    )


def overdue(expectation: CronJobsOnTime, age: Age, jobs: Evidence[Job], now: datetime) -> Finding:
    cronjob, since = age.cronjob, format_duration(age.seconds)
    runs = Runs(expectation, cronjob, jobs.items)
    seen = f"last success {since} ago" if cronjob.last_success else f"no success since its creation {since} ago"
    why = runs.obstacle(now)
    failure = runs.failure if runs.failure and runs.failure.name not in why else None
    return expectation.finding_on(
        cronjob,
        observed=f"{seen}: {why}",
        expected=f"a success {age.said}",
        severity=age.severity,
        since=now + timedelta(seconds=age.margin),
        evidence=(*_last_runs(cronjob, failure, now), *filter(None, [jobs.unread])),
        remedies=[REPORT, *runs.remedies],
        facts=runs.facts,
    )


def _last_runs(cronjob: CronJob, failure: Job | None, now: datetime) -> Iterator[str]:
    status = cronjob.reported
    if (success := status.last_successful_time) is not None:
        yield f"last success {in_utc(success)}"
    if (begun := status.last_schedule_time) is not None:
        yield f"last run was due {in_utc(begun)}"
    if failure is not None:
        yield f"newest run {failure.name} {failure.described_failure(now)}"


def unjudged(judgement: Judgement) -> Problem | None:
    """The problem of cron jobs that cannot be judged; None without such cron jobs."""
    if not judgement.unjudged:
        return None
    reasons = some((f"{name}: {why}" for name, why in sorted(judgement.unjudged.items())), between="; ")
    return cannot_tell(
        f"success not known: {reasons}",
        "set `max_age` where a schedule cannot be read; keep at least one successful job of each cron job",
    )


def measure_ages(expectation: CronJobsOnTime, judgement: Judgement, findings: Findings) -> None:
    """Record the cron job with the smallest margin, and the number that is suspended with permission."""
    if (worst := min(judgement.ages, key=lambda age: age.margin, default=None)) is not None:
        subject, limit, margin = expectation.subject(worst.cronjob), worst.limit, worst.margin
        name = "age of the last success"
        findings.measure(name, worst.seconds, unit="s", subject=subject, limit=limit, margin=margin)
    if judgement.suspended:
        findings.measure("suspended cron jobs", judgement.suspended, subject=expectation.selected)
