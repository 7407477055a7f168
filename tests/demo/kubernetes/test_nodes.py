"""Nodes as the cluster reports them."""

from datetime import UTC, datetime, timedelta

from opscheck.demo.kubernetes import node, taint

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def conditions(item) -> dict[str, str]:
    return {found["type"]: found["status"] for found in item["status"]["conditions"]}


def test_a_healthy_node_is_ready_and_under_no_pressure():
    assert {
        "MemoryPressure": "False",
        "DiskPressure": "False",
        "PIDPressure": "False",
        "NetworkUnavailable": "False",
        "Ready": "True",
    } == conditions(node("node-1"))
    assert "taints" not in node("node-1")["spec"]


def test_a_node_whose_kubelet_is_silent_is_unknown_in_all_that_the_kubelet_says():
    lost = node("node-1", ready="Unknown", since=NOW)

    assert {"Unknown"} == {status for kind, status in conditions(lost).items() if kind != "NetworkUnavailable"}
    assert [
        ("node.kubernetes.io/unreachable", "NoSchedule", "2026-03-01T12:00:00Z"),
        ("node.kubernetes.io/unreachable", "NoExecute", "2026-03-01T12:00:00Z"),
    ] == [(one["key"], one["effect"], one["timeAdded"]) for one in lost["spec"]["taints"]]


def test_pressure_says_so_in_its_reason():
    (memory, *_) = node("node-1", pressure=["MemoryPressure"])["status"]["conditions"]

    assert ("True", "KubeletHasInsufficientMemory") == (memory["status"], memory["reason"])


def test_a_cordoned_node_has_the_taint_of_the_node_controller():
    cordoned = node("node-1", cordoned=NOW, taints=[taint("dedicated", value="batch")])

    assert cordoned["spec"]["unschedulable"]
    assert [
        {"key": "dedicated", "value": "batch", "effect": "NoSchedule"},
        {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule", "timeAdded": "2026-03-01T12:00:00Z"},
    ] == cordoned["spec"]["taints"]


def test_a_node_that_a_finalizer_keeps():
    going = node("node-1", deleted=NOW - timedelta(hours=1))["metadata"]

    assert ("2026-03-01T11:00:00Z", ["karpenter.sh/termination"]) == (going["deletionTimestamp"], going["finalizers"])
