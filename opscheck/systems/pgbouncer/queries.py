"""What can be asked of a PgBouncer, at its console."""

from dataclasses import dataclass
from typing import Generic, TypeVar

import msgspec

from opscheck.core.query import Identity, Permission, Query

A = TypeVar("A")


@dataclass(frozen=True)
class StatsUser(Permission):
    """The right to enter PgBouncer's console and to look around there, and no more."""

    def text(self) -> str:
        """How it is given."""
        return "stats_users in pgbouncer.ini: the console answers nobody else"


@dataclass(frozen=True)
class ConsoleQuery(Query[A], Generic[A]):
    """A question to the console."""

    def permissions(self) -> tuple[Permission, ...]:
        """To be one of stats_users."""
        return (StatsUser(),)


@dataclass(frozen=True)
class AskBouncer(ConsoleQuery[Identity], name="pgbouncer.identity"):
    """Which PgBouncer answers."""

    def text(self) -> str:
        """For people."""
        return "SHOW VERSION"


class Pool(msgspec.Struct, frozen=True, kw_only=True):
    """The clients of one user of one database, and the server connections that they share."""

    database: str
    user: str
    mode: str = ""
    """session, transaction or statement; empty where its version does not say."""
    active: int = 0
    """Clients that are served, or that want nothing."""
    waiting: int = 0
    """Clients that have asked for something and got no server connection yet."""
    waited_s: float = 0
    """How long the first of those has waited."""
    servers: int = 0
    """Server connections that are open or being opened."""
    in_use: int = 0
    """Those of them that no other client can have now."""
    size: int
    """How many there may be, without the reserve."""

    @property
    def name(self) -> str:
        """As `pools` of a policy has it."""
        return f"{self.database}/{self.user}"


class PooledDatabase(msgspec.Struct, frozen=True, kw_only=True):
    """A database that clients may ask for."""

    name: str
    server: str
    """Where it is; empty for a Unix socket."""
    paused: bool = False
    disabled: bool = False
    connections: int = 0
    """Server connections of all its pools."""
    max_connections: int = 0
    """How many there may be; 0 is no limit."""


class Pools(msgspec.Struct, frozen=True, kw_only=True):
    """What the console says. Its own pool and database are left out, and so is the client that asks."""

    pools: tuple[Pool, ...]
    """Those that a client has asked for since the start."""
    databases: tuple[PooledDatabase, ...]
    clients: int
    """Clients of all pools, those that are logging in as well."""
    max_clients: int | None = None
    """max_client_conn; None where the console does not say."""
    paused: bool | None = None
    """Whether PgBouncer as a whole is paused; None before 1.20, which does not say."""


@dataclass(frozen=True)
class AskPools(ConsoleQuery[Pools], name="pgbouncer.pools"):
    """The pools, who waits for them, and what is paused."""

    def text(self) -> str:
        """For people."""
        return "SHOW POOLS, DATABASES, USERS, LISTS, CONFIG and STATE"
