"""The cron jobs of a cluster."""

from opscheck import Findings, Observe
from opscheck.core.observation import CouldNotObserve
from opscheck.systems.kubernetes.batch import ListCronJobs, ListJobs
from opscheck.systems.kubernetes.cronjobs import CronJobsOnTime
from opscheck.systems.kubernetes.readings.cronjobs import Judgement, judge_cronjobs, troubles, unjudged
from opscheck.systems.kubernetes.selection import count_matches, listed, listed_aside, matching
from opscheck.systems.kubernetes.troubles import tell
from opscheck.systems.kubernetes.warnings import Warnings


def test_the_cron_jobs_are_on_time(expectation: CronJobsOnTime, observe: Observe, findings: Findings) -> None:
    """
    Every selected cron job has succeeded lately: within `max_age`, or as its schedule says.

    A backup or a clean-up that no longer runs is missed by nobody until the day when it is needed.
    """
    there = listed(observe, expectation.ask(ListCronJobs))
    cronjobs = matching(expectation, there)
    count_matches(expectation, there, cronjobs, findings)
    judgement = judge_cronjobs(expectation, cronjobs, observe.now)
    measure_ages(expectation, judgement, findings)
    jobs, warnings = listed_aside(observe, expectation.ask(ListJobs)), Warnings(expectation, observe)
    for trouble in troubles(expectation, judgement, jobs, observe.now):
        tell(findings, expectation, trouble, warnings)
    if (problem := unjudged(judgement)) is not None:
        raise CouldNotObserve(next(iter(expectation.looks_at())), problem)


def measure_ages(expectation: CronJobsOnTime, judgement: Judgement, findings: Findings) -> None:
    """Record the cron job that is most overdue, or will be so first, and how many are suspended by permission."""
    if (worst := judgement.worst) is not None:
        findings.measure(
            "age of the last success",
            worst.seconds,
            unit="s",
            subject=expectation.subject(worst.cronjob),
            limit=worst.limit,
            margin=worst.margin,
        )
    if judgement.suspended:
        findings.measure("suspended cron jobs", judgement.suspended, subject=expectation.selected)
