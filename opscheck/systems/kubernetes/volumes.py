"""Persistent volume claims, storage classes, the kubelets' volume statistics, and the expectation."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal, Self, final

import msgspec
from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from opscheck.core.field_types import ShareUsed, only
from opscheck.core.query import Permission, Query, Timestamp
from opscheck.core.remedy import Former
from opscheck.core.units import format_duration
from opscheck.systems.kubernetes.lists import KubernetesRule, ListObjects
from opscheck.systems.kubernetes.objects import Condition, KubernetesObject, Part, Quantities
from opscheck.systems.kubernetes.pods import ListPods, Pod, Resources
from opscheck.systems.kubernetes.scope import OfKind, kubectl, missing_remedy
from opscheck.systems.prometheus.query import PrometheusQuery, fresh, selector
from opscheck.systems.prometheus.target import PrometheusTarget


@final
class ClaimSpec(Part, frozen=True):
    storage_class_name: str | None = None
    """Absent: none was named, and no default class existed. Empty: no volume is provisioned for it."""
    volume_name: str | None = None
    volume_mode: str | None = None
    """`Block` has no file system to measure."""
    access_modes: tuple[str, ...] | None = None
    resources: Resources | None = None


@final
class ClaimStatus(Part, frozen=True):
    phase: str | None = None
    access_modes: tuple[str, ...] | None = None
    capacity: Quantities | None = None
    conditions: tuple[Condition, ...] | None = None


@final
class PersistentVolumeClaim(KubernetesObject, frozen=True):
    spec: ClaimSpec | None = None
    status: ClaimStatus | None = None

    @property
    def phase(self) -> str:
        """Pending, Bound or Lost; empty before the first status."""
        return (self.status and self.status.phase) or ""

    @property
    def class_name(self) -> str | None:
        """Its storage class; empty for no class on purpose, None if none was named."""
        return self.spec and self.spec.storage_class_name

    @property
    def volume_name(self) -> str:
        """Its volume; empty without one."""
        return (self.spec and self.spec.volume_name) or ""

    @property
    def requested(self) -> str:
        """The requested size."""
        resources = self.spec and self.spec.resources
        return ((resources and resources.requests) or {}).get("storage", "")


class ListClaims(ListObjects[PersistentVolumeClaim], name="kubernetes.claims", resource="persistentvolumeclaims"):
    """Lists claims."""

    called = "claims"


@final
class StorageClass(KubernetesObject, frozen=True):
    """A storage class."""

    volume_binding_mode: str | None = None
    """`WaitForFirstConsumer` provisions a volume for the first pod; `Immediate`, the default, for the claim."""
    allow_volume_expansion: bool | None = None


class ListStorageClasses(
    ListObjects[StorageClass], name="kubernetes.storage_classes", resource="storageclasses.v1.storage.k8s.io"
):
    """Lists storage classes."""

    called = "storage classes"
    namespaced = False


@dataclass(frozen=True)
class Mount:
    """A claim among a pod's volumes."""

    claim: str
    read_only: bool


def mounts_of(pod: Pod) -> Iterator[Mount]:
    """The claims of `pod`. The claim of a generic ephemeral volume has the name `<pod>-<volume>`."""
    for volume in (pod.spec and pod.spec.volumes) or ():
        named = volume.persistent_volume_claim
        if named is not None and named.claim_name:
            yield Mount(named.claim_name, bool(named.read_only))
        elif volume.ephemeral is not None and volume.name:
            yield Mount(f"{pod.name}-{volume.name}", read_only=False)


Users = Mapping[tuple[str, str], tuple[Pod, ...]]
"""Namespace and name of a claim, and its pods that have not ended, sorted by name."""


@dataclass(frozen=True)
class Storage:
    """The surroundings of a claim: pods, storage classes and time."""

    users: Users
    classes: Mapping[str, StorageClass] | None
    """None if they could not be read."""
    now: datetime
    grace: float

    def users_of(self, claim: PersistentVolumeClaim) -> tuple[Pod, ...]:
        """The pods with this claim that have not ended."""
        return self.users.get((claim.namespace, claim.name), ())

    def overdue(self, since: datetime | None) -> str:
        """The time since then, if it exceeds the grace; else empty."""
        seconds = (self.now - since).total_seconds() if since else 0.0
        return format_duration(seconds) if seconds > self.grace else ""


def users_of_claims(pods: Iterable[Pod]) -> Users:
    """The pods of each claim. An ended pod no longer uses its claims."""
    users: dict[tuple[str, str], dict[str, Pod]] = {}
    for pod in pods:
        if not pod.has_ended:
            for mount in mounts_of(pod):
                users.setdefault((pod.namespace, mount.claim), {})[pod.name] = pod
    return {claim: tuple(found[name] for name in sorted(found)) for claim, found in users.items()}


