"""The queries of a run: every distinct one once."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

from opscheck.core.expectation import Expectation
from opscheck.core.query import Query
from opscheck.core.units import Duration

Questions: TypeAlias = tuple[Expectation, tuple[Query[Any], ...]]
"""An expectation and its queries."""


@dataclass(frozen=True)
class Asked:
    """One query and its time limit."""

    query: Query[Any]
    timeout_s: float


def timeout_of(expectation: Expectation, query: Query[Any], default: Duration) -> float:
    """
    The time limit of a query of this expectation.

    The first that is set: of the query, the expectation, its target, the policy.
    """
    if query.time_limit_s is not None:
        return query.time_limit_s
    asked = next((system for system in expectation.systems if system.name == query.target), expectation.system)
    return float(expectation.timeout or (asked and asked.timeout) or default)


def first_questions(expectations: Iterable[Expectation]) -> list[Questions]:
    """The first queries of each of these expectations; a skipped one is left out."""
    return [
        (one, tuple(dict.fromkeys((*one.queries(), *one.evidence_queries()))))
        for one in expectations
        if one.skip is None
    ]


def plan(questions: Iterable[Questions], default: Duration) -> list[Asked]:
    """
    The distinct queries of these expectations in their order, with groups kept together.

    A query of several expectations has the longest of their time limits.
    """
    timeouts: dict[Query[Any], float] = {}
    for expectation, queries in questions:
        for query in queries:
            timeout = timeout_of(expectation, query, default)
            timeouts[query] = max(timeout, timeouts.get(query, 0.0))
    return sorted((Asked(*one) for one in timeouts.items()), key=lambda asked: asked.query.group)
