"""Volume claims, storage classes, and the usage of mounted volumes that kubelets report."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from opscheck.demo.kubernetes.objects import AGE, Object, condition, metadata, timestamp
from opscheck.demo.kubernetes.world import World

PROTECTION = "kubernetes.io/pvc-protection"


def claim(  # noqa: PLR0913 -- a claim has many faces; all but the name have a default
    name: str,
    namespace: str = "default",
    *,
    phase: str = "Bound",
    storage_class: str | None = "standard",
    size: str = "10Gi",
    access: Sequence[str] = ("ReadWriteOnce",),
    mode: str = "Filesystem",
    volume: str = "",
    labels: dict[str, str] | None = None,
    created: datetime | None = None,
    deleted: datetime | None = None,
    conditions: Sequence[Object] = (),
) -> Object:
    """
    A claim. storage_class: None names no class; "" requests no dynamic volume.

    conditions: see `claim_condition`. deleted: the time of its deletion; it remains while a pod uses it.
    """
    born = created or datetime.now(UTC) - AGE
    found = metadata(name, namespace, created=born, labels=labels) | {"finalizers": [PROTECTION]}
    if deleted is not None:
        found |= {"deletionTimestamp": timestamp(deleted), "deletionGracePeriodSeconds": 0}
    spec: Object = {"accessModes": list(access), "resources": {"requests": {"storage": size}}, "volumeMode": mode}
    if storage_class is not None:
        spec["storageClassName"] = storage_class
    if volume or phase != "Pending":
        spec["volumeName"] = volume or f"pvc-{found['uid']}"
    status: Object = {"phase": phase}
    if phase == "Bound":
        status |= {"accessModes": list(access), "capacity": {"storage": size}}
    if conditions:
        status["conditions"] = list(conditions)
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": found, "spec": spec, "status": status}


def claim_condition(kind: str, since: datetime, message: str = "") -> Object:
    """A condition of a claim, such as Resizing, that holds."""
    return condition(kind, holds=True, since=since, message=message)


def storage_class(
    name: str = "standard", *, waits: bool = True, expands: bool = True, provisioner: str = "ebs.csi.aws.com"
) -> Object:
    """A storage class. waits: it makes a volume when a pod wants it, and not before."""
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": metadata(name),
        "provisioner": provisioner,
        "parameters": {"type": "gp3"},
        "reclaimPolicy": "Delete",
        "allowVolumeExpansion": expands,
        "volumeBindingMode": "WaitForFirstConsumer" if waits else "Immediate",
    }


def mounting(pod: Object, *claims: str, read_only: bool = False, ephemeral: Sequence[str] = ()) -> Object:
    """`pod` with these claims among its volumes; `ephemeral` are volumes whose claims are made for it."""
    access = {"readOnly": True} if read_only else {}
    named = [{"name": f"v-{name}", "persistentVolumeClaim": {"claimName": name} | access} for name in claims]
    template = {"volumeClaimTemplate": {"spec": {"accessModes": ["ReadWriteOnce"]}}}
    made = [{"name": name, "ephemeral": template} for name in ephemeral]
    kept = pod["spec"].get("volumes", [])
    return pod | {"spec": pod["spec"] | {"volumes": [*kept, *named, *made]}}


def volume_stats(  # noqa: PLR0913 -- the fields of the kubelet's report
    claim: str,
    namespace: str = "default",
    *,
    capacity: int = 10 * 2**30,
    available: int = 6 * 2**30,
    used: int | None = None,
    inodes: int = 655360,
    inodes_free: int = 655000,
    at: datetime | None = None,
) -> Object:
    """One entry of `volume` in a kubelet's summary. `used`: by default without the free space and root's reserve."""
    return {
        "time": timestamp(at or datetime.now(UTC)),
        "name": f"v-{claim}",
        "pvcRef": {"name": claim, "namespace": namespace},
        "capacityBytes": capacity,
        "availableBytes": available,
        "usedBytes": max(0, capacity - available - 16 * 2**20) if used is None else used,
        "inodes": inodes,
        "inodesFree": inodes_free,
        "inodesUsed": inodes - inodes_free,
    }


def stats_summary(world: World, node: str) -> dict[str, Any]:
    """The volumes in `/stats/summary` of a kubelet. A volume of a ConfigMap has no claim."""
    token = {"name": "kube-api-access", "time": timestamp(datetime.now(UTC)), "capacityBytes": 1, "usedBytes": 1}
    pods = [
        {
            "podRef": {"name": pod, "namespace": volumes[0]["pvcRef"]["namespace"], "uid": pod},
            "startTime": timestamp(datetime.now(UTC)),
            "volume": [*volumes, token],
        }
        for pod, volumes in world.measured_volumes(node).items()
    ]
    return {"node": {"nodeName": node, "startTime": timestamp(datetime.now(UTC))}, "pods": pods}
