"""Queries and expectations that read the databases of a server."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Annotated, Any, TypeVar

from pydantic import Field

from opscheck.core.findings import Observe
from opscheck.core.observation import CouldNotObserve, Problem, ProblemKind
from opscheck.core.query import Permission, Query
from opscheck.core.remedy import Fact, Remedy
from opscheck.systems.postgres.server import (
    ConnectGrant,
    DatabaseNames,
    InServer,
    ListDatabases,
    ServerQuery,
    database_in_words,
)

A = TypeVar("A")
_WILD = frozenset("*?[")


@dataclass(frozen=True)
class DatabaseQuery(ServerQuery[A]):
    """A query that runs in one database: about its tables, indexes or sequences."""

    database: str | None = None
    """The database; None means the database of the target's dsn."""

    def permissions(self) -> tuple[Permission, ...]:
        """The roles of `needs`, and CONNECT where another database is named."""
        return (*self.needs, *((ConnectGrant(self.database),) if self.database else ()))

    @property
    def group(self) -> str:
        """Queries in one database run one after the other, on one connection."""
        return self.database or super().group

    def text(self) -> str:
        return f"{self.in_words() or self.name} in {database_in_words(self.database)}"

    def in_words(self) -> str:
        return self.what


def is_pattern(name: str) -> bool:
    """True when it may match several databases, or none."""
    return bool(_WILD & set(name))


DatabasePatterns = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(min_length=1)]


class InDatabases(InServer):
    """Reads one or several databases of a server."""

    databases: DatabasePatterns | None = None
    """Names of databases, with `*` and `?`; by default the database of the target's dsn. Each takes a connection."""

    @property
    def patterns(self) -> tuple[str, ...]:
        """The patterns among `databases`."""
        return tuple(filter(is_pattern, self.databases or ()))

    def in_database(self, database: str | None) -> Iterable[DatabaseQuery[Any]]:  # noqa: ARG002 - subclasses read it
        """Its queries in one database; None means the database of the dsn."""
        return ()

    def queries(self) -> Iterable[Query[Any]]:
        """Its queries in the named databases, and the list of databases where it names a pattern."""
        if not self.patterns:
            yield from self._in(self.databases or (None,))
        elif self._in((None,)):
            yield ListDatabases(self.target.name)

    def follow_up_queries(self, answer: Callable[[Query[Any]], Any]) -> Iterable[Query[Any]]:
        """Its queries in the databases that its patterns match."""
        if self.patterns and self._in((None,)):
            yield from self._in(self.matched(answer(ListDatabases(self.target.name))))

    def described(self) -> Iterable[Query[Any]]:
        """For people: the queries with the patterns instead of the databases."""
        yield from super().described()
        if self.patterns:
            yield from self._in(self.databases or ())

    def matched(self, there: DatabaseNames) -> tuple[str, ...]:
        """The databases that match, and the named ones, even those that do not exist."""
        found: dict[str, None] = {}
        for name in self.databases or (there.current,):
            matching = [one for one in there.names if fnmatchcase(one, name)]
            found |= dict.fromkeys(matching if is_pattern(name) else [name])
        return tuple(found)

    def _in(self, databases: Iterable[str | None]) -> list[DatabaseQuery[Any]]:
        return [query for database in databases for query in self.in_database(database)]


def each_database(
    expectation: InDatabases, observe: Observe, kind: type[DatabaseQuery[A]]
) -> Iterator[tuple[DatabaseQuery[A], A]]:
    """
    Each query with its answer; at the end raises CouldNotObserve for the first query without an answer.

    So a loop judges all available answers first. Raises CouldNotObserve at once where no database matches. Yields
    nothing where the expectation has no such query.
    """
    missing: CouldNotObserve | None = None
    for query in _queries(expectation, observe, kind):
        try:
            answer = observe(query)
        except CouldNotObserve as error:
            missing = missing or error
        else:
            yield query, answer
    if missing is not None:
        raise missing


def _queries(expectation: InDatabases, observe: Observe, kind: type[DatabaseQuery[A]]) -> list[DatabaseQuery[A]]:
    if not any(isinstance(query, kind) for query in expectation.in_database(None)):
        return []
    databases: tuple[str | None, ...] = expectation.databases or (None,)
    if expectation.patterns:
        listing = ListDatabases(expectation.target.name)
        there = observe(listing)
        databases = expectation.matched(there)
        if not databases:
            raise none_matches(listing, expectation.databases or (), there)
    queries = [query for database in databases for query in expectation.in_database(database)]
    return [query for query in queries if isinstance(query, kind)]


def none_matches(listing: Query[Any], patterns: tuple[str, ...], there: DatabaseNames) -> CouldNotObserve:
    """The error for patterns that match no database."""
    text, advice = f"no database matches {' or '.join(patterns)}", f"databases: {', '.join(there.names) or 'none'}"
    return CouldNotObserve(listing, Problem(kind=ProblemKind.UNSUPPORTED, text=text, advice=advice))


def connectable(database: str) -> bool:
    r"""True when psql's `\connect` takes it as a name, not as a connection string, which would lead elsewhere."""
    return bool(database) and "=" not in database and "://" not in database


def in_psql(database: str, remedy: Remedy, **facts: Fact) -> dict[str, Any]:
    """The remedy and its facts for a finding about a database; nothing where psql cannot connect to it."""
    return {"remedies": (remedy,), "facts": {"database": database, **facts}} if connectable(database) else {}


def psql_command(statements: str, *facts: str, options: str = "") -> str:
    r"""
    The command of a remedy that runs statements in the finding's database, with its facts as psql variables.

    `statements` are words of a shell. psql takes a DSN or the name of a database, not both; `\connect` keeps the rest
    of the DSN.
    """
    variables = "".join(f" -v {name}={{{{ {name} }}}}" for name in ("database", *facts))
    return f"printf '%s\\n' '\\connect :\"database\"' {statements} | psql {{{{ dsn }}}}{options}{variables}"
