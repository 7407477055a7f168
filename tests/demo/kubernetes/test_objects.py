"""Pods as the cluster reports them."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from opscheck.demo.kubernetes import many_pods, pod, termination

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def conditions(item) -> dict[str, str]:
    return {found["type"]: found["status"] for found in item["status"]["conditions"]}


def test_healthy_pod_is_ready_and_belongs_to_a_replica_set():
    found = pod("web-7d4b9c6f5d-2xkqp", "shop")
    (owner,) = found["metadata"]["ownerReferences"]
    (status,) = found["status"]["containerStatuses"]

    assert ("ReplicaSet", "web-7d4b9c6f5d", True) == (owner["kind"], owner["name"], owner["controller"])
    assert "True" == conditions(found)["Ready"]
    assert status["ready"]
    assert "running" in status["state"]


def test_crashing_pod_runs_and_is_not_ready():
    found = pod("web-1", restarts=7, waiting="CrashLoopBackOff", terminated=NOW, since=NOW - timedelta(minutes=20))
    (status,) = found["status"]["containerStatuses"]

    assert "Running" == found["status"]["phase"]
    assert "False" == conditions(found)["Ready"]
    assert "2026-03-01T11:40:00Z" == found["status"]["conditions"][2]["lastTransitionTime"]
    assert "CrashLoopBackOff" == status["state"]["waiting"]["reason"]
    assert (7, "2026-03-01T12:00:00Z", 1) == (
        status["restartCount"],
        status["lastState"]["terminated"]["finishedAt"],
        status["lastState"]["terminated"]["exitCode"],
    )


def test_termination_of_a_container_may_be_complete():
    found = pod("web-1", terminated=termination(NOW, 137, "OOMKilled"))

    assert "OOMKilled" == found["status"]["containerStatuses"][0]["lastState"]["terminated"]["reason"]


def test_pod_without_a_node_was_not_scheduled():
    found = pod("web-1", node=None)

    assert "Pending" == found["status"]["phase"]
    assert {"PodScheduled": "False"} == conditions(found)
    assert "containerStatuses" not in found["status"]
    assert "nodeName" not in found["spec"]


def test_finished_pod_is_not_ready_because_it_completed():
    found = pod("backup-1", phase="Succeeded")

    assert "PodCompleted" == found["status"]["conditions"][2]["reason"]
    assert 0 == found["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"]


def test_deletion_names_the_end_of_the_grace_period():
    found = pod("web-1", deleted=NOW, grace_seconds=600)

    assert ("2026-03-01T12:00:00Z", 600) == (
        found["metadata"]["deletionTimestamp"],
        found["metadata"]["deletionGracePeriodSeconds"],
    )


@pytest.mark.parametrize("size", [4000, 7000])
def test_padding_makes_an_object_as_large_as_a_real_one(size):
    assert size <= len(json.dumps(pod("web-1", padding=size))) < size * 1.2


def test_many_pods_have_names_of_their_own():
    assert 100 == len({found["metadata"]["name"] for found in many_pods(100)})
