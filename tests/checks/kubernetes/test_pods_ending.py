"""kubernetes.pods: pods that complete, fail, go, or are lost. Tests are named after the reports they come from."""

from datetime import timedelta

import pytest

from opscheck.demo.kubernetes import condition, termination
from tests.checks.kubernetes.judging_pods import (
    GRACE,
    NOW,
    SECOND,
    a_pod,
    ago,
    commands,
    crashing,
    judged,
    observed,
    status_of,
)

# Complete, failed, evicted


def test_k8sgpt_1581_a_completed_pod_whose_sidecar_was_killed_is_complete():
    done = a_pod("report-1", phase="Succeeded", containers=("app", "proxy"), owner="Job/report")
    status_of(done, "proxy")["state"] = {"terminated": termination(ago(minutes=1), 137)}

    assert [] == observed(done, a_pod())


def test_popeye_298_the_completed_pod_of_a_cron_job_is_complete():
    assert [] == observed(a_pod("backup-29401320-x7k2m", phase="Succeeded", owner="Job/backup-29401320"), a_pod())


def test_popeye_97_the_failed_pods_of_a_job_are_the_jobs_affair():
    failed = a_pod("migration-1", phase="Failed", owner="Job/migration", since=ago(minutes=5))

    assert [] == observed(failed, a_pod())


def evicted(at, **fields):
    node_low = "The node was low on resource: memory."
    return a_pod(
        "web-1-old", phase="Failed", reason="Evicted", message=node_low, since=at, owner="StatefulSet/web", **fields
    )


def without_containers(item):
    del item["status"]["containerStatuses"]
    return item


def test_a_fresh_eviction_is_told_with_its_reason():
    (violation,) = judged(without_containers(evicted(ago(minutes=20))), a_pod()).violations

    assert ("web-1-old", "Evicted; statefulset/web") == (violation.subject, violation.observed)
    assert ("The node was low on resource: memory.",) == violation.evidence
    assert ago(minutes=20) == violation.since


@pytest.mark.parametrize(("age", "count"), [(timedelta(hours=1) - SECOND, 1), (timedelta(hours=1) + SECOND, 0)])
def test_the_tombstone_of_a_living_controller_is_old_news_after_an_hour(age, count):
    assert count == len(observed(without_containers(evicted(NOW - age)), a_pod()))


def test_a_failed_pod_that_nobody_replaces_stays_a_violation():
    failed = a_pod("one-off", phase="Failed", owner=None, since=ago(days=2))

    (text,) = observed(failed, a_pod())
    assert text.startswith("Failed: container app, exit code 1 (Error)")


@pytest.mark.parametrize("reason", ["Terminated", "NodeShutdown", "Shutdown"])
def test_k8s_113278_pods_left_by_a_graceful_shutdown_pass(reason):
    words = "Pod was terminated in response to imminent node shutdown."
    left = a_pod("web-7d4b9c6f5d-9fjrm", phase="Failed", reason=reason, message=words, since=ago(minutes=5))

    assert [] == observed(without_containers(left), a_pod())


def test_pod_ended_by_a_shutdown_without_replacement_is_violated():
    left = a_pod("one-off", phase="Failed", reason="Terminated", since=ago(minutes=5), owner=None)

    assert ["Terminated"] == observed(without_containers(left), a_pod())


def test_an_eviction_is_explained_by_its_node():
    (violation,) = judged(without_containers(evicted(ago(minutes=20), node="node-3")), a_pod()).violations

    assert ("target/node/node-3", "target/default/statefulset/web") == violation.because


def test_k8sgpt_1436_failed_container_is_reported_while_another_runs():
    half = a_pod("one-off", owner=None, containers=("app", "proxy"), ready=False, since=ago(minutes=20))
    half["spec"]["restartPolicy"] = "Never"
    status_of(half)["state"] = {"terminated": termination(ago(minutes=20))}
    status_of(half, "proxy")["ready"] = True

    assert ["not ready for 20m: container app does not run"] == observed(half)


# Going, gone, lost


@pytest.mark.parametrize(("late", "count"), [(GRACE - SECOND, 0), (GRACE + SECOND, 1)])
def test_helm_charts_661_the_deletion_timestamp_is_when_the_grace_period_ends(late, count):
    going = a_pod(deleted=NOW - late, grace_seconds=600)

    assert count == len(observed(going, a_pod("web-2")))


