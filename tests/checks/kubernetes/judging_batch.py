"""Jobs and cron jobs as a cluster reports them at one moment, and what the checks say of them then."""

from datetime import UTC, datetime, timedelta

import msgspec

from checks.kubernetes import test_cronjobs, test_jobs
from opscheck import Findings, KubernetesTarget
from opscheck.demo.kubernetes import cronjob, job, pod
from opscheck.systems.kubernetes.batch import CronJob, Job, ListCronJobs, ListJobs
from opscheck.systems.kubernetes.cronjobs import CronJobsOnTime
from opscheck.systems.kubernetes.events import Event, ListWarnings
from opscheck.systems.kubernetes.jobs import JobsComplete
from opscheck.systems.kubernetes.lists import ObjectList
from opscheck.systems.kubernetes.pods import ListPods, Pod
from opscheck.testing import expect, judge
from tests.checks.kubernetes.rendering import rendered

NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
TARGET = KubernetesTarget(kind="kubernetes", namespace="default")
SECOND = timedelta(seconds=1)
KINDS = {"Job": Job, "CronJob": CronJob, "Pod": Pod, "Event": Event}
LISTS = {Job: ListJobs, CronJob: ListCronJobs, Pod: ListPods, Event: ListWarnings}


def ago(**span: float) -> datetime:
    return NOW - timedelta(**span)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(f"{text}+00:00")


def a_job(name="migrate", **fields):
    return job(name, **{"created": ago(hours=1)} | fields)


def a_run(number=29552280, **fields):
    return a_job(f"backup-{number}", **{"cronjob": "backup"} | fields)


def a_cronjob(name="backup", **fields):
    """Every night at two; the last run was due ten hours ago and succeeded."""
    given = {"created": ago(days=90), "scheduled": ago(hours=10), "succeeded": ago(hours=9, minutes=50)}
    return cronjob(name, **given | fields)


def a_failed_pod(name="migrate-x7k2m", of="migrate", **fields):
    given = {"phase": "Failed", "owner": f"Job/{of}", "created": ago(minutes=50), "restarts": 0}
    return pod(name, **given | fields)


def _answers(expectation, objects):
    answers = {query: [] for kind in LISTS.values() for query in expectation.lists(kind)}
    for one in objects:
        kind = KINDS[one["kind"]]
        for query in expectation.lists(LISTS[kind]):
            if query.namespace in {None, one["metadata"]["namespace"]}:
                answers[query].append(msgspec.convert(one, kind))
    return {query: ObjectList(tuple(items)) for query, items in answers.items()}


def jobs_judged(*objects, now=NOW, target=TARGET, **fields) -> Findings:
    expectation = expect(JobsComplete, target, **{"severity": "P1"} | fields)
    return judge(test_jobs.test_the_jobs_do_their_work, expectation, _answers(expectation, objects), now)


def cronjobs_judged(*objects, now=NOW, target=TARGET, **fields) -> Findings:
    expectation = expect(CronJobsOnTime, target, **{"severity": "P1"} | fields)
    return judge(test_cronjobs.test_the_cron_jobs_are_on_time, expectation, _answers(expectation, objects), now)


def observed(findings: Findings) -> list[str]:
    return [violation.observed for violation in findings.violations]


def commands(kind, findings: Findings, target=TARGET) -> list[str]:
    expectation = expect(kind, target, severity="P1")
    return rendered(expectation, findings)
