"""pgbouncer.pools: clients get a server connection when they ask for one."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Generic, TypeVar

import msgspec
from pydantic import Field

from opscheck.core.expectation import Expectation
from opscheck.core.field_types import ShareUsed
from opscheck.core.observation import Problem, ProblemKind
from opscheck.core.query import Identity, Permission, Query
from opscheck.core.remedy import Former, Remedy
from opscheck.core.units import Duration, Graded, Severity
from opscheck.systems.pgbouncer.target import PgbouncerTarget

A = TypeVar("A")


@dataclass(frozen=True)
class StatsUser(Permission):
    """The right to enter PgBouncer's console and to look around there, and no more."""

    def text(self) -> str:
        """How it is given."""
        return "stats_users in pgbouncer.ini: the console answers nobody else"


@dataclass(frozen=True)
class ConsoleQuery(Query[A], Generic[A]):
    """A query to the console."""

    def permissions(self) -> tuple[Permission, ...]:
        """To be one of stats_users."""
        return (StatsUser(),)


@dataclass(frozen=True)
class ReadIdentity(ConsoleQuery[Identity], name="pgbouncer.identity"):
    """Which PgBouncer answers."""

    def text(self) -> str:
        """For people."""
        return "SHOW VERSION"


class Pool(msgspec.Struct, frozen=True, kw_only=True):
    """The clients of one user of one database, and the server connections that they share."""

    database: str
    user: str
    mode: str = ""
    """session, transaction or statement; empty where its version does not show it."""
    active: int = 0
    """Clients that are served, or that want nothing."""
    waiting: int = 0
    """Clients that wait for a server connection."""
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
    """A database that clients may connect to."""

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
    """The pools and databases of a PgBouncer, without those of its console and the client that queries it."""

    pools: tuple[Pool, ...]
    """Those that a client has used since the start."""
    databases: tuple[PooledDatabase, ...]
    clients: int
    """Clients of all pools, those that are logging in as well."""
    max_clients: int | None = None
    """max_client_conn; None where the console does not show it."""
    paused: bool | None = None
    """Whether PgBouncer as a whole is paused; None before 1.20, which does not show it."""


@dataclass(frozen=True)
class ListPools(ConsoleQuery[Pools], name="pgbouncer.pools"):
    """The pools, who waits for them, and what is paused."""

    def text(self) -> str:
        """For people."""
        return "SHOW POOLS, DATABASES, USERS, LISTS, CONFIG and STATE"


Pattern = Annotated[str, Field(min_length=1)]

_FIND_HOLDER = (
    "Find who holds the server connections, often a transaction that is left open; raise the limit only while the "
    "server has connections to give"
)
SHOW_POOL = Remedy(
    _FIND_HOLDER,
    "psql {{ dsn }} -c 'show servers' -c 'show clients'  # those of {{ database }}: who works, who waits",
    "psql {{ dsn }} -c 'show databases' -c 'show pools'  # {{ database }} may have {{ pool_size }}",
)
SHOW_LIMIT = Remedy(
    _FIND_HOLDER, "psql {{ dsn }} -c 'show databases' -c 'show pools'  # {{ database }} has a limit of its own"
)
RESUME = Remedy("Resume PgBouncer, as one of admin_users", "psql {{ dsn }} -c resume  # all of {{ subject }}")
# `psql -c` does not replace variables; what it reads from a pipe it does.
RESUME_DATABASE = Remedy(
    "Resume the database, as one of admin_users",
    "echo 'resume :\"database\"' | psql {{ dsn }} -v database={{ database }}",
)
ENABLE_DATABASE = Remedy(
    "Enable the database, as one of admin_users",
    "echo 'enable :\"database\"' | psql {{ dsn }} -v database={{ database }}",
)
SHOW_CLIENTS = Remedy(
    "Find the application with too many clients, or raise max_client_conn",
    "psql {{ dsn }} -c 'show clients'  # who holds the {{ max_clients }} that there may be",
)
REACH = Remedy("Start PgBouncer, or restore the way to it")


class PgbouncerPools(Expectation, check="pgbouncer.pools"):
    """
    PgBouncer gives clients a server connection without a long wait.

    A client that waits for a moment is how a pool works, so waiting is judged by how long the first one has waited, and
    not by how many do. A pool is full when its server connections in use reach its `pool_size`; those that are idle,
    `sv_used` among them, are free. A database that is paused or disabled is found at `severity`, unless `may_be_paused`
    names it. Before 1.20 PgBouncer does not tell that all of it is paused: there only the clients that wait show it.
    """

    any_limit_of = ("waited", "servers", "clients")
    remedies = (SHOW_POOL, SHOW_LIMIT, RESUME, RESUME_DATABASE, ENABLE_DATABASE, SHOW_CLIENTS, REACH)
    no_answer_remedies = (REACH,)
    fact_names: ClassVar[Mapping[str, str]] = {
        "database": "the database, or the one of a pool",
        "user": "the user of a pool",
        "pool_size": "how many server connections the pool may have",
        "max_clients": "max_client_conn",
    }
    former_fact_names: ClassVar = {
        "pool_database": Former("database", SHOW_POOL),
        "pool_user": Former("user", SHOW_POOL),
        "limited_database": Former("database", SHOW_LIMIT),
        "paused": Former("database", RESUME_DATABASE),
        "disabled": Former("database", ENABLE_DATABASE),
        "paused_as_a_whole": Former("subject", RESUME),
    }

    target: PgbouncerTarget
    """The PgBouncer."""
    waited: Graded[Duration] | None = None
    """How long the first client in the queue of a pool may have waited."""
    servers: ShareUsed | None = None
    """
    How much of its server connections a pool may use, in percent of its `pool_size`.

    A database with a `max_connections` of its own is held to it as well.
    """
    clients: ShareUsed | None = None
    """How many clients may be connected, in percent of `max_client_conn`."""
    pools: Annotated[tuple[Pattern, ...], Field(min_length=1)] | None = None
    """Pools to judge, as `database/user` with `*` and `?`; all by default."""
    may_be_paused: tuple[Pattern, ...] = ()
    """Databases that may be paused or disabled, with `*` and `?`."""

    @property
    def pools_query(self) -> ListPools:
        """Its query."""
        return ListPools(self.target.name)

    def queries(self) -> Iterable[Query[Any]]:
        """The pools."""
        return (self.pools_query,)

    def evidence_queries(self) -> Iterable[Query[Any]]:
        """Which PgBouncer answers: for the report."""
        yield ReadIdentity(self.target.name)

    def no_answer(self, problem: Problem) -> Severity | None:
        """An unreachable PgBouncer gives no client a connection."""
        return self.ungraded_severity if problem.kind is ProblemKind.UNREACHABLE else None