def test_a_pod_whose_grace_period_has_not_even_ended_is_not_stuck():
    assert [] == observed(a_pod(deleted=NOW + timedelta(minutes=9), grace_seconds=600), a_pod("web-2"))


def test_a_stuck_pod_is_told_with_its_finalizers():
    stuck = a_pod(deleted=ago(hours=2))
    stuck["metadata"]["finalizers"] = ["example.com/backup"]

    (violation,) = judged(stuck, a_pod("web-2")).violations

    assert "not removed 2h after its deletion was due; deployment/web" == violation.observed
    assert ("finalizers: example.com/backup",) == violation.evidence


def test_a_terminating_pod_is_nothing_else():
    going = crashing(deleted=ago(minutes=1), ready=False)

    assert [] == observed(going, a_pod("web-2"), restarts={"at_most": 0, "within": "1h"})


def test_k8s_72226_of_a_lost_node_the_node_is_named():
    lost = a_pod(phase="Unknown", node="node-3", ready=False, since=ago(minutes=40), reason="NodeLost")

    (violation,) = judged(lost).violations

    assert "unknown for 40m: node node-3 does not report; deployment/web" == violation.observed
    assert "node-3" == violation.facts["node"]
    assert "describe node node-3" in commands(lost)[-1]


def forsaken(name="web-7d4b9c6f5d-2xkqp", since=None, **fields):
    """A pod as the node controller leaves it: not ready without a reason, its containers ready as the kubelet said."""
    pod = a_pod(name, **{"node": "node-3"} | fields)
    conditions = pod["status"]["conditions"]
    conditions[2] = condition("Ready", holds=False, since=since or ago(minutes=40))
    return pod


def test_k8s_72226_lost_node_is_detected_by_containers_still_ready():
    (violation,) = judged(forsaken()).violations

    assert "not ready for 40m: node node-3 does not report; deployment/web" == violation.observed
    assert ("target/node/node-3", "target/default/deployment/web") == violation.because


@pytest.mark.parametrize(("age", "count"), [(GRACE - SECOND, 0), (GRACE + SECOND, 1)])
def test_a_node_may_be_silent_within_the_grace(age, count):
    assert count == len(observed(forsaken(since=NOW - age)))


def test_a_pod_of_a_job_on_a_lost_node_is_lost_too():
    (text,) = observed(forsaken("report-1", owner="Job/report"), a_pod())

    assert text.startswith("not ready for 40m: node node-3 does not report")


def test_pods_lost_with_one_node_are_one_finding():
    lost = [forsaken(), forsaken("api-55c9d8b7f4-9fjrm"), forsaken("db-0", owner="StatefulSet/db")]

    (violation,) = judged(*lost).violations

    assert ("node/node-3", "target/node/node-3") == (violation.subject, violation.about)
    assert ("target/node/node-3",) == violation.because
    assert violation.observed.startswith("3 pods, the first: not ready for 40m")
    assert "db-0: not ready for 40m: node node-3 does not report" in violation.evidence


def test_a_pod_that_was_deleted_from_a_silent_node_is_lost_and_not_stuck():
    (violation,) = judged(forsaken(deleted=ago(minutes=20)), a_pod()).violations

    assert "not removed 20m after its deletion was due; deployment/web" == violation.observed
    assert ("node node-3 does not report, so the stop of the pod is not confirmed",) == violation.evidence
    assert not any("finalizers" in command for command in violation.remediation.commands)


def test_component_that_ended_a_pod_is_evidence():
    going = a_pod(deleted=ago(hours=1))
    words = "Taint manager: deleting due to NoExecute taint"
    going["status"]["conditions"].append(
        condition("DisruptionTarget", holds=True, since=ago(hours=1), reason="DeletionByTaintManager", message=words)
    )

    (violation,) = judged(going, a_pod("web-2")).violations

    assert (f"DeletionByTaintManager: {words}",) == violation.evidence


def test_k8s_72226_pod_on_a_lost_node_gets_no_forced_deletion():
    lost = a_pod(phase="Unknown", node="node-3", deleted=ago(hours=1))

    (violation,) = judged(lost, a_pod("web-2")).violations

    assert ("node node-3 does not report, so the stop of the pod is not confirmed",) == violation.evidence
    assert not any("finalizers" in command for command in violation.remediation.commands)
