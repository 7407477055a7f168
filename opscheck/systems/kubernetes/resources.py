"""What can be expected of the resources that containers request."""

from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import Field

from opscheck.core.expectation import Remediation
from opscheck.core.query import Query
from opscheck.systems.kubernetes.pods import ListPods
from opscheck.systems.kubernetes.remedies import CONTAINER_FACTS, WHAT_IS_THERE, kubectl
from opscheck.systems.kubernetes.scope import Glob, Matched

Setting = Literal[
    "requests.cpu",
    "requests.memory",
    "requests.ephemeral-storage",
    "limits.cpu",
    "limits.memory",
    "limits.ephemeral-storage",
]


class ResourcesSet(Matched, check="kubernetes.resources"):
    """Every container of the selected pods says what it needs and what it may use."""

    reads_events = False
    fact_names = CONTAINER_FACTS | {
        "unset": "the owner, when kubectl can change its containers' resources",
        "measured": "one of the pods",
    }
    default_remediation = Remediation(
        summary="See what the containers use, and set it, with some room, where the workload is defined",
        commands=kubectl(
            "top pod {{ measured }} --containers  # what they use now",
            "set resources {{ unset }} -c {{ container }} --requests=cpu=100m,memory=128Mi --limits=memory=256Mi"
            "  # with numbers of its own",
            "get limitranges -o yaml  # the defaults for containers such as {{ container }}",
            WHAT_IS_THERE,
        ),
    )

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

    def looks_at(self) -> Iterable[Query[Any]]:
        """The pods there."""
        return self.ask(ListPods)
