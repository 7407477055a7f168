"""kubernetes.rollout: stateful sets and daemon sets, whose controllers set no conditions."""

import pytest

from opscheck import Severity
from tests.checks.kubernetes.judging_pods import GRACE, NOW, SECOND, ago
from tests.checks.kubernetes.judging_rollouts import (
    agent,
    commands,
    crashing,
    db,
    its_pod,
    judged,
    never_ready,
    observed,
)

EDGE = [(GRACE - SECOND, 0), (GRACE + SECOND, 1)]


def db_pods(*numbers):
    return [its_pod(f"db-{number}") for number in numbers]


def agents(*nodes):
    return [its_pod(f"agent-{node}", node=node) for node in nodes]


# Stateful sets


@pytest.mark.parametrize(("age", "count"), EDGE)
def test_kstatus_a_stateful_set_has_no_conditions_so_its_pods_tell_the_time(age, count):
    rolling = db(updated=1, available=2, since=ago(days=1))

    assert count == len(observed(rolling, *db_pods(0, 1), never_ready("db-2", NOW - age)))


@pytest.mark.parametrize(("age", "count"), EDGE)
def test_mixin_changes_0_static_counters_are_judged_by_write_time(age, count):
    assert count == len(observed(db(updated=1, since=NOW - age), *db_pods(0, 1, 2)))


def test_kubectl_with_ondelete_a_stateful_set_is_up_to_date_by_definition():
    # k8s #73492: currentRevision never becomes the update revision either.
    assert [] == observed(db(strategy="OnDelete", updated=0), *db_pods(0, 1, 2))


def test_kubectl_with_ondelete_every_pod_must_be_available_all_the_same():
    short = [db(strategy="OnDelete", updated=0, available=2), *db_pods(0, 1), crashing("db-2")]

    (violation,) = judged(*short).violations

    assert violation.observed.startswith("2 of 3 pods available; pod db-2: container app crashes")
    assert "3 pods available" == violation.expected
    assert not [command for command in commands(*short) if "rollout status" in command]


@pytest.mark.parametrize(("partition", "updated", "count"), [(2, 1, 0), (2, 0, 1), (0, 2, 1), (5, 0, 0)])
def test_kubectl_pods_below_the_partition_keep_their_revision(partition, updated, count):
    assert count == len(observed(db(partition=partition, updated=updated), *db_pods(0, 1, 2)))


def test_one_revision_for_all_is_up_to_date_whatever_the_counter_says():
    same = db()
    del same["status"]["updatedReplicas"]

    assert [] == observed(same, *db_pods(0, 1, 2))


def test_a_server_before_1_22_counts_no_available_pods():
    old = db()
    del old["status"]["availableReplicas"]

    assert [] == observed(old, *db_pods(0, 1, 2))


def test_pod_0_that_fails_blocks_the_ones_after_it():
    blocked = [db(available=0, since=ago(hours=1)), crashing("db-0")]

    (violation,) = judged(*blocked).violations

    assert violation.observed == (
        "0 of 3 pods available; pod db-0: container app crashes in a loop: exit code 1 (Error) 3m ago, 7 restarts; "
        "statefulset/db"
    )
    assert "OrderedReady: the other pods wait for db-0" in violation.evidence
    assert Severity.P0 == violation.severity


def test_pods_that_need_not_wait_for_each_other_do_not():
    (violation,) = judged(db(available=0, policy="Parallel", since=ago(hours=1)), crashing("db-0")).violations

    assert not [line for line in violation.evidence if "OrderedReady" in line]


def test_k8s_67250_what_is_broken_has_to_be_deleted_after_the_undo():
    stuck = [db(updated=1, available=2), *db_pods(0, 1), crashing("db-2")]

    found = commands(*stuck)

    assert "kubectl -n default rollout undo statefulset/db  # if the last rollout is the cause" in found
    assert (
        "kubectl -n default delete pod db-2  # after the undo: the controller does not replace a broken pod"
    ) in found


@pytest.mark.parametrize(("age", "count"), EDGE)
def test_a_pod_that_does_not_go_keeps_its_place(age, count):
    stuck = its_pod("db-2", deleted=NOW - age)

    found = judged(db(available=2, since=NOW - age), *db_pods(0, 1), stuck).violations

    assert count == len(found)
    assert all("; pod db-2: not removed 15m" in violation.observed for violation in found)


def test_a_pod_that_takes_its_grace_period_to_end_is_on_its_way():
    going = its_pod("db-2", deleted=ago(minutes=-30), grace_seconds=3600)

    assert [] == observed(db(available=2, since=ago(minutes=30)), *db_pods(0, 1), going)


@pytest.mark.parametrize(("available", "severity"), [(3, Severity.P1), (2, Severity.P0), (0, Severity.P0)])
def test_without_a_condition_more_than_half_of_the_pods_serve(available, severity):
    (violation,) = judged(db(replicas=4, available=available)).violations

    assert severity == violation.severity


# Daemon sets


def test_k8sgpt_a_node_that_joins_is_no_trouble():
    joined = agent(available=2, since=ago(seconds=20))

    assert [] == observed(joined, *agents("n1", "n2"), never_ready("agent-n3", ago(seconds=20), node="n3"))


@pytest.mark.parametrize(("age", "count"), EDGE)
def test_popeye_ds_an_unavailable_daemon_is_found(age, count):
    short = agent(available=2)

    assert count == len(observed(short, *agents("n1", "n2"), its_pod("agent-n3", ready=False, since=NOW - age)))


@pytest.mark.parametrize(("age", "count"), EDGE)
def test_mixin_a_daemon_that_is_not_scheduled_is_found(age, count):
    missing = agent(scheduled=2, available=2, since=NOW - age)

    found = judged(missing, *agents("n1", "n2")).violations

    assert count == len(found)
    assert all("2 pods found, 2 ready" == violation.evidence[0] for violation in found)


@pytest.mark.parametrize(("age", "count"), EDGE)
def test_mixin_pods_on_nodes_that_a_daemon_set_does_not_mean_are_found(age, count):
    astray = agent(misscheduled=2, since=NOW - age)

    found = judged(astray, *agents("n1", "n2", "n3")).violations

    assert count == len(found)
    for violation in found:
        assert "2 pods on unselected nodes; daemonset/agent" == violation.observed
        assert "pods only on selected nodes" == violation.expected
        assert Severity.P1 == violation.severity
        assert (
            "kubectl -n default get pods -o wide  # look for pods of daemonset/agent on unselected nodes"
        ) in commands(astray, *agents("n1", "n2", "n3"))


def test_kubectl_with_ondelete_a_daemon_set_is_up_to_date_by_definition():
    assert [] == observed(agent(strategy="OnDelete", updated=0), *agents("n1", "n2", "n3"))


def test_a_rolling_update_of_many_nodes_takes_its_time():
    rolling = agent(desired=20, updated=7, available=20, since=ago(minutes=2))
    pods = [*agents(*(f"n{number}" for number in range(19))), its_pod("agent-new", since=ago(minutes=2))]

    assert [] == observed(rolling, *pods)


def test_a_rolling_update_that_stands_still_is_found():
    (violation,) = judged(agent(updated=1, available=2), *agents("n1", "n2"), crashing("agent-n3")).violations

    assert violation.observed.startswith(
        "rollout makes no progress: 1 of 3 pods updated, 2 of 3 pods available; pod agent-n3: container app"
    )
    assert "kubectl -n default rollout undo daemonset/agent  # if the last rollout is the cause" in commands(
        agent(updated=1, available=2), *agents("n1", "n2"), crashing("agent-n3")
    )
