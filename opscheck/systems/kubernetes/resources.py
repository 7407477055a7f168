"""The expectation of resource requests and limits."""

from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import Field

from opscheck.core.query import Query
from opscheck.core.remedy import Former
from opscheck.systems.kubernetes.pods import MISSING_PODS, POD_FACTS, ListPods
from opscheck.systems.kubernetes.scope import Glob, Matched, kubectl

Setting = Literal[
    "requests.cpu",
    "requests.memory",
    "requests.ephemeral-storage",
    "limits.cpu",
    "limits.memory",
    "limits.ephemeral-storage",
]


_USE = "top pod {{ pod }} --containers  # their current usage"
_DEFAULTS = "get limitranges -o yaml  # the defaults for containers such as {{ container }}"
_SET = (
    "set resources {{ owner }} -c {{ container }} --requests=cpu=100m,memory=128Mi --limits=memory=256Mi"
    "  # with values that fit it"
)
SET_IN_SPEC = kubectl("Set their usage plus headroom where the pods are defined", _USE, _DEFAULTS)
SET_IN_CLUSTER = kubectl("Set their usage plus headroom where the workload is defined", _USE, _SET, _DEFAULTS)


class ResourcesSet(Matched, check="kubernetes.resources"):
    """
    Every container of the selected pods has resource requests and limits.

    They are read from the pods as stored by the API server, so the defaults of the namespace count. `require` names
    the required settings. Static pods of nodes are left out.
    """

    reads_events = False
    remedies = (SET_IN_SPEC, SET_IN_CLUSTER, MISSING_PODS)
    fact_names = Matched.fact_names | POD_FACTS
    former_fact_names = Matched.former_fact_names | {
        "unset": Former("owner", SET_IN_CLUSTER),
        "measured": Former("pod"),
    }

    require: Annotated[tuple[Setting, ...], Field(min_length=1)] = (
        "requests.cpu",
        "requests.memory",
        "limits.memory",
    )
    """
    Settings that each container must have. The default has no CPU limit: leaving it out is often deliberate.

    Settings of the pod as a whole count for each of its containers. A quantity of 0 counts as not set.
    """
    init_containers: bool = False
    """Judge init containers too; native sidecars are always judged."""
    ignore_containers: tuple[Glob, ...] = ()
    """Injected containers, such as `istio-*`, that are not judged."""

    def queries(self) -> Iterable[Query[Any]]:
        return self.lists(ListPods)
