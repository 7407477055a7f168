"""Nodes as the cluster reports them."""

from datetime import UTC, datetime, timedelta

from opscheck.demo.kubernetes import node, taint

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def conditions(item) -> dict[str, str]:
    return {found["type"]: found["status"] for found in item["status"]["conditions"]}


def test_healthy_node_is_ready_and_under_no_pressure():
    assert {
        "MemoryPressure": "False",
        "DiskPressure": "False",
        "PIDPressure": "False",
        "NetworkUnavailable": "False",
        "Ready": "True",
    } == conditions(node("node-1"))
    assert "taints" not in node("node-1")["spec"]


def test_silent_kubelet_makes_its_conditions_unknown():
    lost = node("node-1", ready="Unknown", since=NOW)

    assert {"Unknown"} == {status for kind, status in conditions(lost).items() if kind != "NetworkUnavailable"}
    assert [
        ("node.kubernetes.io/unreachable", "NoSchedule", "2026-03-01T12:00:00Z"),
        ("node.kubernetes.io/unreachable", "NoExecute", "2026-03-01T12:00:00Z"),
    ] == [(one["key"], one["effect"], one["timeAdded"]) for one in lost["spec"]["taints"]]


def test_pressure_has_a_reason():
    (memory, *_) = node("node-1", pressure=["MemoryPressure"])["status"]["conditions"]

    assert ("True", "KubeletHasInsufficientMemory") == (memory["status"], memory["reason"])


def test_cordoned_node_has_the_taint_of_the_node_controller():
    cordoned = node("node-1", cordoned=NOW, taints=[taint("dedicated", value="batch")])

    assert cordoned["spec"]["unschedulable"]
    assert [
        {"key": "dedicated", "value": "batch", "effect": "NoSchedule"},
        {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule", "timeAdded": "2026-03-01T12:00:00Z"},
    ] == cordoned["spec"]["taints"]


def test_deleted_node_with_a_finalizer_remains():
    going = node("node-1", deleted=NOW - timedelta(hours=1))["metadata"]

    assert ("2026-03-01T11:00:00Z", ["karpenter.sh/termination"]) == (going["deletionTimestamp"], going["finalizers"])
