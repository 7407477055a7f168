"""kubernetes.rollout: the questions that a deployment is asked, and how long it may take to answer them well."""

import pytest

from opscheck import Severity
from opscheck.demo.kubernetes import condition
from tests.checks.kubernetes.judging_pods import GRACE, NOW, SECOND, ago
from tests.checks.kubernetes.judging_rollouts import (
    agent,
    commands,
    crashing,
    db,
    failed,
    its_pod,
    judged,
    never_ready,
    observed,
    of_new_version,
    web,
    web_pods,
    well,
)

QUOTA = 'pods "web-7d4b9c6f5d-x" is forbidden: exceeded quota: compute, requested: cpu=1, used: cpu=4, limited: cpu=4'
NEW = "web-7d4b9c6f5d-new"
NEVER = 2_147_483_647
EDGE = [(GRACE - SECOND, 0), (GRACE + SECOND, 1)]


# A healthy cluster


def test_workloads_that_are_rolled_out_are_well():
    findings = judged(*well())

    assert [] == findings.violations
    workloads, available = findings.measurements
    assert ("workloads", 3, 1, 2) == (workloads.name, workloads.value, workloads.limit, workloads.margin)
    assert ("available pods", 3, 3, 0) == (available.name, available.value, available.limit, available.margin)


def test_the_workload_that_is_worst_off_is_measured():
    findings = judged(web(replicas=4, available=3, since=ago(minutes=1)), db(), *web_pods(3))

    assert ("web", 3, 4) == (
        findings.measurements[-1].subject,
        findings.measurements[-1].value,
        findings.measurements[-1].limit,
    )


def test_popeye_500_zero_replicas_are_legal():
    findings = judged(web(replicas=0), db(replicas=0), agent(desired=0))

    assert [] == findings.violations
    assert ["workloads"] == [measured.name for measured in findings.measurements]


def test_popeye_dp_a_rollout_on_its_way_is_no_trouble():
    moving = web(updated=2, old=1, available=2, progress="ReplicaSetUpdated", since=ago(minutes=3))

    assert [] == observed(moving, *web_pods(2), never_ready("web-7d4b9c6f5d-new", ago(minutes=2)))


def test_popeye_dp_an_autoscaler_that_adds_pods_is_no_trouble():
    # The rollout was over days ago and stays so: a change of `replicas` is no rollout, and no condition tells of it.
    scaled = web(replicas=6, updated=3, available=3, max_unavailable=3, edited=ago(seconds=1))

    assert [] == observed(scaled, *web_pods(3))
    grown = web(replicas=6, available=3, max_unavailable=3, edited=ago(minutes=1))
    young = [never_ready(f"web-7d4b9c6f5d-new{number}", ago(minutes=1)) for number in range(3)]
    assert [] == observed(grown, *web_pods(3), *young)


def test_pods_that_recovered_between_the_two_lists_are_no_trouble():
    pods = [*web_pods(2), its_pod("web-7d4b9c6f5d-9", since=ago(seconds=1))]

    assert [] == observed(web(available=2, max_unavailable=1), *pods)


def test_a_workload_that_is_deleted_is_left_out():
    going = failed()
    going["metadata"] |= {"deletionTimestamp": "2026-03-01T11:00:00Z", "finalizers": ["foregroundDeletion"]}

    assert [] == observed(going, of_new_version(), db())


def test_ready_pods_may_have_to_wait_for_minreadyseconds():
    pods = web_pods(3, since=ago(minutes=40))

    assert [] == observed(web(available=0, min_ready_seconds=3600, since=ago(minutes=40)), *pods)
    assert 1 == len(observed(web(available=0, min_ready_seconds=60, since=ago(minutes=40)), *pods))


def test_an_unknown_condition_is_no_trouble():
    odd = web()
    odd["status"]["conditions"].append(condition("Cursed", holds=True, since=ago(days=1), reason="Error"))

    assert [] == observed(odd)


# The questions of `kubectl rollout status`, in its order


@pytest.mark.parametrize(("age", "count"), EDGE)
def test_a_new_generation_is_seen_within_the_grace(age, count):
    assert count == len(observed(web(generation=5, observed=4, edited=NOW - age)))


def test_a_generation_that_nobody_sees_is_told_before_anything_else():
    unseen = failed(generation=5, observed=4, edited=ago(hours=1))

    (violation,) = judged(unseen, of_new_version()).violations

    assert "controller has observed generation 4 of 5; deployment/web" == violation.observed
    assert "generation 5 observed" == violation.expected
    assert ago(hours=1) == violation.since


