"""Disruption budgets: what is read of them, and what can be expected of them."""

from collections.abc import Iterable
from typing import Any, final

from opscheck.core.field_types import CountLeft
from opscheck.core.query import Query
from opscheck.core.remedy import Former
from opscheck.core.units import Count
from opscheck.systems.kubernetes.lists import ListObjects
from opscheck.systems.kubernetes.objects import Condition, KubernetesObject, LabelSelector, Part
from opscheck.systems.kubernetes.pods import ListPods
from opscheck.systems.kubernetes.scope import OfKind, kubectl, missing_remedy


@final
class BudgetSpec(Part, frozen=True):
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
    spec: BudgetSpec | None = None
    status: BudgetStatus | None = None


class ListDisruptionBudgets(
    ListObjects[PodDisruptionBudget],
    name="kubernetes.disruption_budgets",
    resource="poddisruptionbudgets.v1.policy",
):
    """Every disruption budget there."""


REPORT = kubectl("See what the disruption controller counted", "describe pdb {{ budget }}")
UNHEALTHY = kubectl(
    "Bring its pods back; until then every drain of their nodes waits", "get pods -l {{ pod_selector }} -o wide"
)
SELECTED = kubectl(
    "Correct its selector, or create the pods that it is about", "get pods -l {{ pod_selector }} -o wide"
)
ROLLOUT = kubectl("See whether a rollout is on its way", "rollout status {{ workload }} --timeout=10s")
ONE_MORE = kubectl(
    "Run one replica more", "scale {{ workload }} --replicas={{ one_more }}  # one may go while the others serve"
)
MISSING = missing_remedy("pdb")


class DisruptionBudgets(OfKind, check="kubernetes.disruption"):
    """
    Every selected disruption budget has the healthy pods that it requires.

    The healthy pods are compared with the number that the budget requires, as its controller counts them. A budget
    whose status is older than its specification is unknown.
    """

    remedies = (REPORT, UNHEALTHY, SELECTED, ROLLOUT, ONE_MORE, MISSING)
    fact_names = OfKind.fact_names | {
        "budget": "the disruption budget",
        "pod_selector": "the selector of its pods",
        "workload": "what its pods, or most of the unhealthy ones, belong to, such as deployment/api",
        "one_more": "one replica more than its pods are",
    }
    former_fact_names = OfKind.former_fact_names | {
        "budgeted": Former("pod_selector", UNHEALTHY, SELECTED),
        "tight": Former("workload", ONE_MORE),
    }

    allowed: CountLeft | None = None
    """
    How many pods of each budget may be evicted at least.

    None may while a rollout runs, and none ever may of a single replica that is always to be there. Such a node can
    not be drained; name this limit where that must not be. It counts once the `grace` has passed.
    """
    min_pods: Count = 0
    """How many pods each budget must be about at least; 0 says that there may be none, as of what is scaled to none."""

    def queries(self) -> Iterable[Query[Any]]:
        return *self.lists(ListDisruptionBudgets), *self.lists(ListPods)
