"""Owners of objects: what a person edits, restarts or rolls back, read from the object alone."""

import re

from opscheck.systems.kubernetes.objects import KubernetesObject, Owner
from opscheck.systems.kubernetes.target import KubernetesTarget

_HASH_LABEL = "pod-template-hash"
# The letters of a pod template's hash: no vowels, so that no word comes out.
_HASH = re.compile(r"-[bcdfghjklmnpqrstvwxz2456789]{5,10}$")
_RUN_OF_CRONJOB = re.compile(r"-\d{8,}$")
ROLLED_OUT = ("deployment/", "statefulset/", "daemonset/")
"""Owners that `kubectl rollout` knows."""


def controller(one: KubernetesObject) -> Owner | None:
    """The owner reference that says `controller: true`, None for an object nobody controls."""
    owners = (one.metadata and one.metadata.owner_references) or ()
    return next((owner for owner in owners if owner.controller), None)


def top_owner(one: KubernetesObject) -> str:
    """
    `deployment/api` for a pod of a replica set of that deployment; empty for what nobody controls.

    A replica set and a job are named after the deployment and the cron job that made them, so nothing else has to
    be asked. A static pod belongs to its node and can only be changed there.
    """
    owner = controller(one)
    if owner is None or not owner.kind or not owner.name or owner.kind == "Node":
        return ""
    if owner.kind == "ReplicaSet":
        return _of_replica_set(owner.name, one.labels)
    if owner.kind == "Job":
        scheduled = _RUN_OF_CRONJOB.sub("", owner.name)
        return f"cronjob/{scheduled}" if scheduled != owner.name else f"job/{owner.name}"
    return f"{owner.kind.lower()}/{owner.name}"


def _of_replica_set(name: str, labels: dict[str, str]) -> str:
    template = labels.get(_HASH_LABEL)
    deployment = name.removesuffix(f"-{template}") if template else _HASH.sub("", name)
    return f"deployment/{deployment}" if deployment != name else f"replicaset/{name}"


def is_of_job(pod: KubernetesObject) -> bool:
    owner = controller(pod)
    return owner is not None and owner.kind == "Job"


def reference(target: KubernetesTarget, kind: str, name: str, namespace: str = "") -> str:
    """`cluster/shop/deployment/api`; `cluster/node/worker-1` for what is in no namespace. `kind` in small letters."""
    return "/".join(part for part in (target.name, namespace, kind, name) if part)


def owner_reference(target: KubernetesTarget, one: KubernetesObject) -> str:
    """The reference of what controls `one`; empty where nobody does."""
    kind, _, name = top_owner(one).partition("/")
    return reference(target, kind, name, one.namespace) if name else ""
