"""Horizontal pod autoscalers: what is read of them, and what can be expected of them."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, final

from opscheck.core.expectation import Remediation
from opscheck.core.query import Query, Timestamp
from opscheck.systems.kubernetes.lists import ListObjects
from opscheck.systems.kubernetes.objects import Condition, KubernetesObject, Part
from opscheck.systems.kubernetes.remedies import PLACE_FACTS, kubectl
from opscheck.systems.kubernetes.scope import OfKind


@final
class ScaleTarget(Part, frozen=True):
    """What an autoscaler scales: anything that has a scale, custom resources too."""

    kind: str | None = None
    name: str | None = None


@final
class AutoscalerSpec(Part, frozen=True):
    """What was asked for."""

    min_replicas: int | None = None
    """The server fills in 1."""
    max_replicas: int | None = None
    scale_target_ref: ScaleTarget | None = None


@final
class AutoscalerStatus(Part, frozen=True):
    """What the autoscaler made of it."""

    current_replicas: int | None = None
    """What its target was told to have when it looked last; not how many pods there are."""
    desired_replicas: int | None = None
    """What it wants inside its bounds: never more than the maximum."""
    last_scale_time: Timestamp | None = None
    conditions: tuple[Condition, ...] | None = None


@final
class HorizontalPodAutoscaler(KubernetesObject, frozen=True):
    """A horizontal pod autoscaler."""

    spec: AutoscalerSpec | None = None
    status: AutoscalerStatus | None = None


@dataclass(frozen=True)
class ListAutoscalers(
    ListObjects[HorizontalPodAutoscaler],
    name="kubernetes.autoscalers",
    resource="horizontalpodautoscalers.v2.autoscaling",
):
    """Every horizontal pod autoscaler there."""


class Autoscaling(OfKind, check="kubernetes.autoscaling"):
    """Every selected autoscaler can read its metrics, can scale, and has room for what it wants."""

    fact_names = PLACE_FACTS | {
        "autoscaler": "the autoscaler",
        "maxed": "the autoscaler, when it wants more replicas than it may have",
        "raised_maximum": "a patch that doubles its maximum",
        "unmeasured": "the autoscaler, when it cannot read its metrics",
        "ambiguous": "the autoscaler, when another one selects the same pods",
        "unscaled": "what it scales, such as deployment/api, when that does not scale",
    }
    default_remediation = Remediation(
        summary="Read its conditions; give it its metrics back, or room for more replicas",
        commands=kubectl(
            "describe hpa {{ autoscaler }}",
            "patch hpa {{ maxed }} --patch {{ raised_maximum }}  # if quota and nodes have room for them",
            "get apiservices.apiregistration.k8s.io | grep metrics  # who answers {{ unmeasured }}?",
            "top pods  # {{ unmeasured }} has CPU and memory from there, and needs requests on every container",
            "get hpa -o wide  # which one beside {{ ambiguous }} has the same target?",
            "describe {{ unscaled }}",
        ),
    )

    def looks_at(self) -> Iterable[Query[Any]]:
        """The autoscalers there."""
        return self.ask(ListAutoscalers)
