"""kubernetes.jobs: a job is judged by its conditions. Tests are named after the reports they come from."""

from datetime import timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.kubernetes.test_jobs import Around
from opscheck import KubernetesTarget, Severity
from opscheck.core.observation import CouldNotObserve, Problem, ProblemKind
from opscheck.demo.kubernetes import condition, event, timestamp
from opscheck.systems.kubernetes.batch import CronJob, Job, ListCronJobs, ListJobs
from opscheck.systems.kubernetes.jobs import JobsComplete
from opscheck.systems.kubernetes.lists import ObjectList
from opscheck.systems.kubernetes.pods import ListPods, Pod
from opscheck.systems.kubernetes.selection import Evidence
from opscheck.testing import expect, judge
from tests.checks.kubernetes.judging_batch import (
    NOW,
    SECOND,
    TARGET,
    a_cronjob,
    a_failed_pod,
    a_job,
    a_run,
    ago,
    commands,
    jobs_judged,
    observed,
)
from tests.checks.kubernetes.judging_batch import test_jobs as check

FAILED = {"failed": ago(minutes=5), "failed_pods": 7}


def test_jobs_that_are_complete_or_run_are_well():
    findings = jobs_judged(a_job("done", completed=ago(minutes=10)), a_job("runs"))

    assert [] == findings.violations
    jobs, failed, longest = findings.measurements
    assert ("jobs", 2, 1) == (jobs.name, jobs.value, jobs.margin)
    assert ("failed jobs", 0) == (failed.name, failed.value)
    assert ("longest run", 3600, "s", "runs", 43200, 39600) == (
        longest.name,
        longest.value,
        longest.unit,
        longest.subject,
        longest.limit,
        longest.margin,
    )


# Failed


def test_failed_job_is_reported_with_reason_pod_and_exit_code():
    older = a_failed_pod("migrate-aaaaa", created=ago(minutes=58))
    (violation,) = jobs_judged(a_job(**FAILED), a_failed_pod(), older).violations

    assert ("migrate", "failed 5m ago: BackoffLimitExceeded (7 pods failed, backoffLimit 6)", "complete") == (
        violation.subject,
        violation.observed,
        violation.expected,
    )
    assert ago(minutes=5) == violation.since
    assert Severity.P1 == violation.severity
    said, told = violation.evidence
    assert "Job has reached the specified backoff limit" == said
    assert told.startswith("pod migrate-x7k2m: container app, exit code 1 (Error)")
    assert ("target/default/job/migrate", ()) == (violation.about, violation.because)


def test_a_failed_job_has_no_grace():
    assert 1 == len(observed(jobs_judged(a_job(failed=NOW))))


def test_a_failed_job_is_told_with_what_to_type():
    assert [
        "kubectl -n default describe job migrate",
        "kubectl -n default logs migrate-x7k2m -c app --tail=100",
        "kubectl -n default delete job migrate  # after its work is done; it counts until it is deleted",
    ] == commands(JobsComplete, jobs_judged(a_job(**FAILED), a_failed_pod()))
    assert [
        "kubectl -n default describe job backup-29552280",
        "kubectl -n default create job --from=cronjob/backup backup-by-hand  # after the cause is fixed",
    ] == commands(JobsComplete, jobs_judged(a_run(**FAILED)))


def test_commands_name_the_context_that_the_policy_pins():
    pinned = KubernetesTarget(kind="kubernetes", namespace="default", context="prod")

    findings = jobs_judged(a_job(**FAILED), target=pinned)
    assert "kubectl --context prod -n default describe job migrate" == commands(JobsComplete, findings, pinned)[0]


def test_mixin_246_complete_job_with_failed_pods_passes():
    assert [] == observed(jobs_judged(a_job(completed=ago(minutes=1), failed_pods=5)))


def test_mitodl_5496_pods_that_failed_are_no_verdict_while_the_job_still_tries():
    assert [] == observed(jobs_judged(a_job(failed_pods=3)))


