"""Nodes, and what a policy expects of them."""

from collections.abc import Iterable
from typing import Annotated, Any, Literal, final

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import PydanticCustomError

from opscheck.core.query import Query, Timestamp
from opscheck.core.remedy import Former
from opscheck.core.units import Count, Duration, Graded, Percentage
from opscheck.systems.kubernetes.api_server import ReadVersion
from opscheck.systems.kubernetes.lists import ListObjects
from opscheck.systems.kubernetes.objects import Condition, KubernetesObject, Part, Quantities, condition
from opscheck.systems.kubernetes.pods import ListPods
from opscheck.systems.kubernetes.scope import Glob, InCluster, Selector, kubectl


@final
class Taint(Part, frozen=True):
    """What keeps pods off a node, or says what is planned for it."""

    key: str | None = None
    time_added: Timestamp | None = None
    """Set by the controllers of Kubernetes; other writers of taints mostly leave it out."""


@final
class NodeSpec(Part, frozen=True):
    unschedulable: bool | None = None
    """True for a node that is cordoned."""
    taints: tuple[Taint, ...] | None = None


@final
class NodeInfo(Part, frozen=True):
    kubelet_version: str | None = None


@final
class NodeStatus(Part, frozen=True):
    capacity: Quantities | None = None
    allocatable: Quantities | None = None
    conditions: tuple[Condition, ...] | None = None
    node_info: NodeInfo | None = None


@final
class Node(KubernetesObject, frozen=True):
    spec: NodeSpec | None = None
    status: NodeStatus | None = None

    @property
    def is_ready(self) -> bool:
        """True when its kubelet reports so, and still reports."""
        ready = self.reported("Ready")
        return ready is not None and ready.status == "True"

    @property
    def is_cordoned(self) -> bool:
        return bool(self.spec and self.spec.unschedulable)

    @property
    def taints(self) -> tuple[Taint, ...]:
        return (self.spec and self.spec.taints) or ()

    @property
    def kubelet_version(self) -> str:
        """The version that its kubelet reports; empty before the first report."""
        return (self.status and self.status.node_info and self.status.node_info.kubelet_version) or ""

    def reported(self, kind: str) -> Condition | None:
        """The condition of that type; None where it is missing or has no status."""
        found = condition(self.status and self.status.conditions, kind)
        return found if found and found.status else None


class ListNodes(ListObjects[Node], name="kubernetes.nodes", resource="nodes"):
    """Every node of the cluster."""

    namespaced = False


KNOWN_CONDITIONS = ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure", "NetworkUnavailable")
"""The conditions that Kubernetes itself defines; what others mean, only a policy can say."""


def _status(value: object) -> object:
    # YAML reads an unquoted True as a boolean.
    return str(value) if isinstance(value, bool) else value


def _not_built_in(value: dict[str, str]) -> dict[str, str]:
    for kind in value:
        if kind in KNOWN_CONDITIONS:
            raise PydanticCustomError(
                "condition", "conditions beside those of Kubernetes; {kind} is always judged", {"kind": kind}
            )
    return value


ConditionStatus = Annotated[Literal["True", "False"], BeforeValidator(_status)]


_DESCRIBE = "describe node {{ node }}"
_PODS_THERE = "get pods -A -o wide --field-selector spec.nodeName={{ node }}"
_DRAIN = "drain {{ node }} --ignore-daemonsets --delete-emptydir-data"
NOT_READY = kubectl(
    "See what the node reports, move its pods elsewhere, then repair or replace it",
    _DESCRIBE,
    _PODS_THERE,
    f"{_DRAIN}  # if it does not come back",
)
MEMORY_PRESSURE = kubectl(
    "See which pods use the memory, then limit them or move them elsewhere",
    _DESCRIBE,
    "top pods -A --sort-by=memory  # which of them are on {{ node }}?",
)
DISK_PRESSURE = kubectl(
    "See which file system is full, then clean it up or enlarge it",
    _DESCRIBE,
    "debug node/{{ node }} -it --image=busybox -- df -h /host /host/var/lib",
)
CONDITION = kubectl("See what the node reports, then repair or replace it", _DESCRIBE)
CORDONED = kubectl(
    "Finish the work on the node and uncordon it", _DESCRIBE, "uncordon {{ node }}  # when the work on it is done"
)
NOT_REMOVED = kubectl(
    "See which finalizer holds the node, and why its controller does not finish",
    _DESCRIBE,
    "get node {{ node }} -o jsonpath='{.metadata.finalizers}'",
)
VERSION_SKEW = kubectl(
    "Upgrade or replace the nodes whose kubelet does not fit the API server",
    _DESCRIBE,
    "get nodes -o wide  # which versions are there beside that of {{ node }}?",
    f"{_DRAIN}  # then upgrade or replace it",
)
FULL = kubectl("Move pods elsewhere, lower their requests, or add a node", _DESCRIBE, _PODS_THERE)
MISSING = kubectl(
    "Compare the labels of the nodes with the selector; correct it, or add nodes",
    "get nodes --show-labels  # what should match {{ missing }}?",
)


