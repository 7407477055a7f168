"""Who is at the root of a blocking graph: whoever others wait for and who waits for nobody."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import TypeAlias

Node: TypeAlias = int | str
"""A process by its pid, or a prepared transaction by its gid."""


@dataclass(frozen=True)
class Root:
    """Those whom the same processes wait for in the end: ending one alone may not be enough."""

    nodes: tuple[Node, ...]
    waiters: frozenset[Node]
    """Everybody who waits for them, directly or behind others."""

    @property
    def is_cycle(self) -> bool:
        """Whether they wait for each other: a deadlock that the server has not ended yet."""
        return bool(self.waiters.intersection(self.nodes))


def roots(waits_for: Mapping[Node, AbstractSet[Node]]) -> list[Root]:
    """The roots of a graph from each waiter to whom it waits for; those with the most behind them first."""
    edges = {waiter: blockers - {waiter} for waiter, blockers in waits_for.items() if blockers - {waiter}}
    beyond = {waiter: _reached(edges, waiter) for waiter in edges}
    # From the end of every chain one gets nowhere, or back.
    ends = {
        node
        for reached in beyond.values()
        for node in reached
        if all(node in beyond.get(other, ()) for other in beyond.get(node, ()))
    }
    behind: dict[frozenset[Node], list[Node]] = {}
    for end in sorted(ends, key=_order):
        behind.setdefault(frozenset(waiter for waiter in beyond if end in beyond[waiter]), []).append(end)
    found = [Root(tuple(nodes), waiters) for waiters, nodes in behind.items()]
    return sorted(found, key=lambda root: -len(root.waiters))


def _reached(edges: Mapping[Node, AbstractSet[Node]], start: Node) -> set[Node]:
    reached: set[Node] = set()
    left = set(edges[start])
    while left:
        node = left.pop()
        reached.add(node)
        left |= edges.get(node, set()) - reached
    return reached


def _order(node: Node) -> tuple[bool, Node]:
    return isinstance(node, str), node
