"""Which queries a run asks: every distinct one once."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

from opscheck.core.expectation import Expectation
from opscheck.core.query import Query
from opscheck.core.units import Duration

Questions: TypeAlias = tuple[Expectation, tuple[Query[Any], ...]]
"""An expectation and what it asks."""


@dataclass(frozen=True)
class Asked:
    """One query and how long its answer may take."""

    query: Query[Any]
    timeout_s: float


def timeout_of(expectation: Expectation, query: Query[Any], default: Duration) -> float:
    """
    How long a query of this expectation may take.

    Its own word, the expectation's, that of the target it asks, else the policy's.
    """
    if query.time_limit_s is not None:
        return query.time_limit_s
    asked = next((system for system in expectation.systems if system.name == query.target), expectation.system)
    return float(expectation.timeout or (asked and asked.timeout) or default)


def first_questions(expectations: Iterable[Expectation]) -> list[Questions]:
    """The first queries of each of these expectations; one that is skipped has none, and is left out."""
    return [
        (one, tuple(dict.fromkeys((*one.queries(), *one.evidence_queries()))))
        for one in expectations
        if one.skip is None
    ]


def plan(questions: Iterable[Questions], default: Duration) -> list[Asked]:
    """
    The distinct queries of these expectations in their order, those of one group side by side.

    A query that several ask may take as long as the most patient of them allows.
    """
    timeouts: dict[Query[Any], float] = {}
    for expectation, queries in questions:
        for query in queries:
            timeout = timeout_of(expectation, query, default)
            timeouts[query] = max(timeout, timeouts.get(query, 0.0))
    return sorted((Asked(*one) for one in timeouts.items()), key=lambda asked: asked.query.group)