class NodesHealthy(InCluster, check="kubernetes.nodes"):
    """
    Every selected node is ready, without pressure, schedulable, and of a supported version.

    Conditions, cordons and deletion are read from the node. Its version is compared with that of the API server by the
    version skew policy.
    """

    explains_others = True
    needs_severity = True
    remedies = (
        NOT_READY,
        MEMORY_PRESSURE,
        DISK_PRESSURE,
        CONDITION,
        CORDONED,
        NOT_REMOVED,
        VERSION_SKEW,
        FULL,
        MISSING,
    )
    fact_names = InCluster.fact_names | {
        "node": "the node's name; of several nodes, the first",
        "missing": "the selector or the name that matches too few nodes",
    }
    former_fact_names = InCluster.former_fact_names | {
        "not_ready": Former("node", NOT_READY),
        "short_of_memory": Former("node", MEMORY_PRESSURE),
        "short_of_disk": Former("node", DISK_PRESSURE),
        "cordoned": Former("node", CORDONED),
        "leaving": Former("node", NOT_REMOVED),
        "outdated": Former("node", VERSION_SKEW),
        "crowded": Former("node", FULL),
    }

    selector: Selector | None = None
    """A label selector for nodes, such as `node-role.kubernetes.io/control-plane`; all by default."""
    name: str | None = Field(default=None, min_length=1)
    """Only nodes whose name matches this, with `*` and `?` as in a file name."""
    min_matches: Count = 1
    """How many must be there at least; 0 is for a pool that may be scaled to nothing."""
    grace: Duration = Duration.parse("15m")
    """How long a node may take to become ready, or again, before that is a violation."""
    pressure_grace: Duration = Duration.parse("10m")
    """How long memory, disk or process identifiers may be short."""
    cordoned_grace: Duration = Duration.parse("1d")
    """
    How long a node may be cordoned. So long it may also be not ready, for somebody works on it.

    Counted from the time of the taint `node.kubernetes.io/unschedulable`. A node whose taint has no time, as when it
    joined the cluster cordoned, is meant to be so.
    """
    removal_taints: tuple[Glob, ...] = (
        "ToBeDeletedByClusterAutoscaler",
        "DeletionCandidateOfClusterAutoscaler",
        "cloud.google.com/impending-node-termination",
        "aws-node-termination-handler/*",
        "karpenter.sh/disrupted",
        "karpenter.sh/disruption",
    )
    """Keys of taints that say that a node is about to be removed, with `*` and `?` as in a file name."""
    removal_grace: Duration = Duration.parse("1h")
    """How long a node that is about to be removed may be not ready, under pressure, or there after its deletion."""
    conditions: Annotated[dict[str, ConditionStatus], AfterValidator(_not_built_in)] = Field(default_factory=dict)
    """
    Further conditions and the status each should have, such as `{KernelDeadlock: "False", StorageReady: "True"}`.

    Every selected node must report them. What a node reports and this does not name is never judged.
    """
    version_skew: Count | None = 3
    """
    How many minor versions a kubelet may be older than the API server; none may be newer. `null` judges no version.

    A kubelet before 1.25 may be two older at most, whatever this says.
    """
    pods: Graded[Percentage] | None = None
    """How many of the pods that a node can take may be there. Needs to list the pods of all namespaces."""
    cpu_requests: Graded[Percentage] | None = None
    """How much of a node's allocatable CPU pods may request. Needs to list the pods of all namespaces."""
    memory_requests: Graded[Percentage] | None = None
    """How much of a node's allocatable memory pods may request. Needs to list the pods of all namespaces."""

    @property
    def where(self) -> str:
        return "the cluster"

    @property
    def selected(self) -> str:
        """What is looked at, in words: `pool=web named node-* in the cluster`."""
        named = f" named {self.name}" if self.name else ""
        return f"{self.selector or 'all'}{named} in {self.where}"

    def every_pod(self) -> tuple[ListPods, ...]:
        """The pods of all namespaces, where a limit needs them."""
        limits = (self.pods, self.cpu_requests, self.memory_requests)
        return (ListPods(self.target.name, None),) if any(limit is not None for limit in limits) else ()

    def queries(self) -> Iterable[Query[Any]]:
        version = () if self.version_skew is None else (ReadVersion(self.target.name),)
        return ListNodes(self.target.name), *self.every_pod(), *version
