"""What every expectation of a PostgreSQL server has: which server, and which of its databases."""

from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase
from typing import Annotated, Any, ClassVar

from pydantic import Field

from opscheck.core.expectation import Expectation
from opscheck.core.query import Query
from opscheck.systems.postgres.queries.base import DatabaseNames, DatabaseQuery, ListDatabases
from opscheck.systems.postgres.queries.identity import AskIdentity
from opscheck.systems.postgres.target import PostgresTarget

DatabasePatterns = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(min_length=1)]

_WILD = frozenset("*?[")


class InServer(Expectation):
    """Looks at a server as a whole."""

    target: PostgresTarget
    """The server."""

    def looks_at(self) -> Iterable[Query[Any]]:
        """The questions it is judged by."""
        return ()

    def aside(self) -> Iterable[Query[Any]]:
        """Which server answers, and as whom it is asked: for the report."""
        yield AskIdentity(self.target.name)

    def queries(self) -> Iterable[Query[Any]]:
        """What it is judged by, and what is asked beside it."""
        return (*self.looks_at(), *self.aside())


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

    def looks_at(self) -> Iterable[Query[Any]]:
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