def test_annotation_changes_do_not_hide_an_unobserved_generation():
    unseen = web(generation=5, observed=4, edited=ago(hours=1))
    fields = {"f:metadata": {"f:annotations": {"f:refreshed": {}}}}
    unseen["metadata"]["managedFields"].append({"time": "2026-03-01T11:59:00Z", "fieldsV1": fields})

    assert 1 == len(observed(unseen))


def test_status_of_an_older_generation_is_not_a_violation():
    mended = failed(generation=5, observed=4, edited=ago(seconds=1))

    assert [] == observed(mended, *web_pods(3), of_new_version())


@pytest.mark.parametrize(("age", "count"), EDGE)
def test_a_new_workload_is_seen_within_the_grace(age, count):
    unborn = web(created=NOW - age)
    unborn["status"] = None

    assert count == len(observed(unborn))


def test_k8sgpt_1740_an_exceeded_deadline_is_a_failed_rollout_at_once():
    (violation,) = judged(failed(since=ago(minutes=1)), *web_pods(3), of_new_version()).violations

    assert "web" == violation.subject
    assert violation.observed == (
        "rollout failed (ProgressDeadlineExceeded): 1 of 3 pods updated, 3 of 3 pods available; "
        "pod web-7d4b9c6f5d-new: container app crashes in a loop: exit code 1 (Error) 3m ago, 7 restarts; "
        "deployment/web"
    )
    assert "3 pods updated and available" == violation.expected
    assert ago(minutes=1) == violation.since
    assert 'ReplicaSet "web-7d4b9c6f5d" has timed out progressing.' in violation.evidence


@pytest.mark.parametrize(("age", "count"), EDGE)
def test_mixin_15_m_a_rollout_may_stand_still_within_the_grace(age, count):
    still = web(updated=1, old=3, progress="ReplicaSetUpdated", since=NOW - age, edited=NOW - age)

    assert count == len(observed(still, *web_pods(3, since=ago(days=2))))


def test_a_rollout_without_a_deadline_is_told_by_what_its_pods_do():
    # progressDeadlineSeconds is the largest int32: there is no condition Progressing at all.
    endless = {"deadline": NEVER, "progress": "", "updated": 1, "old": 3}
    new = never_ready("web-7d4b9c6f5d-new", ago(minutes=14))

    assert [] == observed(web(**endless), *web_pods(3), new)
    (text,) = observed(web(**endless), *web_pods(3), never_ready("web-7d4b9c6f5d-new", ago(minutes=16)))
    assert text.startswith("rollout makes no progress: 1 of 3 pods updated, 3 of 3 pods available; pod web-")


def test_old_pods_that_stay_are_an_unfinished_rollout():
    (text,) = observed(web(updated=3, old=1, available=4), *web_pods(4))

    assert text.startswith("rollout makes no progress: all updated, 1 pod of an old revision left, 3 of 3 pods")


@pytest.mark.parametrize(("age", "count"), EDGE)
def test_a_pod_may_be_missing_within_the_grace(age, count):
    short = web(available=2, max_unavailable=1)

    assert count == len(observed(short, *web_pods(2), its_pod("web-7d4b9c6f5d-9", ready=False, since=NOW - age)))


@pytest.mark.parametrize(("age", "count"), EDGE)
def test_unavailable_deployment_is_reported_while_its_pods_are_recreated(age, count):
    down = web(available=0, since=NOW - age)

    assert count == len(observed(down, never_ready("web-7d4b9c6f5d-new", ago(seconds=20))))


def test_a_crash_loop_that_is_ready_in_between_is_told():
    flapping = crashing("web-7d4b9c6f5d-9", created=ago(days=2), since=ago(minutes=1))

    (text,) = observed(web(available=2, max_unavailable=1), *web_pods(2), flapping)
    assert text.startswith("2 of 3 pods available; pod web-7d4b9c6f5d-9: container app crashes in a loop")


def test_counters_that_nobody_keeps_are_told_as_what_they_are():
    (violation,) = judged(web(available=1, max_unavailable=2), *web_pods(3)).violations

    assert "1 of 3 pods available; deployment/web" == violation.observed
    assert "3 pods found, 3 ready" == violation.evidence[0]


def test_an_unknown_condition_is_no_sign_of_life():
    still = web(updated=1, old=3, progress="ReplicaSetUpdated", since=ago(hours=1))
    still["status"]["conditions"].append(condition("Touched", holds=True, since=ago(seconds=1)))

    assert 1 == len(observed(still, *web_pods(3)))


