"""Nodes, and the expectation of them."""

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
from opscheck.systems.kubernetes.scope import Excluded, Glob, InCluster, Selector, kubectl, names_in_words


@final
class Taint(Part, frozen=True):
    """A taint: it keeps pods off a node, or announces its removal."""

    key: str | None = None
    time_added: Timestamp | None = None
    """Set by the controllers of Kubernetes; other writers usually leave it out."""


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
        """True when its kubelet reports it, and still sends reports."""
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
        """The condition of that type; None without it or its status."""
        found = condition(self.status and self.status.conditions, kind)
        return found if found and found.status else None


class ListNodes(ListObjects[Node], name="kubernetes.nodes", resource="nodes"):
    """Lists nodes."""

    namespaced = False


KNOWN_CONDITIONS = ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure", "NetworkUnavailable")
"""The conditions that Kubernetes defines; the meaning of others is set in the policy."""


def _status(value: object) -> object:
    # YAML reads an unquoted True as a boolean.
    return str(value) if isinstance(value, bool) else value


def _not_built_in(value: dict[str, str]) -> dict[str, str]:
    for kind in value:
        if kind in KNOWN_CONDITIONS:
            raise PydanticCustomError(
                "condition", "conditions other than those of Kubernetes; {kind} is always judged", {"kind": kind}
            )
    return value


ConditionStatus = Annotated[Literal["True", "False"], BeforeValidator(_status)]


_DESCRIBE = "describe node {{ node }}"
_PODS_THERE = "get pods -A -o wide --field-selector spec.nodeName={{ node }}"
_DRAIN = "drain {{ node }} --ignore-daemonsets --delete-emptydir-data"
NOT_READY = kubectl(
    "Check the node's conditions, move its pods to other nodes, then repair or replace it",
    _DESCRIBE,
    _PODS_THERE,
    f"{_DRAIN}  # if it does not recover",
)
MEMORY_PRESSURE = kubectl(
    "Find the pods that use the memory, then limit them or move them to other nodes",
    _DESCRIBE,
    "top pods -A --sort-by=memory  # look for pods on {{ node }}",
)
DISK_PRESSURE = kubectl(
    "Find the full file system, then clean it up or enlarge it",
    _DESCRIBE,
    "debug node/{{ node }} -it --image=busybox -- df -h /host /host/var/lib",
)
CONDITION = kubectl("Check the node's conditions, then repair or replace it", _DESCRIBE)
CORDONED = kubectl(
    "Finish the work on the node and uncordon it", _DESCRIBE, "uncordon {{ node }}  # when the work on it is done"
)
NOT_REMOVED = kubectl(
    "Find the finalizer that holds the node, and why its controller does not finish",
    _DESCRIBE,
    "get node {{ node }} -o jsonpath='{.metadata.finalizers}'",
)
VERSION_SKEW = kubectl(
    "Upgrade or replace the nodes whose kubelet version does not fit the API server",
    _DESCRIBE,
    "get nodes -o wide  # compare the versions with that of {{ node }}",
    f"{_DRAIN}  # then upgrade or replace it",
)
FULL = kubectl("Move pods to other nodes, lower their requests, or add a node", _DESCRIBE, _PODS_THERE)
MISSING = kubectl(
    "Compare the labels of the nodes with the selector; correct it, or add nodes",
    "get nodes --show-labels  # compare with {{ missing }}",
)


class NodesHealthy(InCluster, check="kubernetes.nodes"):
    """
    Every selected node is ready, without pressure, schedulable, and of a supported version.

    Conditions, cordons and deletion are read from the node. Its version is compared with that of the API server, by
    the version skew policy.
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
    excluded: Excluded = ()
    """Not the nodes whose name matches one of these. A pattern that matches nothing hides nothing."""
    min_matches: Count = 1
    """Minimum number of selected nodes; 0 is for a pool that may be scaled to zero."""
    grace: Duration = Duration.parse("15m")
    """Maximum time in which a node may be not ready."""
    pressure_grace: Duration = Duration.parse("10m")
    """Maximum time of memory, disk or PID pressure."""
    cordoned_grace: Duration = Duration.parse("1d")
    """
    Maximum time in which a node may be cordoned. In this time it may also be not ready, for maintenance.

    It counts from the time of the taint `node.kubernetes.io/unschedulable`. A taint without a time, as on a node that
    joined the cluster cordoned, counts as intended.
    """
    removal_taints: tuple[Glob, ...] = (
        "ToBeDeletedByClusterAutoscaler",
        "DeletionCandidateOfClusterAutoscaler",
        "cloud.google.com/impending-node-termination",
        "aws-node-termination-handler/*",
        "karpenter.sh/disrupted",
        "karpenter.sh/disruption",
    )
    """Keys of taints that announce the removal of a node, with `*` and `?` as in a file name."""
    removal_grace: Duration = Duration.parse("1h")
    """Maximum time in which such a node may be not ready, under pressure, or present after its deletion."""
    conditions: Annotated[dict[str, ConditionStatus], AfterValidator(_not_built_in)] = Field(default_factory=dict)
    """
    Further conditions and their expected status, such as `{KernelDeadlock: "False", StorageReady: "True"}`.

    Every selected node must report them. Other conditions are not judged.
    """
    version_skew: Count | None = 3
    """
    Maximum number of minor versions that a kubelet may lag behind the API server; it may never be newer. `null` judges
    no version.

    For a kubelet before 1.25 the limit is two.
    """
    pods: Graded[Percentage] | None = None
    """Maximum share of a node's pod slots in use. Needs to list the pods of all namespaces."""
    cpu_requests: Graded[Percentage] | None = None
    """Maximum share of a node's allocatable CPU that pods request. Needs to list the pods of all namespaces."""
    memory_requests: Graded[Percentage] | None = None
    """Maximum share of a node's allocatable memory that pods request. Needs to list the pods of all namespaces."""

    @property
    def where(self) -> str:
        return "the cluster"

    @property
    def selected(self) -> str:
        """The selection in words: `pool=web named node-* in the cluster`."""
        return f"{self.selector or 'all'}{names_in_words(self.name, self.excluded)} in {self.where}"

    def every_pod(self) -> tuple[ListPods, ...]:
        """The list of all pods, if a limit needs them."""
        limits = (self.pods, self.cpu_requests, self.memory_requests)
        return (ListPods(self.target.name, None),) if any(limit is not None for limit in limits) else ()

    def queries(self) -> Iterable[Query[Any]]:
        version = () if self.version_skew is None else (ReadVersion(self.target.name),)
        return ListNodes(self.target.name), *self.every_pod(), *version
