"""The CPU and memory that nodes and pods use, as metrics-server measures it, and their limits."""

from collections.abc import Iterable
from typing import Any, Literal, Self, final

from pydantic import model_validator
from pydantic_core import PydanticCustomError

from opscheck.core.query import Query, Timestamp
from opscheck.core.remedy import Former
from opscheck.core.units import Graded, Percentage
from opscheck.systems.kubernetes.lists import ListObjects
from opscheck.systems.kubernetes.nodes import ListNodes
from opscheck.systems.kubernetes.objects import KubernetesObject, Part, Quantities
from opscheck.systems.kubernetes.pods import ListPods
from opscheck.systems.kubernetes.scope import InNamespaces, kubectl


@final
class ContainerUsage(Part, frozen=True):
    name: str | None = None
    usage: Quantities | None = None


@final
class PodUsage(KubernetesObject, frozen=True):
    """What the containers of one pod used when metrics-server looked last."""

    timestamp: Timestamp | None = None
    containers: tuple[ContainerUsage, ...] | None = None


@final
class NodeUsage(KubernetesObject, frozen=True):
    """What a node used when metrics-server looked last."""

    timestamp: Timestamp | None = None
    usage: Quantities | None = None


class ListPodUsage(ListObjects[PodUsage], name="kubernetes.pod_usage", resource="pods.v1beta1.metrics.k8s.io"):
    """What the pods there use."""

    called = "pod metrics"


class ListNodeUsage(ListObjects[NodeUsage], name="kubernetes.node_usage", resource="nodes.v1beta1.metrics.k8s.io"):
    """What every node uses."""

    called = "node metrics"
    namespaced = False


_TOP_POD = "top pod {{ pod }} --containers"
NODE_FULL = kubectl(
    "See which pods use it, then spread the load or add a node",
    "describe node {{ node }}",
    "top pods -A --sort-by=memory  # which of them are on {{ node }}?",
)
NEAR_LIMIT = kubectl("See which container uses it, then raise its limit or spread its load", _TOP_POD)
NEAR_MEMORY_LIMIT = kubectl(
    "See which container uses it, then raise its limit or spread its load",
    _TOP_POD,
    "set resources {{ owner }} -c {{ container }} --limits=memory={{ doubled_memory }}",
)


class UsageWithinLimits(InNamespaces, check="kubernetes.usage"):
    """
    Nodes have free CPU and memory, and containers stay below their limits.

    Usage comes from metrics-server and is compared with the allocatable resources of nodes and with the limits of
    containers. A node or container without metrics is unknown.
    """

    any_limit_of = ("cpu", "memory")
    reads_events = False
    remedies = (NODE_FULL, NEAR_LIMIT, NEAR_MEMORY_LIMIT)
    fact_names = InNamespaces.fact_names | {
        "node": "the node, or the node that the pod is on",
        "pod": "the pod's name",
        "container": "the container that comes near its limit",
        "owner": "what controls the pod, such as deployment/api",
        "doubled_memory": "twice the container's memory limit",
    }
    former_fact_names = InNamespaces.former_fact_names | {
        "full_node": Former("node", NODE_FULL),
        "hungry": Former("pod", NEAR_LIMIT, NEAR_MEMORY_LIMIT),
        "memory_owner": Former("owner", NEAR_MEMORY_LIMIT),
    }

    of: Literal["nodes", "pods"]
    """`nodes`: usage against what the node can give to pods. `pods`: usage against the limits of the containers."""
    cpu: Graded[Percentage] | None = None
    """How much of the CPU may be used."""
    memory: Graded[Percentage] | None = None
    """How much of the memory may be used; that is the working set, which the kubelet evicts on."""

    @model_validator(mode="after")
    def _nodes_have_no_namespace(self) -> Self:
        if self.of == "nodes" and self.namespace is not None:
            raise PydanticCustomError("namespace_of_nodes", "no `namespace` beside `of: nodes`; nodes belong to none")
        return self

    def queries(self) -> Iterable[Query[Any]]:
        if self.of == "nodes":
            return ListNodes(self.target.name), ListNodeUsage(self.target.name)
        return *self.lists(ListPods), *self.lists(ListPodUsage)