def test_a_job_whose_last_pods_still_end_has_failed_or_succeeded_already():
    failing, succeeding = a_job("a"), a_job("b")
    failing["status"]["conditions"] = [condition("FailureTarget", True, ago(minutes=1), "PodFailurePolicy", "42")]
    succeeding["status"]["conditions"] = [condition("SuccessCriteriaMet", True, ago(minutes=1), "SuccessPolicy")]

    assert ["failed 1m ago: PodFailurePolicy"] == observed(jobs_judged(failing, succeeding))


def test_conditions_that_do_not_hold_or_that_nobody_knows_say_nothing():
    job = a_job()
    job["status"]["conditions"] = [
        condition("Failed", False, ago(minutes=1)),
        condition("Hibernated", True, ago(minutes=1)),
    ]

    assert [] == observed(jobs_judged(job))


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"reason": "DeadlineExceeded", "activeDeadlineSeconds": 600}, "DeadlineExceeded (activeDeadlineSeconds 600)"),
        ({"reason": "BackoffLimitExceeded", "failed_pods": 1}, "BackoffLimitExceeded (1 pod failed, backoffLimit 6)"),
        ({"reason": "PodFailurePolicy"}, "PodFailurePolicy"),
        (
            {"reason": "FailedIndexes", "completionMode": "Indexed", "backoffLimitPerIndex": 2},
            "FailedIndexes (indexes 1,3-5, backoffLimitPerIndex 2)",
        ),
    ],
)
def test_the_limit_that_was_reached_is_named(fields, text):
    job = a_job(failed=ago(minutes=5), **fields)
    if "backoffLimitPerIndex" in fields:
        job["status"]["failedIndexes"] = "1,3-5"

    assert [f"failed 5m ago: {text}"] == observed(jobs_judged(job))


def test_pods_that_are_gone_are_said_to_be_gone():
    (violation,) = jobs_judged(a_job(**FAILED), a_failed_pod("other-1", of="other")).violations

    assert "its failed pods are deleted; look for their logs in the log collection" in violation.evidence
    assert "pod" not in violation.facts


def test_the_pods_of_a_predecessor_with_the_same_name_are_not_its_own():
    (violation,) = jobs_judged(a_job(**FAILED), a_failed_pod(created=ago(days=3))).violations

    assert "pod" not in violation.facts


def test_pods_that_cannot_be_read_change_no_verdict():
    expectation = expect(JobsComplete, TARGET, severity="P1")
    job = msgspec.convert(a_job(**FAILED), Job)
    answers = {
        ListJobs("target", "default"): ObjectList((job,)),
        ListCronJobs("target", "default"): ObjectList(()),
        ListPods("target", "default"): Problem(kind=ProblemKind.DENIED, text="may not list pods"),
    }

    (violation,) = judge(check.test_the_jobs_do_their_work, expectation, answers, NOW).violations
    assert "pods could not be read: may not list pods" in violation.evidence


@pytest.mark.parametrize("unread", [ListJobs, ListCronJobs])
def test_unreadable_jobs_are_unknown(unread):
    expectation = expect(JobsComplete, TARGET, severity="P1")
    denied = Problem(kind=ProblemKind.DENIED, text="may not list them")

    with pytest.raises(CouldNotObserve):
        judge(
            check.test_the_jobs_do_their_work,
            expectation,
            lambda query: denied if isinstance(query, unread) else ObjectList(()),
            NOW,
        )


def test_warnings_about_the_job_are_evidence():
    warning = event("w", about="Job/migrate", reason="FailedCreate", message="quota", kind="Warning", at=ago(minutes=2))

    (violation,) = jobs_judged(a_job(**FAILED), warning).violations
    assert "FailedCreate, 2m ago: quota" == violation.evidence[-1]


# Runs of cron jobs


