"""Objects as a cluster reports them: every field a client may trip over, none that is made up."""

import json
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

Object = dict[str, Any]

AGE = timedelta(days=2)
"""The default age of an object."""
_STARTUP = timedelta(seconds=20)


def timestamp(moment: datetime) -> str:
    """RFC 3339 in UTC with whole seconds, as metav1.Time is written."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def termination(finished: datetime, exit_code: int = 1, reason: str = "Error") -> Object:
    """The value of `state.terminated` and `lastState.terminated`."""
    return {
        "exitCode": exit_code,
        "reason": reason,
        "startedAt": timestamp(finished - timedelta(seconds=12)),
        "finishedAt": timestamp(finished),
        "containerID": f"containerd://{uuid.uuid4().hex}{uuid.uuid4().hex}",
    }


def metadata(  # noqa: PLR0913 -- they are the fields of ObjectMeta
    name: str,
    namespace: str = "",
    *,
    created: datetime | None = None,
    labels: Mapping[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
    owner: str | None = None,
    version: str = "",
) -> Object:
    """
    Object metadata. `owner` is `Kind/name`, the controller, of an API `version` that is known of built-in kinds.

    Without `namespace` it is a cluster's object.
    """
    found: Object = {
        "name": name,
        "uid": str(uuid.uuid5(uuid.NAMESPACE_URL, f"{namespace}/{name}")),
        "resourceVersion": "1000",
        "creationTimestamp": timestamp(created or datetime.now(UTC) - AGE),
    }
    if namespace:
        found["namespace"] = namespace
    if labels:
        found["labels"] = dict(labels)
    if annotations:
        found["annotations"] = dict(annotations)
    if owner:
        found["ownerReferences"] = [_owner(owner, namespace, version)]
    return found


def _owner(owner: str, namespace: str, version: str) -> Object:
    kind, _, name = owner.partition("/")
    version = version or {"Job": "batch/v1", "CronJob": "batch/v1", "Node": "v1"}.get(kind, "apps/v1")
    uid = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{namespace}/{kind}/{name}"))
    controller = {"controller": True, "blockOwnerDeletion": True}
    return {"apiVersion": version, "kind": kind, "name": name, "uid": uid, **controller}


def condition(kind: str, holds: bool | str, since: datetime, reason: str = "", message: str = "") -> Object:
    """One entry of `status.conditions`. `holds` may be "Unknown"."""
    status = holds if isinstance(holds, str) else str(holds)
    found = {"type": kind, "status": status, "lastTransitionTime": timestamp(since)}
    return found | ({"reason": reason} if reason else {}) | ({"message": message} if message else {})


def pod(  # noqa: PLR0913 -- a pod has many faces; all but the name have a default
    name: str,
    namespace: str = "default",
    *,
    labels: Mapping[str, str] | None = None,
    phase: str = "Running",
    ready: bool = True,
    restarts: int = 0,
    node: str | None = "node-1",
    containers: Sequence[str] = ("app",),
    image: str = "registry.example.com/app:1.4.2",
    requests: Mapping[str, str] | None = None,
    limits: Mapping[str, str] | None = None,
    owner: str | None = "",
    created: datetime | None = None,
    since: datetime | None = None,
    waiting: str | None = None,
    message: str = "",
    terminated: Object | datetime | None = None,
    reason: str = "",
    deleted: datetime | None = None,
    grace_seconds: int = 30,
    padding: int = 0,
) -> Object:
    """
    A pod, with the status that the kubelet and the scheduler report.

    waiting: the reason why the first container waits (`CrashLoopBackOff`, `ErrImagePull`); it is not ready.
    terminated: the last end of the first container (`lastState`); a datetime means `termination(...)`.
    since: when the readiness changed last. deleted: `deletionTimestamp`, which is when the grace period
    ends. owner: `Kind/name`; "" derives a ReplicaSet from the name, None is a pod without a controller.
    node: None is a pod that could not be scheduled. padding: the size in bytes the JSON has to reach.
    """
    born = created or datetime.now(UTC) - AGE
    is_ready = ready and waiting is None and phase == "Running"
    ended = termination(terminated) if isinstance(terminated, datetime) else terminated
    started = _started(born, ended)
    resources = {"requests": dict(requests or {}), "limits": dict(limits or {})}
    statuses = [
        _container_status(container, image, is_ready, _state(phase, None, message, started)) for container in containers
    ]
    statuses[0] |= {
        "state": _state(phase, waiting, message, started),
        "lastState": {"terminated": ended} if ended else {},
        "restartCount": restarts,
        "started": phase == "Running" and waiting is None,
    }
    if waiting is not None and ended is None:  # it never ran
        statuses[0] |= {"imageID": "", "containerID": ""}
    found: Object = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata(
            name, namespace, created=born, labels=labels, owner=_replica_set(name) if owner == "" else owner
        ),
        "spec": _pod_spec(containers, image, resources, node)
        # One that restarts always does not end by itself.
        | ({"restartPolicy": "Never"} if phase == "Succeeded" else {}),
        "status": {
            "phase": phase,
            "conditions": _conditions(phase, is_ready, born, since or started, containers),
            "hostIP": "10.0.0.11",
            "podIP": "10.244.1.7",
            "podIPs": [{"ip": "10.244.1.7"}],
            "startTime": timestamp(born),
            "containerStatuses": statuses,
            "qosClass": "Burstable",
        },
    }
    if node is None:
        found["status"] = _unscheduled(since or born)
    if reason:
        found["status"] |= {"reason": reason, "message": message}
    if deleted is not None:
        grace = {"deletionTimestamp": timestamp(deleted), "deletionGracePeriodSeconds": grace_seconds}
        found["metadata"] |= grace
    return padded(found, padding)


def many_pods(count: int, namespace: str = "default", *, padding: int = 0, **options: Any) -> list[Object]:
    """So many pods, `load-00000` and on; `options` are those of `pod`."""
    found = [pod(f"load-{number:05d}", namespace, **options) for number in range(count)]
    managed = padded(dict(found[0]), padding)["metadata"].get("managedFields") if found else None
    for item in found if managed else ():
        item["metadata"]["managedFields"] = managed  # shared by all: it is never changed
    return found


def padded(item: Object, size: int) -> Object:
    """The object, with managed fields (which make real objects large) until its JSON has `size` bytes."""
    fields: list[Object] = []
    missing = size - len(json.dumps(item))
    while missing > 0:
        paths: Object = {f"f:field-{number}": {".": {}, "f:name": {}} for number in range(min(12, missing // 40 + 1))}
        fields.append(
            {
                "manager": "kube-controller-manager",
                "operation": "Update",
                "apiVersion": item["apiVersion"],
                "fieldsType": "FieldsV1",
                "fieldsV1": {"f:metadata": {"f:labels": paths}},
            }
        )
        missing -= len(json.dumps(fields[-1])) + 2
    if fields:
        item["metadata"]["managedFields"] = fields
    return item


def _replica_set(name: str) -> str:
    return f"ReplicaSet/{name.rpartition('-')[0] or name}"


def _started(born: datetime, ended: Object | None) -> datetime:
    if ended is None:
        return born + _STARTUP
    return datetime.fromisoformat(ended["finishedAt"]) + timedelta(seconds=1)


def _state(phase: str, waiting: str | None, message: str, started: datetime) -> Object:
    if waiting is not None:
        return {"waiting": {"reason": waiting, "message": message or f"{waiting}: back-off restarting"}}
    if phase == "Succeeded":
        return {"terminated": termination(started, 0, "Completed")}
    if phase == "Failed":
        return {"terminated": termination(started)}
    if phase == "Pending":
        return {"waiting": {"reason": "ContainerCreating"}}
    return {"running": {"startedAt": timestamp(started)}}


def _container_status(name: str, image: str, ready: bool, state: Object) -> Object:
    return {
        "name": name,
        "image": image,
        "imageID": f"registry.example.com/app@sha256:{'5f' * 32}",
        "containerID": f"containerd://{'c0ffee' * 10}beef",
        "ready": ready,
        "started": "running" in state,
        "restartCount": 0,
        "state": state,
        "lastState": {},
    }


def _conditions(phase: str, ready: bool, born: datetime, since: datetime, containers: Sequence[str]) -> list[Object]:
    reason, message = "", ""
    if phase == "Succeeded":
        reason = "PodCompleted"
    elif not ready:
        reason, message = "ContainersNotReady", f"containers with unready status: [{' '.join(containers)}]"
    return [
        condition("PodReadyToStartContainers", holds=True, since=born),
        condition("Initialized", holds=True, since=born),
        condition("Ready", ready, since, reason, message),
        condition("ContainersReady", ready, since, reason, message),
        condition("PodScheduled", holds=True, since=born),
    ]


def _unscheduled(since: datetime) -> Object:
    message = "0/3 nodes are available: 3 Insufficient memory."
    found = condition("PodScheduled", holds=False, since=since, reason="Unschedulable", message=message)
    return {"phase": "Pending", "conditions": [found], "qosClass": "Burstable"}


def _pod_spec(containers: Sequence[str], image: str, resources: Object, node: str | None) -> Object:
    mount = {"name": "kube-api-access", "readOnly": True}
    mounts = [mount | {"mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"}]
    spec: Object = {
        "containers": [
            {
                "name": name,
                "image": image,
                "resources": resources,
                "ports": [{"containerPort": 8080, "protocol": "TCP"}],
                "terminationMessagePath": "/dev/termination-log",
                "terminationMessagePolicy": "File",
                "imagePullPolicy": "IfNotPresent",
                "volumeMounts": mounts,
            }
            for name in containers
        ],
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": 30,
        "dnsPolicy": "ClusterFirst",
        "serviceAccountName": "default",
        "schedulerName": "default-scheduler",
        "tolerations": [
            {"key": f"node.kubernetes.io/{taint}", "operator": "Exists", "effect": "NoExecute"}
            | {"tolerationSeconds": 300}
            for taint in ("not-ready", "unreachable")
        ],
        "volumes": [{"name": "kube-api-access", "projected": {"defaultMode": 420, "sources": []}}],
    }
    return spec | ({"nodeName": node} if node else {})
