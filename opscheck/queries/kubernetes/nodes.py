"""Nodes, as far as checks read them."""

from dataclasses import dataclass
from typing import final

from opscheck.queries.kubernetes.lists import ListObjects
from opscheck.queries.kubernetes.objects import Condition, KubernetesObject, Part, Quantities


@final
class NodeStatus(Part, frozen=True):
    """What a node has and how it is."""

    allocatable: Quantities | None = None
    conditions: tuple[Condition, ...] | None = None


@final
class Node(KubernetesObject, frozen=True):
    """A node."""

    status: NodeStatus | None = None


@dataclass(frozen=True)
class ListNodes(ListObjects[Node], name="kubernetes.nodes", resource="nodes", of_cluster=True):
    """Every node of the cluster."""
