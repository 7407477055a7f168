"""Disruption budgets: the fields that are read, and the expectation."""

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
    """Without one it selects no pod; an empty one selects every pod of the namespace."""


@final
class BudgetStatus(Part, frozen=True):
    """The counts of the disruption controller."""

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
    """Lists disruption budgets."""


REPORT = kubectl("Read the counts of the disruption controller", "describe pdb {{ budget }}")
UNHEALTHY = kubectl(
    "Restore its pods; until then every drain of their nodes waits", "get pods -l {{ pod_selector }} -o wide"
)
SELECTED = kubectl("Correct its selector, or create the pods that it selects", "get pods -l {{ pod_selector }} -o wide")
ROLLOUT = kubectl("Check whether a rollout is in progress", "rollout status {{ workload }} --watch=false")
ONE_MORE = kubectl("Run one more replica", "scale {{ workload }} --replicas={{ one_more }}  # then one can be evicted")
MISSING = missing_remedy("pdb")


class DisruptionBudgets(OfKind, check="kubernetes.disruption"):
    """
    Every selected disruption budget has the healthy pods that it requires.

    The healthy pods are compared with the number that the budget requires, as counted by its controller. A budget
    whose status is older than its specification is unknown.
    """

    remedies = (REPORT, UNHEALTHY, SELECTED, ROLLOUT, ONE_MORE, MISSING)
    fact_names = OfKind.fact_names | {
        "budget": "the disruption budget",
        "pod_selector": "the selector of its pods",
        "workload": "the owner of its pods, or of most unhealthy ones, such as deployment/api",
        "one_more": "the number of its pods plus one",
    }
    former_fact_names = OfKind.former_fact_names | {
        "budgeted": Former("pod_selector", UNHEALTHY, SELECTED),
        "tight": Former("workload", ONE_MORE),
    }

    allowed: CountLeft | None = None
    """
    Minimum number of pods that may be evicted, for each budget.

    It is 0 during a rollout, and always 0 for a required single replica: the node of such a pod cannot be drained. It
    is a violation after `grace`.
    """
    min_pods: Count = 0
    """Minimum number of pods that each budget selects; 0 allows none, for workloads scaled to zero."""

    def queries(self) -> Iterable[Query[Any]]:
        return *self.lists(ListDisruptionBudgets), *self.lists(ListPods)