class VolumeUsage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The measurements of one mounted claim on one node. Missing ones are None."""

    namespace: str
    claim: str
    cluster: str = ""
    """The cluster label, in a Prometheus with several clusters."""
    at: Timestamp | None = None
    """The time of the measurement; None when the query itself ensures that it is fresh."""
    available: float | None = None
    """Bytes that can be written. It is less than capacity minus `used`: some are reserved for root."""
    capacity: float | None = None
    used: float | None = None
    inodes: float | None = None
    inodes_free: float | None = None
    inodes_used: float | None = None


class VolumeStats(msgspec.Struct, frozen=True, kw_only=True):
    """The measurements of several kubelets."""

    volumes: tuple[VolumeUsage, ...] = ()
    unread: dict[str, str] = {}
    """Nodes whose kubelet did not answer, with the reason."""


@dataclass(frozen=True)
class ReadVolumeStats(Query[VolumeStats], name="kubernetes.volume_stats"):
    """
    Reads the usage of each mounted claim: one request for each node of its pods.

    The requests go through the API server to the kubelets, and need `get nodes/proxy`; see `KubernetesRule.risk`.
    """

    namespace: str | None = None

    @property
    def scope(self) -> str | None:
        """The namespace."""
        return self.namespace

    def permissions(self) -> tuple[Permission, ...]:
        """List the pods there, and read from every kubelet."""
        return KubernetesRule("", "pods", "list", self.namespace), NODES_PROXY

    def text(self) -> str:
        """For people."""
        where = f"of namespace {self.namespace}" if self.namespace else "of every namespace"
        return f"read the volume usage {where} from the kubelets"


NODES_PROXY = KubernetesRule("", "nodes/proxy", "get")
FRESH_S = 600
"""Older measurements do not count."""

METRICS = {
    "used": {
        "available": "kubelet_volume_stats_available_bytes",
        "capacity": "kubelet_volume_stats_capacity_bytes",
        "used": "kubelet_volume_stats_used_bytes",
    },
    "inodes": {
        "inodes_free": "kubelet_volume_stats_inodes_free",
        "inodes": "kubelet_volume_stats_inodes",
        "inodes_used": "kubelet_volume_stats_inodes_used",
    },
}
"""The metrics for each limit, by the field that they fill."""

_LABEL = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


_IS_LABEL = only(_LABEL.fullmatch, "label", "the name of a label of Prometheus, such as cluster")
LabelName = Annotated[str, _IS_LABEL, Field(json_schema_extra={"pattern": f"^{_LABEL.pattern}$"})]


_DESCRIBE = "describe pvc {{ claim }}"
_GET_VOLUME = "Find out why the claim gets no volume, then correct it or its storage class"
PENDING = kubectl(
    _GET_VOLUME,
    _DESCRIBE,
    "get events --field-selector=involvedObject.kind=PersistentVolumeClaim,involvedObject.name={{ claim }}",
)
STORAGE_CLASS = kubectl(_GET_VOLUME, "get storageclass {{ storage_class }} -o yaml")
CLASS_NOT_FOUND = kubectl(
    "Create the storage class, or name one that exists",
    "get storageclass  # look for {{ storage_class }}",
)
USED_BY = kubectl("Inspect the pod that uses the claim", "describe pod {{ pod }}")
NAMED_VOLUME = kubectl("Inspect the volume of the claim", "get pv {{ volume }}")
LOST = kubectl("Restore the volume's data, then create a new claim for it", _DESCRIBE)
RESIZE = kubectl("Find out why the change of the volume does not finish", _DESCRIBE)
RESTART_TO_RESIZE = kubectl(
    "Restart the pods that mount it", "rollout restart {{ owner }}  # the file system grows on the next mount"
)
NOT_REMOVED = kubectl(
    "Find out what still holds the claim", _DESCRIBE, "get pvc {{ claim }} -o jsonpath='{.metadata.finalizers}'"
)
FULL = kubectl("Free space on the volume", _DESCRIBE)
SEE_FILES = kubectl("Free space on the volume", "exec {{ pod }} -- df -h")
SEE_INODES = kubectl("Free inodes on the volume", "exec {{ pod }} -- df -i")
ENLARGE = kubectl("Request a larger volume; its storage class allows that", "patch pvc {{ claim }} -p {{ size_patch }}")
MISSING = missing_remedy("persistentvolumeclaims")


class VolumesHealthy(OfKind, check="kubernetes.volumes"):
    """
    Every selected volume claim is bound, and mounted volumes have free space.

    Claims must be bound. Space and inodes come from Prometheus or, where the policy allows it, from the kubelets; a
    mounted claim without a measurement is unknown.
    """

    explains_others = True
    remedies = (
        PENDING,
        STORAGE_CLASS,
        CLASS_NOT_FOUND,
        USED_BY,
        NAMED_VOLUME,
        LOST,
        RESIZE,
        RESTART_TO_RESIZE,
        NOT_REMOVED,
        FULL,
        SEE_FILES,
        SEE_INODES,
        ENLARGE,
        MISSING,
    )
    fact_names = OfKind.fact_names | {
        "claim": "the claim's name",
        "storage_class": "its storage class",
        "pod": "a pod that waits for it, or that uses it",
        "volume": "its volume",
        "owner": "the owner of the pod that mounts it, such as statefulset/db",
        "doubled_size": "twice the requested size",
        "size_patch": "the patch that requests that size, as JSON",
    }
    former_fact_names = OfKind.former_fact_names | {
        "pending": Former("claim", PENDING),
        "stuck": Former("claim", NOT_REMOVED),
        "expandable": Former("claim", ENLARGE),
        "missing_class": Former("storage_class", CLASS_NOT_FOUND),
        "resize_rollout": Former("owner", RESTART_TO_RESIZE),
        "full_pod": Former("pod", SEE_FILES),
        "inode_pod": Former("pod", SEE_INODES),
    }

    used: ShareUsed | None = None
    """
    Maximum used share of a mounted volume's space; needs `prometheus` or `usage_from`.

    Claims that no pod mounts, block devices and read-only volumes are not judged.
    """
    inodes: ShareUsed | None = None
    """Maximum used share of a mounted volume's inodes; needs `prometheus` or `usage_from`."""
    prometheus: PrometheusTarget | None = None
    """The Prometheus that scrapes the kubelets (`kubelet_volume_stats_*`), for `used` and `inodes`."""
    prometheus_labels: dict[LabelName, str] = Field(default_factory=dict)
    """Labels of this cluster's series, such as `{cluster: prod}`, if Prometheus has several clusters."""
    prometheus_namespace_label: LabelName = "namespace"
    """The label with the claim's namespace; `exported_namespace` where kubelets are scraped without `honor_labels`."""
    usage_from: Literal["kubelet-proxy"] | None = None
    """
    Read `used` and `inodes` from the kubelets through the API server instead of Prometheus: one request for each node.

    It needs the permission `get nodes/proxy`, which allows to run commands in every pod of the cluster. Prefer
    Prometheus.
    """

    @model_validator(mode="after")
    def _use_has_one_source(self) -> Self:
        limits, sources = (self.used or self.inodes), (self.prometheus or self.usage_from)
        if limits and not sources:
            raise PydanticCustomError(
                "usage_source",
                "`prometheus: <target>` with `{field}`, or `usage_from: kubelet-proxy`; "
                "the API server itself has no usage of volumes",
                {"field": "used" if self.used else "inodes"},
            )
        if self.prometheus and self.usage_from:
            raise PydanticCustomError("usage_source", "`prometheus` or `usage_from`, and not both", {})
        if sources and not limits:
            raise PydanticCustomError("usage_source", "a limit, `used` or `inodes`, with the source of numbers", {})
        if self.prometheus_labels and not self.prometheus:
            raise PydanticCustomError("usage_source", "`prometheus: <target>` with `prometheus_labels`", {})
        return self

    @property
    def limited(self) -> tuple[str, ...]:
        """Its limits on usage: `used`, `inodes`."""
        return tuple(name for name in METRICS if getattr(self, name) is not None)

    def classes(self) -> ListStorageClasses:
        """The list of storage classes. It is evidence, as most claims are judged without it."""
        return ListStorageClasses(self.target.name)

    def series(self) -> dict[str, PrometheusQuery]:
        """The Prometheus queries, by the field that they fill."""
        if self.prometheus is None:
            return {}
        return {
            field: PrometheusQuery(self.prometheus.name, fresh(selector(metric, **self._labels()), FRESH_S))
            for limit in self.limited
            for field, metric in METRICS[limit].items()
        }

    def _labels(self) -> dict[str, str | tuple[str, ...]]:
        names = tuple(sorted(name for name in self.namespaces if name))
        where = {self.prometheus_namespace_label: names[0] if len(names) == 1 else names} if names else {}
        return where | self.prometheus_labels

    def queries(self) -> Iterable[Query[Any]]:
        """Claims and pods, and for usage at most six metrics of Prometheus, or the kubelets' statistics."""
        yield from self.lists(ListClaims, ListPods)
        yield from self.series().values()
        yield from self.kubelets()

    def kubelets(self) -> tuple[ReadVolumeStats, ...]:
        """The queries to the kubelets."""
        if self.usage_from is None:
            return ()
        return tuple(ReadVolumeStats(self.target.name, namespace) for namespace in self.namespaces)

    def evidence_queries(self) -> Iterable[Query[Any]]:
        """The storage classes too."""
        yield from super().evidence_queries()
        yield self.classes()
