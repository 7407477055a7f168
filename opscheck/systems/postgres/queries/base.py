"""What every question to PostgreSQL has: the rights that it needs, and the database it is asked in."""

from dataclasses import dataclass
from typing import ClassVar, TypeVar

import msgspec

from opscheck.core.query import Permission, Query

A = TypeVar("A")

NEWEST_KNOWN = 18
"""The newest major version whose columns are known here; what is newer is asked in its words."""

_SERVER = "\0"  # no database is called so


def identifier(name: str) -> str:
    """A name as SQL takes it, whatever is in it."""
    return '"' + name.replace('"', '""') + '"'


@dataclass(frozen=True)
class RoleGrant(Permission):
    """Membership in one of PostgreSQL's predefined roles."""

    role: str
    """The predefined role, such as pg_monitor."""
    reason: str
    """Why it is needed."""

    def text(self) -> str:
        """The grant and its reason."""
        return f"GRANT {self.role}: {self.reason}"


@dataclass(frozen=True)
class ConnectGrant(Permission):
    """The right to connect to a database, which PUBLIC has where nobody took it away."""

    database: str
    """Its name; with `*` and `?`, of all those that match."""

    def text(self) -> str:
        """The grant."""
        return f"GRANT CONNECT ON DATABASE {self.database}: questions about it are asked in it"


@dataclass(frozen=True)
class SequenceGrant(Permission):
    """The right to read every sequence of a database."""

    database: str | None
    """Its name, with `*` and `?` where it may be several; None is the one that the dsn names."""

    def text(self) -> str:
        """The grant and its reason."""
        where = f"database {self.database}" if self.database else "the database of the dsn"
        return f"GRANT SELECT ON SEQUENCE, each in {where}: how far a sequence has come is hidden without it"


@dataclass(frozen=True)
class OwnTables(Permission):
    """The right to read what a team's own statement reads."""

    database: str | None
    """Its database, with `*` and `?` where it may be several; None is the one that the dsn names."""

    def text(self) -> str:
        """The grant, as far as it is known."""
        where = f"database {self.database}" if self.database else "the database of the dsn"
        return f"GRANT SELECT on what its sql reads, in {where}"


@dataclass(frozen=True)
class MakeDatabases(Permission):
    """The right to make databases on a scratch server, and to drop those again."""

    def text(self) -> str:
        """The right and its reason."""
        return "CREATEDB: a restore drill makes a database of its own, and drops it"


READ_SESSIONS = RoleGrant("pg_read_all_stats", "what the sessions of other roles do is hidden without it")
READ_SETTINGS = RoleGrant("pg_read_all_settings", "some settings are hidden without it, as if they were not there")
READ_SERVER_FILES = RoleGrant("pg_monitor", "the folders of WAL and archive status cannot be listed without it")


@dataclass(frozen=True)
class PostgresQuery(Query[A]):
    """One question to a server. The probe makes sure of `needs` before it asks: without them some answers are wrong."""

    needs: ClassVar[tuple[RoleGrant, ...]] = ()
    """The predefined roles without which the server hides part of the answer, or refuses it."""

    @property
    def group(self) -> str:
        """Asked one after the other, on one connection."""
        return _SERVER

    def permissions(self) -> tuple[Permission, ...]:
        """The roles of `needs`."""
        return self.needs


@dataclass(frozen=True)
class DatabaseQuery(PostgresQuery[A]):
    """One question that is asked in a database: about its tables, its indexes, its sequences."""

    database: str | None = None
    """The database; None is the one that the target's dsn names."""

    def permissions(self) -> tuple[Permission, ...]:
        """The roles of `needs`, and to connect where another database is named."""
        return (*self.needs, *((ConnectGrant(self.database),) if self.database else ()))

    @property
    def group(self) -> str:
        """Asked after the other questions in this database, on one connection."""
        return self.database or _SERVER

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
class ListDatabases(PostgresQuery[DatabaseNames], name="postgres.databases"):
    """Which databases there are."""

    def text(self) -> str:
        """For people."""
        return "the names of the databases"
