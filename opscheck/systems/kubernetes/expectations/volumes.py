"""What can be expected of claims of storage."""

import re
from collections.abc import Iterable
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from opscheck.core.expectation import Remediation
from opscheck.core.limits import ShareUsed
from opscheck.core.query import Query
from opscheck.systems.kubernetes.pods import ListPods
from opscheck.systems.kubernetes.queries.storage import ListClaims, ListStorageClasses, ReadVolumeStats
from opscheck.systems.kubernetes.remedies import PLACE_FACTS, kubectl
from opscheck.systems.kubernetes.scope import OfKind
from opscheck.systems.prometheus.queries import PrometheusQuery, fresh, selector
from opscheck.systems.prometheus.target import PrometheusTarget

FRESH_S = 600
"""Older numbers are none."""

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
"""Limit, and the metrics that it is judged by, each under the name of what it measures."""

_LABEL = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def _label(name: str) -> str:
    if not _LABEL.fullmatch(name):
        raise PydanticCustomError("label", "the name of a label of Prometheus, such as cluster")
    return name


LabelName = Annotated[str, AfterValidator(_label), Field(json_schema_extra={"pattern": f"^{_LABEL.pattern}$"})]


class VolumesHealthy(OfKind, check="kubernetes.volumes"):
    """Every selected claim has its volume, and the mounted ones have room."""

    explains_others = True
    fact_names = PLACE_FACTS | {
        "claim": "the claim's name",
        "pending": "the claim, when it has no volume",
        "storage_class": "its storage class, when it has no volume",
        "missing_class": "the storage class that it names, when there is none of that name",
        "pod": "a pod that waits for it, or that still uses it",
        "volume": "the volume that it names, when that is gone or not bound to it",
        "resize_rollout": "the owner of the pod that mounts it, when the file system grows at the next mount",
        "stuck": "the claim, when it should be gone by now",
        "full_pod": "a pod that mounts it, when it is short of room",
        "inode_pod": "a pod that mounts it, when it is short of inodes",
        "expandable": "the claim, when it is short of room and its class lets it grow",
        "doubled_size": "twice the size that it asks for",
    }
    default_remediation = Remediation(
        summary="See what the claim waits for, or make room on the volume",
        commands=kubectl(
            "describe pvc {{ claim }}",
            "get events --field-selector=involvedObject.kind=PersistentVolumeClaim,involvedObject.name={{ pending }}",
            "get storageclass {{ storage_class }} -o yaml",
            "get storageclass  # which of them is meant by {{ missing_class }}?",
            "describe pod {{ pod }}",
            "get pv {{ volume }}",
            "rollout restart {{ resize_rollout }}  # the file system grows when it is mounted anew",
            "get pvc {{ stuck }} -o jsonpath='{.metadata.finalizers}'",
            "exec {{ full_pod }} -- df -h",
            "exec {{ inode_pod }} -- df -i",
            'patch pvc {{ expandable }} -p \'{"spec":{"resources":{"requests":{"storage":"{{ doubled_size }}"}}}}\'',
        ),
    )

    used: ShareUsed | None = None
    """
    How much of the room on a mounted volume may be used; needs `prometheus` or `usage_from`.

    A claim that no pod has mounted, a block device and a volume that is only read are not judged.
    """
    inodes: ShareUsed | None = None
    """How many of a mounted volume's inodes may be used; needs `prometheus` or `usage_from`."""
    prometheus: PrometheusTarget | None = None
    """The Prometheus that scrapes the kubelets (`kubelet_volume_stats_*`), for `used` and `inodes`."""
    prometheus_labels: dict[LabelName, str] = Field(default_factory=dict)
    """Labels that this cluster's series have there, such as `{cluster: prod}`, where it knows several clusters."""
    prometheus_namespace_label: LabelName = "namespace"
    """The label with the claim's namespace; `exported_namespace` where kubelets are scraped without `honor_labels`."""
    usage_from: Literal["kubelet-proxy"] | None = None
    """
    Ask the kubelets through the API server instead of Prometheus, for `used` and `inodes`: a request for each node.

    It takes the permission `get nodes/proxy`. Whoever has that can run commands in every pod of the cluster. Prefer
    Prometheus.
    """

    @model_validator(mode="after")
    def _use_has_one_source(self) -> Self:
        limits, sources = (self.used or self.inodes), (self.prometheus or self.usage_from)
        if limits and not sources:
            raise PydanticCustomError(
                "usage_source",
                "`prometheus: <target>` beside `{field}`, or `usage_from: kubelet-proxy`; "
                "the API server itself does not know what is used of a volume",
                {"field": "used" if self.used else "inodes"},
            )
        if self.prometheus and self.usage_from:
            raise PydanticCustomError("usage_source", "`prometheus` or `usage_from`, and not both", {})
        if sources and not limits:
            raise PydanticCustomError("usage_source", "a limit, `used` or `inodes`, beside the source of numbers", {})
        if self.prometheus_labels and not self.prometheus:
            raise PydanticCustomError("usage_source", "`prometheus: <target>` beside `prometheus_labels`", {})
        return self

    @property
    def limited(self) -> tuple[str, ...]:
        """The limits on use that it has: `used`, `inodes`."""
        return tuple(name for name in METRICS if getattr(self, name) is not None)

    def classes(self) -> ListStorageClasses:
        """How volumes are made. Asked beside: most claims are judged without it."""
        return ListStorageClasses(self.target.name)

    def series(self) -> dict[str, PrometheusQuery]:
        """What it asks Prometheus, by the name of what is measured."""
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

    def looks_at(self) -> Iterable[Query[Any]]:
        """Claims and pods there, and for use six metrics of Prometheus at most, or each node's own numbers."""
        yield from self.ask(ListClaims)
        yield from self.ask(ListPods)
        yield from self.series().values()
        yield from self.kubelets()

    def kubelets(self) -> tuple[ReadVolumeStats, ...]:
        """What it asks the kubelets."""
        if self.usage_from is None:
            return ()
        return tuple(ReadVolumeStats(self.target.name, namespace) for namespace in self.namespaces)

    def aside(self) -> Iterable[Query[Any]]:
        """The storage classes too."""
        yield from super().aside()
        yield self.classes()
