"""What pods and nodes use, as metrics-server measured it."""

from dataclasses import dataclass
from typing import final

from opscheck.core.query import Timestamp
from opscheck.systems.kubernetes.lists import ListObjects
from opscheck.systems.kubernetes.objects import KubernetesObject, Part, Quantities


@final
class ContainerUsage(Part, frozen=True):
    """What one container uses."""

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


@dataclass(frozen=True)
class ListPodUsage(
    ListObjects[PodUsage], name="kubernetes.pod_usage", resource="pods.v1beta1.metrics.k8s.io", called="pod metrics"
):
    """What the pods there use."""


@dataclass(frozen=True)
class ListNodeUsage(
    ListObjects[NodeUsage],
    name="kubernetes.node_usage",
    resource="nodes.v1beta1.metrics.k8s.io",
    called="node metrics",
    of_cluster=True,
):
    """What every node uses."""