def test_osd_14058_of_a_cron_job_only_the_newest_finished_run_counts():
    old = a_run(29552280, created=ago(days=3), failed=ago(days=3))
    new = a_run(29555280, created=ago(hours=10), completed=ago(hours=9))

    assert [] == observed(jobs_judged(old, new, a_cronjob()))
    assert [] == observed(jobs_judged(new, old, a_cronjob()))


def test_the_newest_run_that_failed_counts_and_is_told_with_its_cron_job():
    old = a_run(29552280, created=ago(days=3), failed=ago(days=3))
    new = a_run(29555280, created=ago(hours=10), failed=ago(hours=9))

    (violation,) = jobs_judged(old, new, a_cronjob(succeeded=ago(days=4))).violations
    assert "backup-29555280" == violation.subject
    assert ("target/default/cronjob/backup",) == violation.because


def test_a_run_in_progress_does_not_hide_that_the_one_before_failed():
    failed, runs = a_run(29552280, created=ago(hours=3), failed=ago(hours=2)), a_run(29552290, created=ago(minutes=1))

    assert 1 == len(observed(jobs_judged(failed, runs)))


def test_jiraska_3326_failed_run_before_a_deleted_success_passes():
    failed = a_run(created=ago(days=2), failed=ago(days=2))

    assert [] == observed(jobs_judged(failed, a_cronjob(succeeded=ago(hours=10), successfulJobsHistoryLimit=0)))
    assert 1 == len(observed(jobs_judged(failed, a_cronjob(succeeded=ago(days=3)))))


def test_runs_of_cron_jobs_with_one_name_in_two_namespaces_are_not_mixed_up():
    good, bad = a_run(2, namespace="a", completed=ago(minutes=1)), a_run(1, namespace="b", failed=ago(minutes=30))

    (violation,) = jobs_judged(good, bad, namespace="*").violations
    assert ("b/backup-1", "b") == (violation.subject, violation.facts["namespace"])


# For how long


@pytest.mark.parametrize(("age", "count"), [(timedelta(days=7), 1), (timedelta(days=7) + SECOND, 0)])
def test_a_failed_job_counts_until_it_is_deleted_or_the_policy_forgets_it(age, count):
    job = a_job(created=NOW - age - SECOND, failed=NOW - age)

    assert 1 == len(observed(jobs_judged(job)))
    assert count == len(observed(jobs_judged(job, forget_after="7d")))


@pytest.mark.parametrize(
    ("age", "count"), [(timedelta(hours=12), 0), (timedelta(hours=12) + SECOND, 1), (timedelta(days=2), 1)]
)
def test_mixin_kube_job_not_completed_a_job_may_run_for_twelve_hours(age, count):
    assert count == len(observed(jobs_judged(a_job(created=NOW - age))))


def test_a_job_that_runs_for_too_long_is_told_with_its_pod():
    waits = a_failed_pod(phase="Pending", waiting="ImagePullBackOff")
    findings = jobs_judged(a_job(created=ago(hours=13), failed_pods=2), waits)

    (violation,) = findings.violations
    assert (
        "not finished after 13h (pods: 1 active, 0 succeeded, 2 failed; no activeDeadlineSeconds)",
        "finished within 12h",
        ago(hours=1),
    ) == (violation.observed, violation.expected, violation.since)
    assert "pod migrate-x7k2m: Pending, container app waits (ImagePullBackOff)" == violation.evidence[0]
    assert [
        "kubectl -n default describe job migrate",
        "kubectl -n default logs migrate-x7k2m --all-containers --tail=100",
    ] == commands(JobsComplete, findings)


def test_a_job_that_was_resumed_counts_from_then():
    job = a_job(created=ago(days=3))
    job["status"]["startTime"] = timestamp(ago(hours=1))

    assert [] == observed(jobs_judged(job))


# Suspended, going, gone


def test_kueue_a_job_that_waits_in_a_queue_is_suspended_on_purpose():
    assert [] == observed(jobs_judged(a_job(created=ago(days=3), suspended=ago(days=3))))


