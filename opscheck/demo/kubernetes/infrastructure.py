"""The cluster's other objects: nodes, namespaces, events, and the metrics of metrics-server."""

import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from opscheck.demo.kubernetes.objects import Object, condition, metadata, timestamp

# By type: the reason and message while all is well, and while it is not.
_CONDITIONS = {
    "MemoryPressure": (
        ("KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
        ("KubeletHasInsufficientMemory", "kubelet has insufficient memory available"),
    ),
    "DiskPressure": (
        ("KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
        ("KubeletHasDiskPressure", "kubelet has disk pressure"),
    ),
    "PIDPressure": (
        ("KubeletHasSufficientPID", "kubelet has sufficient PID available"),
        ("KubeletHasInsufficientPID", "kubelet has insufficient PID available"),
    ),
    "NetworkUnavailable": (
        ("CalicoIsUp", "Calico is running on this node"),
        ("NoRouteCreated", "Node created without a route"),
    ),
}
_READY = {
    True: ("KubeletReady", "kubelet is posting ready status"),
    False: ("KubeletNotReady", "container runtime network not ready: cni plugin not initialized"),
    "Unknown": ("NodeStatusUnknown", "Kubelet stopped posting node status."),
}


def taint(key: str, effect: str = "NoSchedule", *, added: datetime | None = None, value: str = "") -> Object:
    """One entry of `spec.taints`; `added` is set by the controllers of Kubernetes and by few others."""
    found = {"key": key} | ({"value": value} if value else {}) | {"effect": effect}
    return found | ({"timeAdded": timestamp(added)} if added else {})


def node(  # noqa: PLR0913 -- a node has many faces; all but the name have a default
    name: str,
    *,
    ready: bool | str = True,
    cpu: str = "4",
    memory: str = "16393244Ki",
    pods: str = "110",
    labels: Mapping[str, str] | None = None,
    taints: Sequence[Mapping[str, str]] = (),
    cordoned: datetime | None = None,
    pressure: Sequence[str] = (),
    since: datetime | None = None,
    created: datetime | None = None,
    deleted: datetime | None = None,
    version: str = "v1.34.1",
) -> Object:
    """
    A node. `cpu`, `memory` and `pods` are its allocatable resources.

    ready: "Unknown" is a node whose kubelet stopped reporting. pressure: conditions that are true and should not be.
    since: the last transition of readiness and pressures. cordoned: the time of the cordon. deleted: the time of its
    deletion, while a finalizer keeps it.
    """
    born = created or datetime.now(UTC) - timedelta(days=90)
    changed = since or born + timedelta(minutes=1)
    room = {"cpu": cpu, "memory": memory, "pods": pods, "ephemeral-storage": "95491281146"}
    spec: Object = {"podCIDR": "10.244.1.0/24", "providerID": f"demo:///{name}"}
    if all_taints := [*map(dict, taints), *_own_taints(ready, changed, cordoned)]:
        spec["taints"] = all_taints
    if cordoned:
        spec["unschedulable"] = True
    known = {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux"}
    found: Object = {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": metadata(name, created=born, labels=known | dict(labels or {})),
        "spec": spec,
        "status": {
            "capacity": room,
            "allocatable": dict(room),
            "conditions": _node_conditions(ready, pressure, changed),
            "addresses": [
                {"type": "InternalIP", "address": "10.0.0.11"},
                {"type": "Hostname", "address": name},
            ],
            "nodeInfo": {
                "machineID": uuid.uuid5(uuid.NAMESPACE_URL, name).hex,
                "systemUUID": str(uuid.uuid5(uuid.NAMESPACE_URL, name)),
                "bootID": str(uuid.uuid5(uuid.NAMESPACE_URL, f"{name}/boot")),
                "kubeletVersion": version,
                "kubeProxyVersion": version,
                "containerRuntimeVersion": "containerd://2.0.5",
                "kernelVersion": "6.8.0-64-generic",
                "operatingSystem": "linux",
                "architecture": "amd64",
                "osImage": "Ubuntu 24.04.2 LTS",
            },
        },
    }
    if deleted:
        found["metadata"] |= {"deletionTimestamp": timestamp(deleted), "finalizers": ["karpenter.sh/termination"]}
    return found


def _own_taints(ready: bool | str, changed: datetime, cordoned: datetime | None) -> list[Object]:
    """The taints that the node controller keeps."""
    found = []
    if cordoned:
        found.append(taint("node.kubernetes.io/unschedulable", added=cordoned))
    if ready is not True:
        key = f"node.kubernetes.io/{'unreachable' if ready == 'Unknown' else 'not-ready'}"
        found += [taint(key, added=changed), taint(key, "NoExecute", added=changed)]
    return found


def _node_conditions(ready: bool | str, pressure: Sequence[str], since: datetime) -> list[Object]:
    heartbeat = {"lastHeartbeatTime": timestamp(datetime.now(UTC))}
    found = [_node_condition(kind, kind in pressure, since, lost=ready == "Unknown") for kind in _CONDITIONS]
    found.append(condition("Ready", ready, since, *_READY[ready]))
    return [one | heartbeat for one in found]


def _node_condition(kind: str, holds: bool, since: datetime, *, lost: bool) -> Object:
    # The kubelet's conditions become Unknown with it; the network's condition is set by the network plugin.
    if lost and kind != "NetworkUnavailable":
        return condition(kind, "Unknown", since, *_READY["Unknown"])
    return condition(kind, holds, since, *_CONDITIONS[kind][holds])


def namespace(name: str, *, phase: str = "Active") -> Object:
    """A namespace."""
    labels = {"kubernetes.io/metadata.name": name}
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": metadata(name, labels=labels),
        "spec": {"finalizers": ["kubernetes"]},
        "status": {"phase": phase},
    }


def generic(api_version: str, kind: str, name: str, namespace: str = "", **fields: Any) -> Object:
    """Any object: `fields` are its top-level fields, such as spec and status."""
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata(name, namespace), **fields}


def event(  # noqa: PLR0913 -- an event has many faces
    name: str,
    namespace: str = "default",
    *,
    about: str,
    reason: str,
    message: str,
    kind: str = "Normal",
    count: int = 1,
    at: datetime | None = None,
) -> Object:
    """A v1 Event about `Kind/name`; `kind` is Normal or Warning."""
    moment = at or datetime.now(UTC)
    subject, _, subject_name = about.partition("/")
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": metadata(name, namespace, created=moment),
        "involvedObject": {
            "apiVersion": "v1",
            "kind": subject,
            "name": subject_name,
            "namespace": namespace,
            "uid": metadata(subject_name, namespace)["uid"],
        },
        "reason": reason,
        "message": message,
        "type": kind,
        "count": count,
        "source": {"component": "kubelet"},
        "firstTimestamp": timestamp(moment),
        "lastTimestamp": timestamp(moment),
        "eventTime": None,
        "reportingComponent": "kubelet",
        "reportingInstance": "",
    }


