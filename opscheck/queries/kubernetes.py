"""Questions to a Kubernetes cluster, and the few fields of its objects that checks read."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, final

import msgspec
from msgspec import Meta

from opscheck.queries.base import Permission, Query

# A time without a zone could not be compared with any other.
Timestamp = Annotated[datetime, Meta(tz=True)]

Quantities = dict[str, str]
"""Resource name to quantity, such as `{"cpu": "500m", "memory": "1Gi"}`."""


class _Object(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel", gc=False):
    """
    Part of an API object: the fields that are read, under the names of the API, and no other.

    Whatever may be missing may also be null, for some writers send null. Collections are tuples, and `gc=False`
    spares the cyclic garbage collector thousands of objects that can hold no cycle. The classes are final, so that
    `status and status.phase` is what it looks like to a type checker too.
    """


@final
class Owner(_Object, frozen=True):
    """One entry of `ownerReferences`."""

    kind: str | None = None
    name: str | None = None
    controller: bool | None = None


@final
class Metadata(_Object, frozen=True):
    """What every object says of itself."""

    name: str | None = None
    namespace: str | None = None
    labels: dict[str, str] | None = None
    creation_timestamp: Timestamp | None = None
    deletion_timestamp: Timestamp | None = None
    """When the grace period of a deletion ends; not when somebody deleted the object."""
    finalizers: tuple[str, ...] | None = None
    owner_references: tuple[Owner, ...] | None = None


class _Named(_Object, frozen=True):
    """An object that has a name."""

    metadata: Metadata | None = None

    @property
    def name(self) -> str:
        """Its name."""
        return (self.metadata and self.metadata.name) or ""

    @property
    def namespace(self) -> str:
        """The namespace it is in; empty for an object of the cluster."""
        return (self.metadata and self.metadata.namespace) or ""

    @property
    def labels(self) -> dict[str, str]:
        """Its labels."""
        return (self.metadata.labels if self.metadata else None) or {}


@final
class Resources(_Object, frozen=True):
    """What a container or a pod may use."""

    limits: Quantities | None = None


@final
class Container(_Object, frozen=True):
    """One container of a pod's spec."""

    name: str | None = None
    restart_policy: str | None = None
    """`Always` on an init container makes it a native sidecar, which runs beside the others."""
    resources: Resources | None = None


@final
class PodSpec(_Object, frozen=True):
    """What was asked for."""

    node_name: str | None = None
    restart_policy: str | None = None
    containers: tuple[Container, ...] | None = None
    init_containers: tuple[Container, ...] | None = None
    resources: Resources | None = None
    """Limits for the pod as a whole (Kubernetes 1.32 and later)."""


@final
class Waiting(_Object, frozen=True):
    """Why a container does not run yet, or not again."""

    reason: str | None = None
    message: str | None = None


@final
class Running(_Object, frozen=True):
    """Since when a container runs."""

    started_at: Timestamp | None = None


@final
class Terminated(_Object, frozen=True):
    """How a container ended."""

    exit_code: int | None = None
    signal: int | None = None
    reason: str | None = None
    message: str | None = None
    started_at: Timestamp | None = None
    finished_at: Timestamp | None = None


@final
class ContainerState(_Object, frozen=True):
    """Waiting, running or terminated; at most one is set."""

    waiting: Waiting | None = None
    running: Running | None = None
    terminated: Terminated | None = None


@final
class ContainerStatus(_Object, frozen=True):
    """What the kubelet reports of one container."""

    name: str | None = None
    ready: bool | None = None
    started: bool | None = None
    restart_count: int | None = None
    """Since the pod was made; there is no counter for a window."""
    state: ContainerState | None = None
    last_state: ContainerState | None = None
    """Only the very last termination; the ones before are forgotten."""
    resources: Resources | None = None
    """What is in force. After a resize in place it differs from the spec."""


@final
class Condition(_Object, frozen=True):
    """One entry of `status.conditions`."""

    type: str | None = None
    status: str | None = None
    reason: str | None = None
    message: str | None = None
    last_transition_time: Timestamp | None = None