def test_an_old_pod_of_a_deployment_that_does_not_go_holds_nothing_up():
    stays = its_pod("web-7d4b9c6f5d-8", deleted=ago(hours=1))

    assert [] == observed(web(available=2, max_unavailable=1), *web_pods(2), stays, never_ready(NEW, ago(minutes=1)))


def test_no_pod_may_be_missing_while_others_wait_for_minreadyseconds():
    refused = {"refused": QUOTA, "since": ago(hours=1), "min_ready_seconds": 3600}

    assert 1 == len(observed(web(updated=2, available=1, **refused), *web_pods(2, since=ago(minutes=5))))


# Refused


def test_refused_pods_are_reported_while_other_pods_change():
    refused = web(replicas=4, available=3, max_unavailable=1, refused=QUOTA, since=ago(hours=1))

    assert 1 == len(observed(refused, *web_pods(3, created=ago(minutes=2), since=ago(minutes=1))))


def test_a_replica_set_that_is_refused_is_told_though_pods_come_and_go():
    refused = web(updated=0, old=3, progress="ReplicaSetCreateError", since=ago(hours=1))

    (violation,) = judged(refused, *web_pods(3, created=ago(minutes=2), since=ago(minutes=1))).violations

    assert ago(hours=1) == violation.since
    assert 'Failed to create new replica set "web-7d4b9c6f5d": exceeded quota' == violation.evidence[0]


@pytest.mark.parametrize(("age", "count"), EDGE)
def test_a_quota_may_refuse_pods_within_the_grace(age, count):
    refused = web(replicas=4, updated=3, available=3, max_unavailable=1, refused=QUOTA, since=NOW - age)

    assert count == len(observed(refused, *web_pods(3)))


def test_refusal_by_a_quota_is_reported_with_its_message():
    refused = web(replicas=4, updated=3, available=3, max_unavailable=1, refused=QUOTA, since=ago(hours=1))

    (text,) = observed(refused, *web_pods(3))

    assert text.endswith(f"3 of 4 pods updated, 3 of 4 pods available; pods refused: {QUOTA}; deployment/web")
    wanted = commands(refused, *web_pods(3))
    assert "kubectl -n default describe quota  # find the full one that blocks deployment/web" in wanted
    assert "kubectl -n default scale deployment/web --replicas=3  # if the quota stays" in wanted
    assert not [command for command in wanted if "undo" in command]


def test_other_refusals_are_looked_for_among_the_events():
    refused = web(replicas=4, updated=3, available=3, refused="admission webhook denied", since=ago(hours=1))

    found = commands(refused, *web_pods(3))

    assert [] == [command for command in found if "quota" in command]
    assert (
        "kubectl -n default get events --field-selector=reason=FailedCreate  # look for pods of deployment/web"
    ) in found


# Paused


def paused(**fields):
    return web(**{"paused": True, "progress": "DeploymentPaused"} | fields)


def test_argo_a_paused_deployment_without_a_change_is_well():
    assert [] == observed(paused(), *web_pods(3))


@pytest.mark.parametrize(("age", "count"), EDGE)
def test_a_change_may_wait_for_a_paused_deployment_within_the_grace(age, count):
    assert count == len(observed(paused(updated=0, old=3, since=NOW - age), *web_pods(3)))


def test_a_change_that_waits_is_told_with_the_command_that_lets_it_go_on():
    waits = paused(updated=0, old=3)

    (violation,) = judged(waits, *web_pods(3)).violations

    assert "paused with a pending change: 0 of 3 pods updated; deployment/web" == violation.observed
    assert ago(days=3) == violation.since
    assert "kubectl -n default rollout resume deployment/web" in commands(waits, *web_pods(3))


def test_a_policy_may_forbid_to_pause():
    (violation,) = judged(paused(), *web_pods(3), allow_paused=False).violations

    assert ("paused; deployment/web", "not paused") == (violation.observed, violation.expected)


def test_a_paused_deployment_without_pods_is_told_as_that():
    down = web(paused=True, progress="DeploymentPaused", available=0, since=ago(hours=1))

    (violation,) = judged(down, *[never_ready(f"web-7d4b9c6f5d-{one}", ago(hours=1)) for one in range(3)]).violations

    assert violation.observed.startswith("0 of 3 pods available; pod web-7d4b9c6f5d-0 (and 2 more): not ready")
    assert Severity.P0 == violation.severity
