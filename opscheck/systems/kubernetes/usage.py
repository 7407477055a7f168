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
    """The usage of one pod's containers at metrics-server's last sample."""

    timestamp: Timestamp | None = None
    containers: tuple[ContainerUsage, ...] | None = None


@final
class NodeUsage(KubernetesObject, frozen=True):
    """The usage of a node at metrics-server's last sample."""

    timestamp: Timestamp | None = None
    usage: Quantities | None = None


class ListPodUsage(ListObjects[PodUsage], name="kubernetes.pod_usage", resource="pods.v1beta1.metrics.k8s.io"):
    """Lists the usage of pods."""

    called = "pod metrics"


class ListNodeUsage(ListObjects[NodeUsage], name="kubernetes.node_usage", resource="nodes.v1beta1.metrics.k8s.io"):
    """Lists the usage of nodes."""

    called = "node metrics"
    namespaced = False


_TOP_POD = "top pod {{ pod }} --containers"
NODE_FULL = kubectl(
    "Find the pods that use it, then spread the load or add a node",
    "describe node {{ node }}",
    "top pods -A --sort-by=memory  # look for pods on {{ node }}",
)
NEAR_LIMIT = kubectl("Find the container that uses it, then raise its limit or spread its load", _TOP_POD)
NEAR_MEMORY_LIMIT = kubectl(
    "Find the container that uses it, then raise its limit or spread its load",
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
        "container": "the container close to its limit",
        "owner": "the owner of the pod, such as deployment/api",
        "doubled_memory": "twice the container's memory limit",
    }
    former_fact_names = InNamespaces.former_fact_names | {
        "full_node": Former("node", NODE_FULL),
        "hungry": Former("pod", NEAR_LIMIT, NEAR_MEMORY_LIMIT),
        "memory_owner": Former("owner", NEAR_MEMORY_LIMIT),
    }

    of: Literal["nodes", "pods"]
    """`nodes`: usage compared with allocatable resources. `pods`: usage compared with the containers' limits."""
    cpu: Graded[Percentage] | None = None
    """Maximum share of CPU in use."""
    memory: Graded[Percentage] | None = None
    """Maximum share of memory in use: the working set, by which the kubelet evicts."""

    @model_validator(mode="after")
    def _nodes_have_no_namespace(self) -> Self:
        if self.of == "nodes" and self.namespace is not None:
            raise PydanticCustomError("namespace_of_nodes", "no `namespace` with `of: nodes`; nodes have no namespace")
        return self

    def queries(self) -> Iterable[Query[Any]]:
        if self.of == "nodes":
            return ListNodes(self.target.name), ListNodeUsage(self.target.name)
        return *self.lists(ListPods), *self.lists(ListPodUsage)