@final
class PodStatus(_Object, frozen=True):
    """What became of it."""

    phase: str | None = None
    reason: str | None = None
    message: str | None = None
    start_time: Timestamp | None = None
    conditions: tuple[Condition, ...] | None = None
    container_statuses: tuple[ContainerStatus, ...] | None = None
    init_container_statuses: tuple[ContainerStatus, ...] | None = None


@final
class Pod(_Named, frozen=True):
    """A pod."""

    spec: PodSpec | None = None
    status: PodStatus | None = None


@final
class NodeStatus(_Object, frozen=True):
    """What a node has and how it is."""

    allocatable: Quantities | None = None
    conditions: tuple[Condition, ...] | None = None


@final
class Node(_Named, frozen=True):
    """A node."""

    status: NodeStatus | None = None


@final
class ContainerUsage(_Object, frozen=True):
    """What one container uses."""

    name: str | None = None
    usage: Quantities | None = None


@final
class PodUsage(_Named, frozen=True):
    """What the containers of one pod used when metrics-server looked last."""

    timestamp: Timestamp | None = None
    containers: tuple[ContainerUsage, ...] | None = None


@final
class NodeUsage(_Named, frozen=True):
    """What a node used when metrics-server looked last."""

    timestamp: Timestamp | None = None
    usage: Quantities | None = None


class PodList(msgspec.Struct, frozen=True):
    """Every pod that was asked for."""

    items: tuple[Pod, ...] = ()


class NodeList(msgspec.Struct, frozen=True):
    """Every node."""

    items: tuple[Node, ...] = ()


class PodUsageList(msgspec.Struct, frozen=True):
    """The usage of every pod that was measured."""

    items: tuple[PodUsage, ...] = ()


class NodeUsageList(msgspec.Struct, frozen=True):
    """The usage of every node that was measured."""

    items: tuple[NodeUsage, ...] = ()


@dataclass(frozen=True)
class KubernetesRule(Permission):
    """One verb on one resource, as RBAC grants it. `namespace` None is the whole cluster."""

    api_group: str
    resource: str
    verb: str
    namespace: str | None = None

    def text(self) -> str:
        """As a person says it: `list pods.metrics.k8s.io in namespace shop`."""
        resource = f"{self.resource}.{self.api_group}" if self.api_group else self.resource
        return f"{self.verb} {resource} {f'in namespace {self.namespace}' if self.namespace else 'in the cluster'}"


@dataclass(frozen=True)
class ListPods(Query[PodList], name="kubernetes.pods"):
    """
    Every pod of a namespace; of the cluster where `namespace` is None.

    It has no selector on purpose: checks select from the answer, so any number of them share one request.
    """

    namespace: str | None = None

    def permissions(self) -> tuple[Permission, ...]:
        """List pods there."""
        return (KubernetesRule("", "pods", "list", self.namespace),)

    def text(self) -> str:
        """For people."""
        return f"list pods {_where(self.namespace)}"


@dataclass(frozen=True)
class ListNodes(Query[NodeList], name="kubernetes.nodes"):
    """Every node of the cluster."""

    def permissions(self) -> tuple[Permission, ...]:
        """List nodes, which belong to no namespace."""
        return (KubernetesRule("", "nodes", "list"),)

    def text(self) -> str:
        """For people."""
        return "list nodes"


@dataclass(frozen=True)
class ListPodUsage(Query[PodUsageList], name="kubernetes.pod_usage"):
    """What the pods of a namespace use; of the cluster where `namespace` is None."""

    namespace: str | None = None

    def permissions(self) -> tuple[Permission, ...]:
        """List the pods of metrics.k8s.io there."""
        return (KubernetesRule("metrics.k8s.io", "pods", "list", self.namespace),)

    def text(self) -> str:
        """For people."""
        return f"list pod metrics {_where(self.namespace)}"


@dataclass(frozen=True)
class ListNodeUsage(Query[NodeUsageList], name="kubernetes.node_usage"):
    """What every node uses."""

    def permissions(self) -> tuple[Permission, ...]:
        """List the nodes of metrics.k8s.io."""
        return (KubernetesRule("metrics.k8s.io", "nodes", "list"),)

    def text(self) -> str:
        """For people."""
        return "list node metrics"


def _where(namespace: str | None) -> str:
    return f"in namespace {namespace}" if namespace else "in every namespace"
