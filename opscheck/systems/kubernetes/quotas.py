"""Quotas: what is read of them, and what can be expected of them."""

from collections.abc import Iterable
from typing import Annotated, Any, ClassVar, final

from pydantic import Field

from opscheck.core.query import Query
from opscheck.core.units import Graded, Percentage
from opscheck.systems.kubernetes.lists import ListObjects
from opscheck.systems.kubernetes.objects import KubernetesObject, Part, Quantities
from opscheck.systems.kubernetes.scope import OfKind, kubectl, missing_remedy


@final
class ScopeRequirement(Part, frozen=True):
    """One entry of a scope selector, such as PriorityClass In (high)."""

    scope_name: str | None = None
    operator: str | None = None
    values: tuple[str, ...] | None = None


@final
class ScopeSelector(Part, frozen=True):
    match_expressions: tuple[ScopeRequirement, ...] | None = None


@final
class QuotaSpec(Part, frozen=True):
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
    spec: QuotaSpec | None = None
    status: QuotaStatus | None = None

    @property
    def asked(self) -> Quantities:
        return (self.spec.hard if self.spec else None) or {}

    @property
    def enforced(self) -> Quantities:
        return (self.status.hard if self.status else None) or {}

    @property
    def used(self) -> Quantities:
        return (self.status.used if self.status else None) or {}


class ListQuotas(ListObjects[ResourceQuota], name="kubernetes.quotas", resource="resourcequotas"):
    """Every quota there."""


_WHO_TAKES_IT = "See who takes it; remove what is not needed, or raise the quota"
COUNTED = kubectl(
    _WHO_TAKES_IT,
    "describe quota {{ quota }}",
    "get {{ counted }} --sort-by=.metadata.creationTimestamp",
    "edit quota {{ quota }}  # if the cluster has room for more",
)
CONSUMED = kubectl(
    _WHO_TAKES_IT,
    "describe quota {{ quota }}",
    "get pods -o custom-columns={{ columns }}",
    "edit quota {{ quota }}  # if the cluster has room for more",
)
NOT_COUNTED = kubectl("See why kube-controller-manager does not count it", "describe quota {{ quota }}")
MISSING = missing_remedy("quota")


class Quotas(OfKind, check="kubernetes.quotas"):
    """
    Every selected resource quota has room for more.

    The used amount is compared with the hard limit of each resource, as the quota controller counts them. A quota that
    was not counted within `grace` is a violation; one with an outdated status is unknown.
    """

    explains_others: ClassVar[bool] = True
    remedies = (COUNTED, CONSUMED, NOT_COUNTED, MISSING)
    fact_names = OfKind.fact_names | {
        "quota": "the quota",
        "counted": "the kind of object whose number is short, such as pods or jobs.batch",
        "columns": "columns for kubectl that show what each pod takes of the resource",
    }

    used: Graded[Percentage]
    """
    How much of each resource may be used, of what the quota grants.

    A full one uses 100%, which `100%` allows and `99%` does not. To use more than all, as after a quota was lowered,
    is always a violation. What a quota forbids, with 0, is left out.
    """
    resources: Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(min_length=1)] = ("*",)
    """Only resources whose name matches one of these, such as `limits.*` or `count/jobs.batch`."""

    def queries(self) -> Iterable[Query[Any]]:
        return self.lists(ListQuotas)
