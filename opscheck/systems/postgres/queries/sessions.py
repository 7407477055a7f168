"""Who holds a server's connections."""

from dataclasses import dataclass
from enum import StrEnum

import msgspec

from opscheck.systems.postgres.queries.base import READ_SESSIONS, PostgresQuery


class RefusedBy(StrEnum):
    """Which limit a connection met. PostgreSQL refuses all three with SQLSTATE 53300."""

    SERVER = "server"
    """max_connections, or what it keeps for others."""
    ROLE = "role"
    """The CONNECTION LIMIT of the role that tried."""
    DATABASE = "database"
    """The CONNECTION LIMIT of the database."""


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """The server has no connection left for the role that asks."""

    text: str
    """The server's own words, in its own language."""
    by: RefusedBy
    role: str
    """Who was refused."""
    database: str
    """Where."""


class Share(msgspec.Struct, frozen=True, kw_only=True):
    """The client connections of one role, or to one database."""

    name: str
    used: int
    limit: int | None
    """Its own CONNECTION LIMIT, None when it has none (or when it is a superuser's, which PostgreSQL ignores)."""


class Holder(msgspec.Struct, frozen=True, kw_only=True):
    """Client connections that have the same origin and do the same."""

    application: str
    role: str
    database: str
    client: str
    """The client's address; empty for a Unix socket."""
    state: str
    count: int


class Occupancy(msgspec.Struct, frozen=True, kw_only=True):
    """Who holds a server's connections. The session that asked is not counted, nor are walsenders."""

    role: str
    """The role that asked."""
    is_superuser: bool
    server_version: int
    """As server_version_num has it: 180004."""
    max_connections: int
    superuser_reserved: int
    reserved: int
    """`reserved_connections`; 0 before PostgreSQL 16, which has no such setting."""
    used: int
    roles: tuple[Share, ...]
    """Those with a limit of their own, and the one that was asked for."""
    databases: tuple[Share, ...]
    """Those with a limit of their own, and the one that was asked for."""
    holders: tuple[Holder, ...]
    """The largest groups, the largest first."""
    walsenders: int
    """The connections that send WAL: to standbys, to subscribers, to pg_basebackup. They have places of their own."""
    max_wal_senders: int
    senders: tuple[Holder, ...]
    """The largest groups of them, the largest first."""

    @property
    def usable(self) -> int:
        """How many connections clients can have before they are refused."""
        return self.max_connections - self.superuser_reserved - self.reserved


class SessionsAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Exactly one of the two: who holds the connections, or that not even one was left to ask."""

    occupancy: Occupancy | None = None
    refusal: Refusal | None = None


@dataclass(frozen=True)
class Sessions(PostgresQuery[SessionsAnswer], name="postgres.sessions"):
    """Who holds the server's connections, and how many may be held."""

    needs = (READ_SESSIONS,)

    role: str | None = None
    """A role to count, with or without a limit of its own."""
    database: str | None = None
    """A database to count, with or without a limit of its own."""
