"""The cluster's other objects: nodes, namespaces, workloads, events, and what metrics-server measures."""

import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from opscheck.demo.kubernetes.objects import Object, condition, metadata, timestamp

_PRESSURES = {
    "MemoryPressure": ("KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
    "DiskPressure": ("KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
    "PIDPressure": ("KubeletHasSufficientPID", "kubelet has sufficient PID available"),
}


def node(  # noqa: PLR0913 -- a node has many faces; all but the name have a default
    name: str,
    *,
    ready: bool | str = True,
    cpu: str = "4",
    memory: str = "16393244Ki",
    labels: Mapping[str, str] | None = None,
    taints: Sequence[Mapping[str, str]] = (),
    unschedulable: bool = False,
    pressure: Sequence[str] = (),
    since: datetime | None = None,
    created: datetime | None = None,
    version: str = "v1.34.1",
) -> Object:
    """
    A node. `cpu` and `memory` are what it can give to pods (allocatable).

    ready: "Unknown" is a node whose kubelet stopped reporting. pressure: the pressures that hold.
    since: when readiness and pressures changed last.
    """
    born = created or datetime.now(UTC) - timedelta(days=90)
    changed = since or born + timedelta(minutes=1)
    room = {"cpu": cpu, "memory": memory, "pods": "110", "ephemeral-storage": "95491281146"}
    spec: Object = {"podCIDR": "10.244.1.0/24", "providerID": f"demo:///{name}"}
    if taints:
        spec["taints"] = [dict(taint) for taint in taints]
    if unschedulable:
        spec["unschedulable"] = True
    known = {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux"}
    return {
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


def _node_conditions(ready: bool | str, pressure: Sequence[str], since: datetime) -> list[Object]:
    heartbeat = {"lastHeartbeatTime": timestamp(datetime.now(UTC))}
    pressures = [
        condition(kind, kind in pressure, since, f"KubeletHas{kind}" if kind in pressure else reason, message)
        for kind, (reason, message) in _PRESSURES.items()
    ]
    reasons = {True: "KubeletReady", False: "KubeletNotReady", "Unknown": "NodeStatusUnknown"}
    pressures.append(condition("Ready", ready, since, reasons[ready]))
    return [found | heartbeat for found in pressures]


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


def deployment(name: str, namespace: str = "default", *, replicas: int = 3, available: int = 3) -> Object:
    """A deployment that has rolled out, with `available` of its `replicas`."""
    since = datetime.now(UTC) - timedelta(days=2)
    enough = available >= replicas
    found = generic("apps/v1", "Deployment", name, namespace)
    found["metadata"]["generation"] = 1
    labels = {"app": name}
    found["spec"] = {
        "replicas": replicas,
        "progressDeadlineSeconds": 600,
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": {"containers": []}},
    }
    counts = dict.fromkeys(("readyReplicas", "availableReplicas"), available)
    reason = "MinimumReplicasAvailable" if enough else "MinimumReplicasUnavailable"
    found["status"] = {
        "observedGeneration": 1,
        "replicas": replicas,
        "updatedReplicas": replicas,
        **counts,
        "conditions": [
            condition("Progressing", holds=True, since=since, reason="NewReplicaSetAvailable"),
            condition("Available", enough, since, reason),
        ],
    }
    return found


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
    """What metrics-server measured on a node: quantities such as `250m`, `1500000n`, `512Mi`."""
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
    """What metrics-server measured of a pod: `app=("250m", "512Mi")` for each container, and its labels."""
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
