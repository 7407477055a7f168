"""Horizontal pod autoscalers: the fields that are read, and the expectation."""

from collections.abc import Iterable
from typing import Any, final

from opscheck.core.query import Query, Timestamp
from opscheck.core.remedy import Former
from opscheck.systems.kubernetes.lists import ListObjects
from opscheck.systems.kubernetes.objects import Condition, KubernetesObject, ObjectReference, Part
from opscheck.systems.kubernetes.scope import OfKind, kubectl, missing_remedy


@final
class AutoscalerSpec(Part, frozen=True):
    min_replicas: int | None = None
    """The server fills in 1."""
    max_replicas: int | None = None
    scale_target_ref: ObjectReference | None = None
    """The scaled object: any kind with a scale subresource, custom resources too."""


@final
class AutoscalerStatus(Part, frozen=True):
    """The status that the autoscaler's controller writes."""

    current_replicas: int | None = None
    """The replicas of its target at the last sync; not the number of pods."""
    desired_replicas: int | None = None
    """The wanted replicas within its bounds: never more than the maximum."""
    last_scale_time: Timestamp | None = None
    conditions: tuple[Condition, ...] | None = None


@final
class HorizontalPodAutoscaler(KubernetesObject, frozen=True):
    spec: AutoscalerSpec | None = None
    status: AutoscalerStatus | None = None


class ListAutoscalers(
    ListObjects[HorizontalPodAutoscaler],
    name="kubernetes.autoscalers",
    resource="horizontalpodautoscalers.v2.autoscaling",
):
    """Lists horizontal pod autoscalers."""


CONDITIONS = kubectl("Read the autoscaler's conditions", "describe hpa {{ autoscaler }}")
HIGHER_MAXIMUM = kubectl(
    "Raise its maximum, or find out why the load is so high",
    "patch hpa {{ autoscaler }} --patch {{ raised_maximum }}  # if quota and nodes have room",
)
METRICS = kubectl(
    "Restore the metrics that it scales by",
    "get apiservices.apiregistration.k8s.io | grep -e NAME -e metrics  # APIs that {{ autoscaler }} needs",
    "top pods  # {{ autoscaler }} reads CPU and memory here, and needs requests on every container",
)
SAME_TARGET = kubectl(
    "Delete the other autoscaler of the same pods",
    "get hpa -o wide  # find the other one with the target of {{ autoscaler }}",
)
TARGET = kubectl("Find out why its target does not scale", "describe {{ scaled }}")
MISSING = missing_remedy("hpa")


class Autoscaling(OfKind, check="kubernetes.autoscaling"):
    """
    Every selected autoscaler reads its metrics, can scale, and is below its maximum.

    The conditions AbleToScale and ScalingActive are read with their reason. An autoscaler at its maximum is a finding
    only while it wants more replicas; one that is limited at its minimum is not.
    """

    remedies = (CONDITIONS, HIGHER_MAXIMUM, METRICS, SAME_TARGET, TARGET, MISSING)
    fact_names = OfKind.fact_names | {
        "autoscaler": "the autoscaler",
        "raised_maximum": "a patch that doubles its maximum",
        "scaled": "the scaled object, such as deployment/api",
    }
    former_fact_names = OfKind.former_fact_names | {
        "maxed": Former("autoscaler", HIGHER_MAXIMUM),
        "unmeasured": Former("autoscaler", METRICS),
        "ambiguous": Former("autoscaler", SAME_TARGET),
        "unscaled": Former("scaled", TARGET),
    }

    def queries(self) -> Iterable[Query[Any]]:
        return self.lists(ListAutoscalers)
