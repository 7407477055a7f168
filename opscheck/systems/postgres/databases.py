"""Queries and expectations that look into the databases of a server."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Annotated, Any, ClassVar, Generic, TypeVar

import msgspec
from pydantic import Field

from opscheck.core.findings import Observe
from opscheck.core.observation import CouldNotObserve, Problem, ProblemKind
from opscheck.core.query import Permission, Query
from opscheck.systems.postgres.grants import ConnectGrant
from opscheck.systems.postgres.server import InServer, ServerQuery

A = TypeVar("A")
_WILD = frozenset("*?[")


@dataclass(frozen=True)
class DatabaseQuery(ServerQuery[A]):
    """One question that is asked in a database: about its tables, its indexes, its sequences."""

    database: str | None = None
    """The database; None is the one that the target's dsn names."""

    def permissions(self) -> tuple[Permission, ...]:
        """The roles of `needs`, and to connect where another database is named."""
        return (*self.needs, *((ConnectGrant(self.database),) if self.database else ()))

    @property
    def group(self) -> str:
        """Asked after the other questions in this database, on one connection."""
        return self.database or super().group

    def text(self) -> str:
        """The question, and in which database."""
        return f"{self.asked_for()} in {f'database {self.database}' if self.database else 'the database of the dsn'}"

    def asked_for(self) -> str:
        """What is asked for, in words."""
        return self.name


class DatabaseNames(msgspec.Struct, frozen=True, kw_only=True):
    """The databases of a server to which somebody may connect, templates left out."""

    names: tuple[str, ...]
    current: str
    """The one that the dsn names."""


@dataclass(frozen=True)
class ListDatabases(ServerQuery[DatabaseNames], name="postgres.databases"):
    """Which databases there are."""

    def text(self) -> str:
        """For people."""
        return "the names of the databases"


DatabasePatterns = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(min_length=1)]


class InDatabases(InServer):
    """Looks into one or several databases of a server, one after the other."""

    asks: ClassVar[tuple[type[DatabaseQuery[Any]], ...]] = ()
    """The kinds of question that are asked in each database."""

    databases: DatabasePatterns | None = None
    """Names of databases, with `*` and `?`; the one that the target's dsn names by default. Each costs a connection."""

    @property
    def patterns(self) -> tuple[str, ...]:
        """Those of `databases` that may mean several, or none."""
        return tuple(name for name in self.databases or () if _WILD & set(name))

    def queries(self) -> Iterable[Query[Any]]:
        """Its questions in the databases that it names, and which databases there are where it names a pattern."""
        if self.patterns:
            yield ListDatabases(self.target.name)
        else:
            yield from self._in(self.databases or (None,))

    def further(self, answer: Callable[[Query[Any]], Any]) -> Iterable[Query[Any]]:
        """Its questions in the databases that its patterns match."""
        if self.patterns:
            yield from self._in(self.matched(answer(ListDatabases(self.target.name))))

    def described(self) -> Iterable[Query[Any]]:
        """For people, the questions with the patterns in the place of the databases."""
        yield from super().described()
        if self.patterns:
            yield from self._in(self.databases or ())

    def matched(self, there: DatabaseNames) -> tuple[str, ...]:
        """The databases that are meant, those that are named but not there as well."""
        found: dict[str, None] = {}
        for name in self.databases or (there.current,):
            matching = [one for one in there.names if fnmatchcase(one, name)]
            found |= dict.fromkeys(matching if _WILD & set(name) else [name])
        return tuple(found)

    def question(self, kind: type[DatabaseQuery[Any]], database: str | None) -> DatabaseQuery[Any]:
        """One of its questions, in one database."""
        return kind(self.target.name, database)

    def _in(self, databases: Iterable[str | None]) -> Iterable[Query[Any]]:
        return [self.question(kind, database) for database in databases for kind in self.asks]


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


def connectable(database: str) -> bool:
    r"""Whether psql's `\connect` takes this for a name; what looks like a connection string would lead elsewhere."""
    return bool(database) and "=" not in database and "://" not in database
