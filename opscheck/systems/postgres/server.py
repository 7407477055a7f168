"""What every query to a server and every expectation of one has, what it must be granted, and which server answers."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

import msgspec

from opscheck.core.expectation import Expectation
from opscheck.core.query import Identity, Permission, Query
from opscheck.systems.postgres.target import PostgresTarget

A = TypeVar("A")

NEWEST_KNOWN = 18
"""The newest major version whose columns are known here; a newer one gets the same statements."""

_SERVER = "\0"  # no database is called so


def identifier(name: str) -> str:
    """A name as SQL takes it, whatever is in it."""
    return '"' + name.replace('"', '""') + '"'


def database_in_words(name: str | None) -> str:
    """`database shop`; None is the one that the dsn names."""
    return f"database {name}" if name else "the database of the dsn"


@dataclass(frozen=True)
class RoleGrant(Permission):
    """Membership in one of PostgreSQL's predefined roles."""

    role: str
    """The predefined role, such as pg_monitor."""
    reason: str
    """Why it is needed."""

    def text(self) -> str:
        return f"GRANT {self.role}: {self.reason}"


@dataclass(frozen=True)
class ConnectGrant(Permission):
    """The right to connect to a database, which PUBLIC has unless it was revoked."""

    database: str
    """Its name; with `*` and `?`, of all those that match."""

    def text(self) -> str:
        return f"GRANT CONNECT ON DATABASE {self.database}: questions about it are asked in it"


@dataclass(frozen=True)
class SequenceGrant(Permission):
    """The right to read every sequence of a database."""

    database: str | None
    """Its name, with `*` and `?` where it may be several; None is the one that the dsn names."""

    def text(self) -> str:
        where = database_in_words(self.database)
        return f"GRANT SELECT ON SEQUENCE, each in {where}: how far a sequence has come is hidden without it"


@dataclass(frozen=True)
class OwnTables(Permission):
    """The right to read what a team's own statement reads."""

    database: str | None
    """Its database, with `*` and `?` where it may be several; None is the one that the dsn names."""

    def text(self) -> str:
        return f"GRANT SELECT on what its sql reads, in {database_in_words(self.database)}"


@dataclass(frozen=True)
class MakeDatabases(Permission):
    """The right to make databases on a scratch server, and to drop those again."""

    def text(self) -> str:
        return "CREATEDB: a restore drill makes a database of its own, and drops it"


READ_SESSIONS = RoleGrant("pg_read_all_stats", "what the sessions of other roles do is hidden without it")
READ_SETTINGS = RoleGrant("pg_read_all_settings", "some settings are hidden without it, as if they were not there")
READ_SERVER_FILES = RoleGrant("pg_monitor", "the folders of WAL and archive status cannot be listed without it")


@dataclass(frozen=True)
class ServerQuery(Query[A]):
    """One query to a server. The probe requires `needs` before it runs: without them some answers are wrong."""

    needs: ClassVar[tuple[RoleGrant, ...]] = ()
    """The predefined roles without which the server hides part of the answer, or refuses it."""
    what: ClassVar[str] = ""
    """What is queried, in words."""

    @property
    def group(self) -> str:
        """Sent one after the other, on one connection."""
        return _SERVER

    def permissions(self) -> tuple[Permission, ...]:
        return self.needs

    def text(self) -> str:
        return self.what or super().text()


@dataclass(frozen=True)
class ReadIdentity(ServerQuery[Identity], name="postgres.identity"):
    what = "ask which server this is, and who this client is to it"


class DatabaseNames(msgspec.Struct, frozen=True, kw_only=True):
    """The databases of a server that accept connections, templates left out."""

    names: tuple[str, ...]
    current: str
    """The one that the dsn names."""


@dataclass(frozen=True)
class ListDatabases(ServerQuery[DatabaseNames], name="postgres.databases"):
    what = "the names of the databases"


class InServer(Expectation):
    """Looks at a server as a whole."""

    target: PostgresTarget
    """The server."""

    @property
    def server(self) -> str:
        """Its address, as the subject of findings; the target's name where the dsn has none."""
        return self.target.address or self.target.name

    def evidence_queries(self) -> Iterable[Query[Any]]:
        """Which server answers, and the role of the dsn there: for the report."""
        yield ReadIdentity(self.target.name)
