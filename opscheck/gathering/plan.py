"""Which queries a run asks: every distinct one once."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from opscheck.expectations.base import Expectation
from opscheck.queries.base import Query
from opscheck.units import Duration


@dataclass(frozen=True)
class Asked:
    """One query and how long its answer may take."""

    query: Query[Any]
    timeout_s: float


def timeout_of(expectation: Expectation, query: Query[Any], default: Duration) -> float:
    """How long a query of this expectation may take: its own word, that of the target it asks, else the policy's."""
    asked = next((system for system in expectation.systems if system.name == query.target), expectation.system)
    return float(expectation.timeout or (asked and asked.timeout) or default)


def plan(expectations: Iterable[Expectation], default: Duration) -> list[Asked]:
    """
    The distinct queries of these expectations, in their order.

    A query that several ask may take as long as the most patient of them allows.
    """
    timeouts: dict[Query[Any], float] = {}
    for expectation in expectations:
        if expectation.skip is not None:
            continue
        for query in expectation.queries():
            timeout = timeout_of(expectation, query, default)
            timeouts[query] = max(timeout, timeouts.get(query, 0.0))
    return [Asked(query, timeout) for query, timeout in timeouts.items()]
