"""The jobs of a cluster."""

from collections.abc import Sequence
from datetime import datetime

from opscheck import Findings, Observe
from opscheck.systems.kubernetes.batch import Job, ListCronJobs, ListJobs
from opscheck.systems.kubernetes.jobs import JobsComplete
from opscheck.systems.kubernetes.pods import ListPods
from opscheck.systems.kubernetes.readings.jobs import Around, failed, longest_run, troubles
from opscheck.systems.kubernetes.selection import count_matches, listed, listed_aside, matching
from opscheck.systems.kubernetes.troubles import tell
from opscheck.systems.kubernetes.warnings import Warnings


def test_the_jobs_do_their_work(expectation: JobsComplete, observe: Observe, findings: Findings) -> None:
    """
    No selected job has failed, and none runs for too long.

    What a job was there for, a migration, a backup, a report, has not happened, and nothing tries it again.
    """
    there, cronjobs = listed(observe, expectation.ask(ListJobs)), listed(observe, expectation.ask(ListCronJobs))
    jobs = matching(expectation, there)
    count_matches(expectation, there, jobs, findings)
    measure_jobs(expectation, jobs, observe.now, findings)
    around = Around(there, cronjobs, listed_aside(observe, expectation.ask(ListPods)))
    warnings = Warnings(expectation, observe)
    for trouble in troubles(expectation, jobs, around, observe.now):
        tell(findings, expectation, trouble, warnings)


def measure_jobs(expectation: JobsComplete, jobs: Sequence[Job], now: datetime, findings: Findings) -> None:
    """Record how many failed, old ones too, and which runs longest."""
    findings.measure("failed jobs", sum(failed(job) is not None for job in jobs), subject=expectation.selected)
    if (run := longest_run(jobs, now)) is not None:
        job, seconds = run
        limit = float(expectation.max_runtime)
        findings.measure(
            "longest run", seconds, unit="s", subject=expectation.subject(job), limit=limit, margin=limit - seconds
        )
