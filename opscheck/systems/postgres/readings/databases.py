"""The answers from each database that an expectation means."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from opscheck.core.findings import Observe
from opscheck.core.observation import CouldNotObserve, Problem, ProblemKind
from opscheck.systems.postgres.expectations.base import InDatabases
from opscheck.systems.postgres.queries.base import DatabaseQuery, ListDatabases

A = TypeVar("A")


@dataclass(frozen=True)
class FromDatabase(Generic[A]):
    """What one database answered."""

    query: DatabaseQuery[A]
    answer: A

    @property
    def database(self) -> str | None:
        """Its name, None for the one of the dsn."""
        return self.query.database


def each_database(
    expectation: InDatabases, observe: Observe, kind: type[DatabaseQuery[A]]
) -> Iterator[FromDatabase[A]]:
    """
    The answers of all that answered; at the end raises CouldNotObserve for the first that did not.

    So a loop over it judges what can be judged, and what it finds stands beside what could not be looked at.
    Raises CouldNotObserve at once where no database matches.
    """
    missing: CouldNotObserve | None = None
    for query in _queries(expectation, observe, kind):
        try:
            answer = observe(query)
        except CouldNotObserve as error:
            missing = missing or error
        else:
            yield FromDatabase(query, answer)
    if missing is not None:
        raise missing


def _queries(expectation: InDatabases, observe: Observe, kind: type[DatabaseQuery[A]]) -> list[DatabaseQuery[A]]:
    databases: tuple[str | None, ...] = expectation.databases or (None,)
    if expectation.patterns:
        listing = ListDatabases(expectation.target.name)
        there = observe(listing)
        databases = expectation.matched(there)
        if not databases:
            raise CouldNotObserve(listing, _none_matches(expectation, there.names))
    return [expectation.question(kind, database) for database in databases]


def _none_matches(expectation: InDatabases, names: tuple[str, ...]) -> Problem:
    return Problem(
        kind=ProblemKind.UNSUPPORTED,
        text=f"no database is called {' or '.join(expectation.databases or ())}",
        advice=f"there are {', '.join(names) or 'none'}",
    )
