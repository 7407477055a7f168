"""Common parts of Kubernetes objects: metadata, owners, references and conditions."""

import re
from datetime import datetime, timedelta
from typing import final

import msgspec

from opscheck.core.query import Timestamp
from opscheck.systems.kubernetes.target import KubernetesTarget

Quantities = dict[str, str]
"""Resource name to quantity, such as `{"cpu": "500m", "memory": "1Gi"}`."""
_HASH_LABEL = "pod-template-hash"
# The letters of a pod template's hash: no vowels, so that it is never a word.
_HASH = re.compile(r"-[bcdfghjklmnpqrstvwxz2456789]{5,10}$")
_RUN_OF_CRONJOB = re.compile(r"-\d{8,}$")
ROLLED_OUT = ("deployment/", "statefulset/", "daemonset/")
"""Owners that `kubectl rollout` supports."""


class Part(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel", gc=False):
    """
    Any part of an API object: only the fields that are read, under their names in the API.

    Every field that may be missing may also be null: some writers send null. Collections are tuples, and `gc=False`
    spares the cyclic garbage collector thousands of objects without cycles. The classes are final, so that a type
    checker understands `status and status.phase`.
    """


@final
class Anything(Part, frozen=True):
    """A part of which only the presence is read."""


@final
class ObjectReference(Part, frozen=True):
    """A reference to another object; its writer may leave out fields."""

    kind: str | None = None
    namespace: str | None = None
    name: str | None = None
    uid: str | None = None


@final
class Owner(Part, frozen=True):
    """One entry of `ownerReferences`."""

    kind: str | None = None
    name: str | None = None
    controller: bool | None = None


@final
class Annotations(Part, frozen=True):
    """
    The few annotations that change the meaning of an object, each under its own name.

    All others, which can be most of an object, are dropped.
    """

    default_ingress_class: str | None = msgspec.field(default=None, name="ingressclass.kubernetes.io/is-default-class")
    """`true` on the ingress class for ingresses without a class."""
    ingress_class: str | None = msgspec.field(default=None, name="kubernetes.io/ingress.class")
    """The controller of an ingress, from before `spec.ingressClassName`; GKE still uses it."""
    endpoints_changed: str | None = msgspec.field(default=None, name="endpoints.kubernetes.io/last-change-trigger-time")
    """The time of the last pod change in an endpoint slice. It is a text, as the API does not validate it."""
    certificate_revision: str | None = msgspec.field(default=None, name="cert-manager.io/certificate-revision")
    """The number of the issuance that a certificate request belongs to. It is a text for the same reason."""
    certificate_name: str | None = msgspec.field(default=None, name="cert-manager.io/certificate-name")
    """The certificate that a secret or a certificate request belongs to."""


class CommonMetadata(Part, frozen=True):
    """The fields of metadata that are read of every kind."""

    name: str | None = None
    namespace: str | None = None
    generation: int | None = None
    """Increases with every change of the spec; controllers copy it to `status.observedGeneration`."""
    uid: str | None = None
    labels: dict[str, str] | None = None
    annotations: Annotations | None = None
    creation_timestamp: Timestamp | None = None
    deletion_timestamp: Timestamp | None = None
    """The end of the grace period of a deletion, not the time of the deletion."""
    deletion_grace_period_seconds: int | None = None
    finalizers: tuple[str, ...] | None = None
    owner_references: tuple[Owner, ...] | None = None


@final
class Metadata(CommonMetadata, frozen=True):
    """The metadata of most kinds."""


class KubernetesObject(Part, frozen=True):
    """A named object. Subclass it per kind, under the kind's name, `@final`, with the fields that are read."""

    metadata: Metadata | None = None

    @property
    def name(self) -> str:
        return (self.metadata and self.metadata.name) or ""

    @property
    def namespace(self) -> str:
        """Its namespace; empty for an object of the cluster."""
        return (self.metadata and self.metadata.namespace) or ""

    @property
    def labels(self) -> dict[str, str]:
        return (self.metadata.labels if self.metadata else None) or {}

    @property
    def annotations(self) -> Annotations:
        """The annotations that are read."""
        return (self.metadata and self.metadata.annotations) or Annotations()

    @property
    def created(self) -> datetime | None:
        return self.metadata and self.metadata.creation_timestamp

    @property
    def is_terminating(self) -> bool:
        """True after its deletion was requested."""
        return bool(self.metadata and self.metadata.deletion_timestamp)

    @property
    def deletion_due(self) -> datetime | None:
        """The end of the grace period of its deletion."""
        return self.metadata and self.metadata.deletion_timestamp

    @property
    def deleted(self) -> datetime | None:
        if self.metadata is None or self.deletion_due is None:
            return None
        return self.deletion_due - timedelta(seconds=self.metadata.deletion_grace_period_seconds or 0)

    @property
    def finalizers(self) -> tuple[str, ...]:
        """Its finalizers, which delay the deletion."""
        return (self.metadata and self.metadata.finalizers) or ()

    @property
    def controller(self) -> Owner | None:
        """The owner reference with `controller: true`; None without one."""
        owners = (self.metadata and self.metadata.owner_references) or ()
        return next((owner for owner in owners if owner.controller), None)

    @property
    def is_of_job(self) -> bool:
        return self.controller is not None and self.controller.kind == "Job"

    @property
    def top_owner(self) -> str:
        """
        The object to edit, restart or roll back: `deployment/api` for a pod of a replica set of that deployment.

        It is empty for an object without a controller. Replica sets and jobs are named after their deployment and cron
        job, so no further query is needed. A static pod belongs to its node and can only be changed there.
        """
        owner = self.controller
        if owner is None or not owner.kind or not owner.name or owner.kind == "Node":
            return ""
        if owner.kind == "ReplicaSet":
            template = self.labels.get(_HASH_LABEL)
            deployment = owner.name.removesuffix(f"-{template}") if template else _HASH.sub("", owner.name)
            return f"deployment/{deployment}" if deployment != owner.name else f"replicaset/{owner.name}"
        if owner.kind == "Job":
            scheduled = _RUN_OF_CRONJOB.sub("", owner.name)
            return f"cronjob/{scheduled}" if scheduled != owner.name else f"job/{owner.name}"
        return f"{owner.kind.lower()}/{owner.name}"


def reference(target: KubernetesTarget, kind: str, name: str, namespace: str = "") -> str:
    """`cluster/shop/deployment/api`; `cluster/node/worker-1` without a namespace. `kind` is in lower case."""
    return "/".join(part for part in (target.name, namespace, kind, name) if part)


def owner_reference(target: KubernetesTarget, one: KubernetesObject) -> str:
    """The reference of the top owner of `one`; empty without one."""
    kind, _, name = one.top_owner.partition("/")
    return reference(target, kind, name, one.namespace) if name else ""


@final
class Condition(Part, frozen=True):
    """One entry of `status.conditions`."""

    type: str | None = None
    status: str | None = None
    reason: str | None = None
    message: str | None = None
    last_transition_time: Timestamp | None = None
    last_update_time: Timestamp | None = None
    """The last change of its reason or message. Only deployments have it."""


def condition(conditions: tuple[Condition, ...] | None, kind: str, status: str | None = None) -> Condition | None:
    """The condition of that type, if it has that status. The order of conditions has no meaning."""
    found = next((one for one in conditions or () if one.type == kind), None)
    return found if found is not None and status in {None, found.status} else None


@final
class LabelRequirement(Part, frozen=True):
    """One entry of `matchExpressions`: In, NotIn, Exists or DoesNotExist."""

    key: str | None = None
    operator: str | None = None
    values: tuple[str, ...] | None = None


@final
class LabelSelector(Part, frozen=True):
    """The objects of a controller, selected by labels."""

    match_labels: dict[str, str] | None = None
    match_expressions: tuple[LabelRequirement, ...] | None = None

    @property
    def is_empty(self) -> bool:
        """True when it names no label. Depending on the kind of object, that selects everything or nothing."""
        return not self.match_labels and not self.match_expressions

    def matches(self, labels: dict[str, str]) -> bool:
        """True when all its requirements hold. An unknown operator matches nothing."""
        named = all(labels.get(key) == value for key, value in (self.match_labels or {}).items())
        return named and all(_holds(one, labels) for one in self.match_expressions or ())


def _holds(requirement: LabelRequirement, labels: dict[str, str]) -> bool:
    key, values = requirement.key or "", requirement.values or ()
    match requirement.operator:
        case "In":
            return key in labels and labels[key] in values
        case "NotIn":
            return key not in labels or labels[key] not in values
        case "Exists":
            return key in labels
        case "DoesNotExist":
            return key not in labels
    return False