@pytest.mark.parametrize(
    ("age", "told"), [(timedelta(minutes=15), []), (timedelta(minutes=15) + SECOND, ["suspended for 15m1s"])]
)
def test_a_suspended_job_is_a_violation_where_the_policy_says_so(age, told):
    findings = jobs_judged(a_job(created=ago(days=1), suspended=NOW - age), allow_suspended=False)

    assert told == observed(findings)
    assert not told or commands(JobsComplete, findings)[-1] == (
        'kubectl -n default patch job migrate -p \'{"spec": {"suspend": false}}\''
    )


def test_a_job_that_is_being_deleted_is_left_out():
    job = a_job(**FAILED)
    job["metadata"]["deletionTimestamp"] = timestamp(ago(minutes=1))

    assert [] == observed(jobs_judged(job))


def test_jobs_deleted_after_their_ttl_need_min_matches_zero():
    assert ["0 jobs"] == observed(jobs_judged())
    assert [] == observed(jobs_judged(min_matches=0))


# Whatever a cluster reports

TIMES = st.integers(-90000, 90000).map(lambda seconds: timestamp(NOW - timedelta(seconds=seconds)))


@st.composite
def odd_jobs(draw):
    kinds = st.sampled_from(["Complete", "Failed", "FailureTarget", "SuccessCriteriaMet", "Suspended", "Unheard"])
    conditions = st.builds(
        lambda kind, status, at: {"type": kind, "status": status, "lastTransitionTime": at},
        kinds,
        st.sampled_from(["True", "False", "Unknown"]),
        st.one_of(st.none(), TIMES),
    )
    owner = {"kind": draw(st.sampled_from(["CronJob", "JobSet"])), "name": "backup", "controller": True}
    whole = {
        "metadata": {
            "name": draw(st.sampled_from(["a", "b", "c", "d"])),
            "namespace": "default",
            "creationTimestamp": draw(TIMES),
            "ownerReferences": [owner],
        },
        "spec": {"suspend": draw(st.booleans()), "backoffLimit": 6, "activeDeadlineSeconds": 60},
        "status": {
            "startTime": draw(TIMES),
            "failed": 1,
            "conditions": draw(st.lists(conditions, max_size=3, unique_by=lambda one: one["type"])),
        },
    }
    for part in whole.values():
        for field in draw(st.sets(st.sampled_from(sorted(part)))):
            part[field] = None
    for part in draw(st.sets(st.sampled_from(sorted(whole)))):
        whole[part] = None
    return msgspec.convert(whole, Job)


PODS = tuple(msgspec.convert(a_failed_pod(f"p{of}", of=of), Pod) for of in "abcd")
CRONJOBS = (msgspec.convert(a_cronjob(), CronJob),)


@given(st.lists(odd_jobs(), max_size=4, unique_by=lambda job: job.name), st.data())
def test_no_job_is_too_odd_to_be_judged_and_no_order_matters(jobs, data):
    def told(jobs, pods):
        around = Around(expectation, jobs, CRONJOBS, Evidence(pods), NOW)
        found = [one for job in jobs for one in around.problems(job)]
        return sorted((one.subject, one.observed, one.evidence, sorted(one.facts.items())) for one in found)

    def shuffled(job):
        if job.status is None or not job.status.conditions:
            return job
        conditions = tuple(data.draw(st.permutations(job.status.conditions)))
        return msgspec.structs.replace(job, status=msgspec.structs.replace(job.status, conditions=conditions))

    expectation = expect(JobsComplete, TARGET, severity="P1", allow_suspended=False)
    other = [shuffled(job) for job in data.draw(st.permutations(jobs))]

    assert told(jobs, PODS) == told(other, tuple(reversed(PODS)))


def test_one_list_serves_every_expectation_on_a_namespace():
    one, other = expect(JobsComplete, TARGET, severity="P1"), expect(JobsComplete, TARGET, severity="P2", name="a*")

    assert (ListJobs("target", "default"), ListCronJobs("target", "default")) == tuple(one.queries())
    assert tuple(one.described()) == tuple(other.described())
