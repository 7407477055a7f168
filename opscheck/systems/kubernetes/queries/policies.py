"""What holds workloads inside bounds: autoscalers, disruption budgets and quotas, as far as checks read them."""

from dataclasses import dataclass
from typing import final

from opscheck.core.query import Timestamp
from opscheck.systems.kubernetes.lists import ListObjects
from opscheck.systems.kubernetes.queries.objects import Condition, KubernetesObject, LabelSelector, Part, Quantities


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


@final
class BudgetSpec(Part, frozen=True):
    """Which pods are meant."""

    selector: LabelSelector | None = None
    """Without one no pod is meant; an empty one means every pod of the namespace."""


@final
class BudgetStatus(Part, frozen=True):
    """What the disruption controller counted."""

    observed_generation: int | None = None
    current_healthy: int | None = None
    desired_healthy: int | None = None
    disruptions_allowed: int | None = None
    expected_pods: int | None = None
    conditions: tuple[Condition, ...] | None = None


@final
class PodDisruptionBudget(KubernetesObject, frozen=True):
    """A budget of how many pods may be down on purpose."""

    spec: BudgetSpec | None = None
    status: BudgetStatus | None = None


@dataclass(frozen=True)
class ListDisruptionBudgets(
    ListObjects[PodDisruptionBudget],
    name="kubernetes.disruption_budgets",
    resource="poddisruptionbudgets.v1.policy",
):
    """Every disruption budget there."""


@final
class ScopeRequirement(Part, frozen=True):
    """One entry of a scope selector, such as PriorityClass In (high)."""

    scope_name: str | None = None
    operator: str | None = None
    values: tuple[str, ...] | None = None


@final
class ScopeSelector(Part, frozen=True):
    """Which pods a quota counts."""

    match_expressions: tuple[ScopeRequirement, ...] | None = None


@final
class QuotaSpec(Part, frozen=True):
    """What was asked for."""

    hard: Quantities | None = None
    scopes: tuple[str, ...] | None = None
    scope_selector: ScopeSelector | None = None


@final
class QuotaStatus(Part, frozen=True):
    """What is enforced, and how much of it is taken."""

    hard: Quantities | None = None
    used: Quantities | None = None


@final
class ResourceQuota(KubernetesObject, frozen=True):
    """A quota of a namespace."""

    spec: QuotaSpec | None = None
    status: QuotaStatus | None = None


@dataclass(frozen=True)
class ListQuotas(ListObjects[ResourceQuota], name="kubernetes.quotas", resource="resourcequotas"):
    """Every quota there."""
