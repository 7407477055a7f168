"""pgbouncer.pools: clients get a server connection when they need one."""

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
    """The right to run SHOW at PgBouncer's console, and nothing else."""

    def text(self) -> str:
        """The setting that grants it."""
        return "stats_users in pgbouncer.ini: the console refuses other users"


@dataclass(frozen=True)
class ConsoleQuery(Query[A], Generic[A]):
    """A query to the console."""

    def permissions(self) -> tuple[Permission, ...]:
        """Membership in stats_users."""
        return (StatsUser(),)


@dataclass(frozen=True)
class ReadIdentity(ConsoleQuery[Identity], name="pgbouncer.identity"):
    """The version of PgBouncer, and the user."""

    def text(self) -> str:
        """For people."""
        return "SHOW VERSION"


class Pool(msgspec.Struct, frozen=True, kw_only=True):
    """The clients of one user and database, and the server connections that they share."""

    database: str
    user: str
    mode: str = ""
    """session, transaction or statement; empty in versions that do not show it."""
    active: int = 0
    """Clients that are served or idle."""
    waiting: int = 0
    """Clients that wait for a server connection."""
    waited_s: float = 0
    """Waiting time of the first of those, including clients that log in."""
    up: int | None = None
    """Server connections that are open; None in older snapshots."""
    servers: int = 0
    """Server connections that are open or being opened."""
    in_use: int = 0
    """Server connections that are not free."""
    size: int
    """Maximum number of server connections, without the reserve."""

    @property
    def name(self) -> str:
        """Its name in `pools` of a policy."""
        return f"{self.database}/{self.user}"


class PooledDatabase(msgspec.Struct, frozen=True, kw_only=True):
    """A database that clients may connect to."""

    name: str
    server: str
    """Its server; empty for a Unix socket."""
    paused: bool = False
    disabled: bool = False
    connections: int = 0
    """Server connections of all its pools."""
    max_connections: int = 0
    """Maximum number of server connections; 0 is unlimited."""


class Pools(msgspec.Struct, frozen=True, kw_only=True):
    """The pools and databases of a PgBouncer, without its console and the client of this query."""

    pools: tuple[Pool, ...]
    """The pools that a client has used since the start."""
    databases: tuple[PooledDatabase, ...]
    clients: int
    """Clients of all pools, including those that log in."""
    max_clients: int | None = None
    """max_client_conn; None where the console does not show it."""
    paused: bool | None = None
    """True if PgBouncer as a whole is paused; None before 1.20, which does not show it."""


@dataclass(frozen=True)
class ListPools(ConsoleQuery[Pools], name="pgbouncer.pools"):
    """The pools with their waiting clients, and the databases with their states."""

    def text(self) -> str:
        """For people."""
        return "SHOW POOLS, DATABASES, USERS, LISTS, CONFIG and STATE"


Pattern = Annotated[str, Field(min_length=1)]

_FIND_HOLDER = (
    "Find the clients that hold the server connections, often with an open transaction; raise the limit only if the "
    "server has free connections"
)
SHOW_POOL = Remedy(
    _FIND_HOLDER,
    "psql {{ dsn }} -c 'show servers' -c 'show clients'  # of {{ database }}: active and waiting clients",
    "psql {{ dsn }} -c 'show databases' -c 'show pools'  # {{ database }}: pool_size {{ pool_size }}",
)
SHOW_LIMIT = Remedy(
    _FIND_HOLDER, "psql {{ dsn }} -c 'show databases' -c 'show pools'  # {{ database }} has its own max_connections"
)
RESUME = Remedy("Resume PgBouncer, as one of admin_users", "psql {{ dsn }} -c resume  # all of {{ subject }}")
# `psql -c` does not replace variables; psql replaces them in its standard input.
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
    "psql {{ dsn }} -c 'show clients'  # max_client_conn is {{ max_clients }}",
)
SHOW_SERVER = Remedy(
    "Find out why no server connection opens: the server is down, refuses the login, or PgBouncer is paused",
    "psql {{ dsn }} -c 'show databases' -c 'show servers'  # {{ database }}: host, port, and state login",
)
REACH = Remedy("Start PgBouncer, or restore the network path to it")


class PgbouncerPools(Expectation, check="pgbouncer.pools"):
    """
    PgBouncer gives clients a server connection without a long wait.

    Short waits are normal for a pool, so the longest wait is judged, not the number of waiting clients. A pool is full
    when its server connections in use reach its `pool_size`; idle ones, including `sv_used`, are free. A paused or
    disabled database is a finding at `severity`, unless `may_be_paused` contains it. Before 1.20, PgBouncer does not
    report that it is paused as a whole: only waiting clients show it. Clients that log in while no server connection is
    open wait, too: PgBouncer's own `maxwait` is 0 for them.
    """

    any_limit_of = ("waited", "servers", "clients")
    remedies = (SHOW_POOL, SHOW_SERVER, SHOW_LIMIT, RESUME, RESUME_DATABASE, ENABLE_DATABASE, SHOW_CLIENTS, REACH)
    no_answer_remedies = (REACH,)
    fact_names: ClassVar[Mapping[str, str]] = {
        "database": "the database, or the database of a pool",
        "user": "the user of a pool",
        "pool_size": "the maximum number of server connections of the pool",
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
    """Maximum waiting time of the first client in a pool's queue."""
    servers: ShareUsed | None = None
    """
    Maximum share of a pool's server connections in use, in percent of its `pool_size`.

    A database with its own `max_connections` is held to that as well.
    """
    clients: ShareUsed | None = None
    """Maximum number of connected clients, in percent of `max_client_conn`."""
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
        """The version of PgBouncer, for the report."""
        yield ReadIdentity(self.target.name)

    def no_answer(self, problem: Problem) -> Severity | None:
        """An unreachable PgBouncer violates this: clients cannot connect."""
        return self.ungraded_severity if problem.kind is ProblemKind.UNREACHABLE else None
