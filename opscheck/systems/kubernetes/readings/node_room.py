"""How much of a node pods have taken: their number, and what they request."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from opscheck.core.observation import Problem
from opscheck.core.words import some_with_reasons
from opscheck.systems.kubernetes.nodes import Node, NodesHealthy
from opscheck.systems.kubernetes.pods import Pod
from opscheck.systems.kubernetes.quantities import holds_its_node, parse_quantity, requested
from opscheck.systems.kubernetes.readings.nodes import is_ready
from opscheck.systems.kubernetes.words import cannot_tell

LIMITED = {"pods": "pods", "cpu_requests": "cpu", "memory_requests": "memory"}
"""Fields of the expectation, and the resource of the node that each is a share of."""


@dataclass(frozen=True)
class Taken:
    """How much of one thing pods have taken of a node."""

    node: Node
    limit: str
    """The field of the expectation."""
    percent: float
    detail: str


@dataclass
class Room:
    """All that could be judged, and what could not."""

    taken: list[Taken] = field(default_factory=list)
    unjudged: dict[str, str] = field(default_factory=dict)
    """Node, and why it could not be judged."""


def pods_by_node(pods: Iterable[Pod]) -> Mapping[str, Sequence[Pod]]:
    """The pods that take room, by the node they are on."""
    found = defaultdict(list)
    for pod in pods:
        if holds_its_node(pod):
            found[pod.node].append(pod)
    return found


def room(expectation: NodesHealthy, nodes: Iterable[Node], on_node: Mapping[str, Sequence[Pod]]) -> Room:
    """What pods have taken of each node, for every limit that the policy sets."""
    found = Room()
    for node in nodes:
        if node.is_terminating:
            continue
        try:
            found.taken += _taken(expectation, node, on_node.get(node.name, ()))
        except ValueError as error:
            found.unjudged[node.name] = str(error)
    return found


def _taken(expectation: NodesHealthy, node: Node, pods: Sequence[Pod]) -> Iterator[Taken]:
    for limit, resource in LIMITED.items():
        if getattr(expectation, limit) is None:
            continue
        has = _allocatable(node, resource)
        if has is None:
            if is_ready(node):
                raise ValueError(f"it reports no allocatable {resource}")
            continue  # a node that has not reported yet; whether it should have is another matter
        used = (
            Fraction(len(pods)) if resource == "pods" else sum((requested(pod, resource) for pod in pods), Fraction(0))
        )
        yield Taken(node, limit, float(used / has * 100), _detail(used, has, resource))


def _allocatable(node: Node, resource: str) -> Fraction | None:
    status = node.status
    text = ((status and status.allocatable) or {}).get(resource) or ((status and status.capacity) or {}).get(resource)
    # A share of nothing is no number.
    return (parse_quantity(text) or None) if text else None


def _detail(used: Fraction, has: Fraction, resource: str) -> str:
    match resource:
        case "cpu":
            return f"{float(used):.3g} of {float(has):.3g} cores"
        case "memory":
            return f"{float(used / 2**20):.0f}Mi of {float(has / 2**20):.0f}Mi"
    return f"{int(used)} of {int(has)}"


def unjudged(found: Room) -> Problem | None:
    """Why this cannot be called kept, where a node's room is not known."""
    if not found.unjudged:
        return None
    return cannot_tell(
        f"the room on these nodes is not known: {some_with_reasons(found.unjudged)}",
        "leave such nodes out with `selector` or `name`",
    )
