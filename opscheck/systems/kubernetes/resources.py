"""What can be expected of the resources that containers request."""

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


_USE = "top pod {{ pod }} --containers  # what they use now"
_DEFAULTS = "get limitranges -o yaml  # the defaults for containers such as {{ container }}"
_SET = (
    "set resources {{ owner }} -c {{ container }} --requests=cpu=100m,memory=128Mi --limits=memory=256Mi"
    "  # with numbers of its own"
)
SET_IN_SPEC = kubectl("Set what they use, with some room, where the pods are defined", _USE, _DEFAULTS)
SET_IN_CLUSTER = kubectl("Set what they use, with some room, where the workload is defined", _USE, _SET, _DEFAULTS)


class ResourcesSet(Matched, check="kubernetes.resources"):
    """
    Every container of the selected pods has resource requests and limits.

    They are read from the pods as the API server stored them, so the defaults of the namespace count. `require` names
    what must be set. Static pods of nodes are left out.
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
    What each container must set. A limit for CPU is not among the defaults: leaving it out is often deliberate.

    What the pod sets as a whole counts for each of its containers. A quantity of 0 sets nothing.
    """
    init_containers: bool = False
    """Judge init containers too, which run for a moment; native sidecars are always judged."""
    ignore_containers: tuple[Glob, ...] = ()
    """Containers that others put into the pods, such as `istio-*`: they are not judged."""

    def queries(self) -> Iterable[Query[Any]]:
        return self.lists(ListPods)
