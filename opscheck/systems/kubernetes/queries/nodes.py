"""Nodes, as far as checks read them."""

from dataclasses import dataclass
from typing import final

from opscheck.core.query import Timestamp
from opscheck.systems.kubernetes.lists import ListObjects
from opscheck.systems.kubernetes.objects import Condition, KubernetesObject, Part, Quantities


@final
class Taint(Part, frozen=True):
    """What keeps pods off a node, or says what is planned for it."""

    key: str | None = None
    time_added: Timestamp | None = None
    """Set by the controllers of Kubernetes; other writers of taints mostly leave it out."""


@final
class NodeSpec(Part, frozen=True):
    """What was asked of a node."""

    unschedulable: bool | None = None
    """True for a node that is cordoned."""
    taints: tuple[Taint, ...] | None = None


@final
class NodeInfo(Part, frozen=True):
    """What runs on a node."""

    kubelet_version: str | None = None


@final
class NodeStatus(Part, frozen=True):
    """What a node has and how it is."""

    capacity: Quantities | None = None
    allocatable: Quantities | None = None
    conditions: tuple[Condition, ...] | None = None
    node_info: NodeInfo | None = None


@final
class Node(KubernetesObject, frozen=True):
    """A node."""

    spec: NodeSpec | None = None
    status: NodeStatus | None = None


@dataclass(frozen=True)
class ListNodes(ListObjects[Node], name="kubernetes.nodes", resource="nodes", of_cluster=True):
    """Every node of the cluster."""
