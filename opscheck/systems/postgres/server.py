"""The base classes of queries and expectations, the permissions that they need, and the server's identity."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

import msgspec

from opscheck.core.expectation import Expectation
from opscheck.core.query import Identity, Permission, Query
from opscheck.systems.postgres.target import PostgresTarget

A = TypeVar("A")

NEWEST_KNOWN = 18
"""The newest major version with its own statements; a newer server gets the same ones."""

_SERVER = "\0"  # not a valid name of a database


def identifier(name: str) -> str:
    """Any name as a quoted SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def database_in_words(name: str | None) -> str:
    """`database shop`; None means the database of the dsn."""
    return f"database {name}" if name else "the database of the dsn"


@dataclass(frozen=True)
class RoleGrant(Permission):
    """Membership in one of PostgreSQL's predefined roles."""

    role: str
    """The predefined role, such as pg_monitor."""
    reason: str
    """The reason for the grant."""

    def text(self) -> str:
        return f"GRANT {self.role}: {self.reason}"


@dataclass(frozen=True)
class ConnectGrant(Permission):
    """The right to connect to a database, which PUBLIC has unless it was revoked."""

    database: str
    """Its name, or a pattern with `*` and `?`."""

    def text(self) -> str:
        return f"GRANT CONNECT ON DATABASE {self.database}: its queries run in it"


@dataclass(frozen=True)
class SequenceGrant(Permission):
    """The right to read every sequence of a database."""

    database: str | None
    """Its name, or a pattern with `*` and `?`; None means the database of the dsn."""

    def text(self) -> str:
        where = database_in_words(self.database)
        return f"GRANT SELECT ON SEQUENCE, each in {where}: last values of sequences are hidden without it"


@dataclass(frozen=True)
class OwnTables(Permission):
    """The right to read the tables of a custom SELECT."""

    database: str | None
    """Its database, or a pattern with `*` and `?`; None means the database of the dsn."""

    def text(self) -> str:
        return f"GRANT SELECT on the tables of its sql, in {database_in_words(self.database)}"


@dataclass(frozen=True)
class MakeDatabases(Permission):
    """The right to create databases on a scratch server, and to drop them."""

    def text(self) -> str:
        return "CREATEDB: a restore drill creates a database and drops it"


READ_SESSIONS = RoleGrant("pg_read_all_stats", "the activity of other roles is hidden without it")
READ_SETTINGS = RoleGrant("pg_read_all_settings", "some settings are hidden without it, as if they did not exist")
READ_SERVER_FILES = RoleGrant("pg_monitor", "the folders of WAL and archive status cannot be listed without it")


@dataclass(frozen=True)
class ServerQuery(Query[A]):
    """A query to a server. The probe verifies `needs` first: without them some answers are wrong."""

    needs: ClassVar[tuple[RoleGrant, ...]] = ()
    """The predefined roles without which the server hides or refuses part of the answer."""
    what: ClassVar[str] = ""
    """The query in words."""

    @property
    def group(self) -> str:
        """They run one after the other, on one connection."""
        return _SERVER

    def permissions(self) -> tuple[Permission, ...]:
        return self.needs

    def text(self) -> str:
        return self.what or super().text()


@dataclass(frozen=True)
class ReadIdentity(ServerQuery[Identity], name="postgres.identity"):
    what = "the server's identity, and the role of the dsn"


class DatabaseNames(msgspec.Struct, frozen=True, kw_only=True):
    """The databases of a server that accept connections, templates left out."""

    names: tuple[str, ...]
    current: str
    """The database of the dsn."""


@dataclass(frozen=True)
class ListDatabases(ServerQuery[DatabaseNames], name="postgres.databases"):
    what = "the names of the databases"


class InServer(Expectation):
    """Judges a server as a whole."""

    target: PostgresTarget
    """The server."""

    @property
    def server(self) -> str:
        """Its address, as the subject of findings; the target's name where the dsn has no address."""
        return self.target.address or self.target.name

    def evidence_queries(self) -> Iterable[Query[Any]]:
        """The server's identity and the role of the dsn, for the report."""
        yield ReadIdentity(self.target.name)