def node_metrics(name: str, cpu: str, memory: str, *, at: datetime | None = None) -> Object:
    """The metrics of a node: quantities such as `250m`, `1500000n`, `512Mi`."""
    return {
        **_measured("NodeMetrics", metadata(name), at),
        "usage": {"cpu": cpu, "memory": memory},
    }


def pod_metrics(
    name: str,
    namespace: str = "default",
    *,
    labels: Mapping[str, str] | None = None,
    at: datetime | None = None,
    **containers: tuple[str, str],
) -> Object:
    """The metrics of a pod: `app=("250m", "512Mi")` for each container, and its labels."""
    usage = [
        {"name": container, "usage": {"cpu": cpu, "memory": memory}} for container, (cpu, memory) in containers.items()
    ]
    return {**_measured("PodMetrics", metadata(name, namespace, labels=labels), at), "containers": usage}


def _measured(kind: str, about: Object, at: datetime | None) -> Object:
    moment = at or datetime.now(UTC)
    kept = {key: about[key] for key in ("name", "namespace", "labels") if key in about}
    return {
        "apiVersion": "metrics.k8s.io/v1beta1",
        "kind": kind,
        "metadata": kept | {"creationTimestamp": timestamp(moment)},
        "timestamp": timestamp(moment),
        "window": "20s",
    }
