"""Claims of storage, the classes they are made by, and what the kubelets measured of the mounted ones."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import msgspec

from opscheck.core.query import Permission, Query, Timestamp
from opscheck.systems.kubernetes.lists import KubernetesRule, ListObjects
from opscheck.systems.kubernetes.objects import Condition, KubernetesObject, Part, Quantities
from opscheck.systems.kubernetes.pods import Pod, Resources


@final
class ClaimSpec(Part, frozen=True):
    """What was asked for."""

    storage_class_name: str | None = None
    """Absent: none was named, and there was no default class; empty: no volume is to be made for it."""
    volume_name: str | None = None
    volume_mode: str | None = None
    """`Block` has no file system, and so nothing to measure."""
    access_modes: tuple[str, ...] | None = None
    resources: Resources | None = None


@final
class ClaimStatus(Part, frozen=True):
    """What became of it."""

    phase: str | None = None
    access_modes: tuple[str, ...] | None = None
    capacity: Quantities | None = None
    conditions: tuple[Condition, ...] | None = None


@final
class PersistentVolumeClaim(KubernetesObject, frozen=True):
    """A claim of storage."""

    spec: ClaimSpec | None = None
    status: ClaimStatus | None = None


@dataclass(frozen=True)
class ListClaims(
    ListObjects[PersistentVolumeClaim], name="kubernetes.claims", resource="persistentvolumeclaims", called="claims"
):
    """Every claim there."""


@final
class StorageClass(KubernetesObject, frozen=True):
    """How volumes of a class are made."""

    volume_binding_mode: str | None = None
    """`WaitForFirstConsumer` makes none before a pod wants it; `Immediate`, the default, at once."""
    allow_volume_expansion: bool | None = None


@dataclass(frozen=True)
class ListStorageClasses(
    ListObjects[StorageClass],
    name="kubernetes.storage_classes",
    resource="storageclasses.v1.storage.k8s.io",
    called="storage classes",
    of_cluster=True,
):
    """Every storage class of the cluster."""


@dataclass(frozen=True)
class Mount:
    """A claim that a pod names among its volumes."""

    claim: str
    read_only: bool


def mounts_of(pod: Pod) -> Iterator[Mount]:
    """The claims that `pod` names. That of a generic ephemeral volume is called `<pod>-<volume>`."""
    for volume in (pod.spec and pod.spec.volumes) or ():
        named = volume.persistent_volume_claim
        if named is not None and named.claim_name:
            yield Mount(named.claim_name, bool(named.read_only))
        elif volume.ephemeral is not None and volume.name:
            yield Mount(f"{pod.name}-{volume.name}", read_only=False)


class VolumeUsage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one node measured of one claim that is mounted there. What it did not measure is None."""

    namespace: str
    claim: str
    cluster: str = ""
    """The cluster that a Prometheus of several says it is of."""
    at: Timestamp | None = None
    """When; None where whoever answered has seen to it that it is fresh."""
    available: float | None = None
    """Bytes that can still be written. It is not capacity less `used`: some are kept for root."""
    capacity: float | None = None
    used: float | None = None
    inodes: float | None = None
    inodes_free: float | None = None
    inodes_used: float | None = None


class VolumeStats(msgspec.Struct, frozen=True, kw_only=True):
    """What the kubelets of several nodes say."""

    volumes: tuple[VolumeUsage, ...] = ()
    unread: dict[str, str] = {}
    """Nodes whose kubelet gave no answer, each with the reason."""


@dataclass(frozen=True)
class ReadVolumeStats(Query[VolumeStats], name="kubernetes.volume_stats"):
    """
    What is used of each claim that pods there have mounted: one request for each node of theirs.

    It goes through the API server to the kubelets, which takes `get nodes/proxy`; see `KubernetesRule.risk`.
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
        return f"ask the kubelets for the use of volumes {where}"


NODES_PROXY = KubernetesRule("", "nodes/proxy", "get")
