"""Quotas: the fields that are read, and the expectation."""

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
    """The enforced limits, and the used amounts."""

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
    """Lists quotas."""


_FIND_USERS = "Find the objects that use it; delete unneeded ones, or raise the quota"
COUNTED = kubectl(
    _FIND_USERS,
    "describe quota {{ quota }}",
    "get {{ counted }} --sort-by=.metadata.creationTimestamp",
    "edit quota {{ quota }}  # if the cluster has room for more",
)
CONSUMED = kubectl(
    _FIND_USERS,
    "describe quota {{ quota }}",
    "get pods -o custom-columns={{ columns }}",
    "edit quota {{ quota }}  # if the cluster has room for more",
)
NOT_COUNTED = kubectl("Find out why kube-controller-manager does not count it", "describe quota {{ quota }}")
MISSING = missing_remedy("quota")


class Quotas(OfKind, check="kubernetes.quotas"):
    """
    Every selected resource quota has room for more.

    The used amount is compared with the hard limit of each resource, as counted by the quota controller. A quota that
    is not counted within `grace` is a violation; one with an outdated status is unknown.
    """

    explains_others: ClassVar[bool] = True
    remedies = (COUNTED, CONSUMED, NOT_COUNTED, MISSING)
    fact_names = OfKind.fact_names | {
        "quota": "the quota",
        "counted": "the counted kind of object, such as pods or jobs.batch",
        "columns": "columns for kubectl that show the amount of each pod",
    }

    used: Graded[Percentage]
    """
    Maximum used share of each resource of the quota.

    A full quota uses 100%, which `100%` allows and `99%` does not. More than 100%, as after a quota was lowered, is
    always a violation. Resources that a quota forbids, with 0, are left out.
    """
    resources: Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(min_length=1)] = ("*",)
    """Only resources whose name matches one of these, such as `limits.*` or `count/jobs.batch`."""

    def queries(self) -> Iterable[Query[Any]]:
        return self.lists(ListQuotas)
