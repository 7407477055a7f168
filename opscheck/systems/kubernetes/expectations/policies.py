"""What can be expected of autoscalers, disruption budgets and quotas."""

from collections.abc import Iterable
from typing import Annotated, Any, ClassVar

from pydantic import Field

from opscheck.core.expectation import Remediation
from opscheck.core.limits import CountLeft
from opscheck.core.query import Query
from opscheck.core.units import Count, Graded, Percentage
from opscheck.systems.kubernetes.expectations.base import PLACE_FACTS, OfKind, kubectl
from opscheck.systems.kubernetes.queries.pods import ListPods
from opscheck.systems.kubernetes.queries.policies import ListAutoscalers, ListDisruptionBudgets, ListQuotas


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


class DisruptionBudgets(OfKind, check="kubernetes.disruption"):
    """Every selected disruption budget has the healthy pods that it asks for."""

    fact_names = PLACE_FACTS | {
        "budget": "the disruption budget",
        "budgeted": "its selector, when too few of its pods are healthy or it has none",
        "workload": "what most of its unhealthy pods belong to, when kubectl can roll that out",
        "tight": "what its pods belong to, when none of them may be evicted and all are healthy",
        "one_more": "one replica more than that has",
    }
    default_remediation = Remediation(
        summary="Bring its pods back; until then every drain of their nodes waits",
        commands=kubectl(
            "describe pdb {{ budget }}",
            "get pods -l {{ budgeted }} -o wide",
            "rollout status {{ workload }} --timeout=10s",
            "scale {{ tight }} --replicas={{ one_more }}  # one may go while the others serve",
        ),
    )

    allowed: CountLeft | None = None
    """
    How many pods of each budget may be evicted at least.

    None may while a rollout runs, and none ever may of a single replica that is always to be there. Such a node can
    not be drained; name this limit where that must not be. It counts once the `grace` has passed.
    """
    min_pods: Count = 0
    """How many pods each budget must be about at least; 0 says that there may be none, as of what is scaled to none."""

    def looks_at(self) -> Iterable[Query[Any]]:
        """The budgets there and the pods they are about."""
        return *self.ask(ListDisruptionBudgets), *self.ask(ListPods)


class Quotas(OfKind, check="kubernetes.quotas"):
    """Every selected quota has room for more."""

    explains_others: ClassVar[bool] = True
    fact_names = PLACE_FACTS | {
        "quota": "the quota",
        "counted": "the kind of object whose number is short, such as pods or jobs.batch",
        "columns": "columns for kubectl that show what each pod takes of the resource",
    }
    default_remediation = Remediation(
        summary="See who takes it; remove what is not needed, or raise the quota",
        commands=kubectl(
            "describe quota {{ quota }}",
            "get {{ counted }} --sort-by=.metadata.creationTimestamp",
            "get pods -o custom-columns={{ columns }}",
            "edit quota {{ quota }}  # if the cluster has room for more",
        ),
    )

    used: Graded[Percentage]
    """
    How much of each resource may be used, of what the quota grants.

    A full one uses 100%, which `100%` allows and `99%` does not. To use more than all, as after a quota was lowered,
    is always a violation. What a quota forbids, with 0, is left out.
    """
    resources: Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(min_length=1)] = ("*",)
    """Only resources whose name matches one of these, such as `limits.*` or `count/jobs.batch`."""

    def looks_at(self) -> Iterable[Query[Any]]:
        """The quotas there."""
        return self.ask(ListQuotas)
