"""Deployments, stateful sets and daemon sets as a cluster reports them, on their way or standing still."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from opscheck.demo.kubernetes.objects import AGE, Object, condition, metadata, timestamp


def deployment(  # noqa: PLR0913 - a rollout has many faces; all but the name have a default
    name: str,
    namespace: str = "default",
    *,
    replicas: int = 3,
    available: int | None = None,
    updated: int | None = None,
    old: int = 0,
    progress: str = "NewReplicaSetAvailable",
    refused: str = "",
    paused: bool = False,
    max_unavailable: int = 0,
    deadline: int = 600,
    min_ready_seconds: int = 0,
    generation: int = 4,
    observed: int | None = None,
    labels: Mapping[str, str] | None = None,
    created: datetime | None = None,
    since: datetime | None = None,
    edited: datetime | None = None,
) -> Object:
    """
    A deployment; by default one that has rolled out, with all its pods available.

    updated: pods of the newest revision. old: pods of others. progress: the reason of its condition Progressing, ""
    for none, as with a deadline of the largest int32. refused: why its replica set cannot make pods. since: when its
    status changed last. edited: when its spec did.
    """
    born = created or datetime.now(UTC) - AGE
    changed, ready = since or born + timedelta(minutes=1), replicas if available is None else available
    new = replicas if updated is None else updated
    enough = ready >= replicas - max_unavailable
    conditions = [] if not progress else [_progressing(progress, name, changed)]
    reason = f"Minimum{'ReplicasAvailable' if enough else 'ReplicasUnavailable'}"
    conditions.append(_dated(condition("Available", enough, changed, reason, _AVAILABLE[enough])))
    if refused:
        conditions.append(_dated(condition("ReplicaFailure", True, changed, "FailedCreate", refused)))
    return {
        **_object("Deployment", name, namespace, labels, born, edited or born, changed, generation),
        "spec": _spec(name)
        | {
            "replicas": replicas,
            "strategy": {
                "type": "RollingUpdate",
                "rollingUpdate": {"maxSurge": 1, "maxUnavailable": max_unavailable},
            },
            "revisionHistoryLimit": 10,
            "progressDeadlineSeconds": deadline,
        }
        | ({"paused": True} if paused else {})
        | ({"minReadySeconds": min_ready_seconds} if min_ready_seconds else {}),
        "status": {"observedGeneration": generation if observed is None else observed}
        | _counted(
            replicas=new + old,
            updatedReplicas=new,
            readyReplicas=ready,
            availableReplicas=ready,
            unavailableReplicas=max(0, replicas - ready),
        )
        | {"conditions": conditions},
    }


def stateful_set(  # noqa: PLR0913 - as above
    name: str,
    namespace: str = "default",
    *,
    replicas: int = 3,
    available: int | None = None,
    updated: int | None = None,
    strategy: str = "RollingUpdate",
    partition: int = 0,
    policy: str = "OrderedReady",
    min_ready_seconds: int = 0,
    generation: int = 4,
    observed: int | None = None,
    labels: Mapping[str, str] | None = None,
    created: datetime | None = None,
    since: datetime | None = None,
    edited: datetime | None = None,
) -> Object:
    """A stateful set; by default one that has rolled out. It has no conditions, for its controller sets none."""
    born = created or datetime.now(UTC) - AGE
    ready = replicas if available is None else available
    rolling = {} if strategy == "OnDelete" else {"rollingUpdate": {"partition": partition}}
    revisions = {"currentRevision": f"{name}-6c8d5f7b9", "updateRevision": f"{name}-6c8d5f7b9"}
    if updated is not None:
        revisions["updateRevision"] = f"{name}-85b7f9d4c"
    return {
        **_object("StatefulSet", name, namespace, labels, born, edited or born, since or born, generation),
        "spec": _spec(name)
        | {
            "replicas": replicas,
            "serviceName": name,
            "podManagementPolicy": policy,
            "updateStrategy": {"type": strategy} | rolling,
            "revisionHistoryLimit": 10,
        }
        | ({"minReadySeconds": min_ready_seconds} if min_ready_seconds else {}),
        "status": {
            "observedGeneration": generation if observed is None else observed,
            "replicas": replicas,
            "availableReplicas": ready,
            **revisions,
            "collisionCount": 0,
        }
        | _counted(
            readyReplicas=ready,
            currentReplicas=replicas - (updated or 0),
            updatedReplicas=replicas if updated is None else updated,
        ),
    }


def daemon_set(  # noqa: PLR0913 - as above
    name: str,
    namespace: str = "default",
    *,
    desired: int = 3,
    scheduled: int | None = None,
    available: int | None = None,
    updated: int | None = None,
    misscheduled: int = 0,
    strategy: str = "RollingUpdate",
    generation: int = 4,
    observed: int | None = None,
    labels: Mapping[str, str] | None = None,
    created: datetime | None = None,
    since: datetime | None = None,
    edited: datetime | None = None,
) -> Object:
    """A daemon set; by default one with a pod on each of the nodes that it means."""
    born = created or datetime.now(UTC) - AGE
    ready = desired if available is None else available
    rolling = {} if strategy == "OnDelete" else {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}}
    return {
        **_object("DaemonSet", name, namespace, labels, born, edited or born, since or born, generation),
        "spec": _spec(name) | {"updateStrategy": {"type": strategy} | rolling, "revisionHistoryLimit": 10},
        "status": {
            "observedGeneration": generation if observed is None else observed,
            "desiredNumberScheduled": desired,
            "currentNumberScheduled": desired if scheduled is None else scheduled,
            "numberMisscheduled": misscheduled,
            "numberReady": ready,
        }
        | _counted(
            updatedNumberScheduled=desired if updated is None else updated,
            numberAvailable=ready,
            numberUnavailable=max(0, desired - ready),
        ),
    }


_AVAILABLE = {True: "Deployment has minimum availability.", False: "Deployment does not have minimum availability."}
_PROGRESS = {
    "NewReplicaSetAvailable": ("True", 'ReplicaSet "{name}-7d4b9c6f5d" has successfully progressed.'),
    "ReplicaSetUpdated": ("True", 'ReplicaSet "{name}-7d4b9c6f5d" is progressing.'),
    "ProgressDeadlineExceeded": ("False", 'ReplicaSet "{name}-7d4b9c6f5d" has timed out progressing.'),
    "ReplicaSetCreateError": ("False", 'Failed to create new replica set "{name}-7d4b9c6f5d": exceeded quota'),
    "DeploymentPaused": ("Unknown", "Deployment is paused"),
}


def _progressing(reason: str, name: str, changed: datetime) -> Object:
    status, message = _PROGRESS[reason]
    return _dated(condition("Progressing", status, changed, reason, message.format(name=name)))


def _dated(found: Object) -> Object:
    return found | {"lastUpdateTime": found["lastTransitionTime"]}


def _counted(**counts: int) -> Object:
    # A server leaves out these counters where they are 0.
    return {name: count for name, count in counts.items() if count}


def _spec(name: str) -> Object:
    labels = {"app": name}
    container = {
        "name": "app",
        "image": "registry.example.com/app:1.4.2",
        "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "512Mi"}},
        "imagePullPolicy": "IfNotPresent",
    }
    pods = {"containers": [container], "restartPolicy": "Always", "terminationGracePeriodSeconds": 30}
    return {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": pods}}


def _object(  # noqa: PLR0913, PLR0917 - the common fields of all workloads
    kind: str,
    name: str,
    namespace: str,
    labels: Mapping[str, str] | None,
    born: datetime,
    edited: datetime,
    changed: datetime,
    generation: int,
) -> Object:
    about = metadata(name, namespace, created=born, labels={"app": name} | dict(labels or {}))
    spec: Object = {"f:spec": {"f:template": {}}}
    status: Object = {"f:status": {"f:observedGeneration": {}}}
    writers = [
        _writer("helm", edited, {"f:metadata": {"f:labels": {}}, **spec}),
        _writer("kube-controller-manager", changed, status) | {"subresource": "status"},
    ]
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": about | {"generation": generation, "managedFields": writers},
    }


def _writer(manager: str, at: datetime, fields: Object) -> Object:
    return {
        "manager": manager,
        "operation": "Update",
        "apiVersion": "apps/v1",
        "time": timestamp(at),
        "fieldsType": "FieldsV1",
        "fieldsV1": fields,
    }
