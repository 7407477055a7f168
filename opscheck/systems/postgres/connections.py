"""postgres.connections: the holders of a server's connections, and the free connections."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar

import msgspec

from opscheck.core.field_types import CountLeft, ShareUsed
from opscheck.core.observation import Problem, ProblemKind
from opscheck.core.query import Query
from opscheck.core.remedy import Former, Remedy
from opscheck.core.units import Severity
from opscheck.systems.postgres.server import READ_SESSIONS, InServer, ServerQuery


class RefusedBy(StrEnum):
    """The limit that refused a connection. PostgreSQL has one SQLSTATE for all three: 53300."""

    SERVER = "server"
    """max_connections, minus the reserved connections."""
    ROLE = "role"
    """The CONNECTION LIMIT of the role."""
    DATABASE = "database"
    """The CONNECTION LIMIT of the database."""


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """The server has no connection left for the role of the dsn."""

    text: str
    """The server's message, in its own language."""
    by: RefusedBy
    role: str
    """The refused role."""
    database: str
    """The database of the attempt."""


class Share(msgspec.Struct, frozen=True, kw_only=True):
    """The client connections of one role, or to one database."""

    name: str
    used: int
    limit: int | None
    """Its own CONNECTION LIMIT; None without one, and for a superuser, where PostgreSQL ignores it."""


class Holder(msgspec.Struct, frozen=True, kw_only=True):
    """Client connections with the same origin and the same state."""

    application: str
    role: str
    database: str
    client: str
    """The client's address; empty for a Unix socket."""
    state: str
    count: int


class Occupancy(msgspec.Struct, frozen=True, kw_only=True):
    """The holders of a server's connections. opscheck's own session and walsenders are not counted."""

    role: str
    """The role of the dsn."""
    is_superuser: bool
    max_connections: int
    superuser_reserved: int
    reserved: int
    """`reserved_connections`; 0 before PostgreSQL 16, which has no such setting."""
    used: int
    roles: tuple[Share, ...]
    """The roles with their own limit, and the role of the query."""
    databases: tuple[Share, ...]
    """The databases with their own limit, and the database of the query."""
    holders: tuple[Holder, ...]
    """The largest groups, the largest first."""
    walsenders: int
    """Connections that send WAL: to standbys, subscribers, pg_basebackup. They count against max_wal_senders."""
    max_wal_senders: int
    senders: tuple[Holder, ...]
    """Their largest groups, the largest first."""

    @property
    def usable(self) -> int:
        """Maximum number of client connections."""
        return self.max_connections - self.superuser_reserved - self.reserved


class SessionsAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Exactly one of the two: the occupancy, or the refusal of opscheck's own connection."""

    occupancy: Occupancy | None = None
    refusal: Refusal | None = None


@dataclass(frozen=True)
class Sessions(ServerQuery[SessionsAnswer], name="postgres.sessions"):
    """The holders of the server's connections, and the limits."""

    needs = (READ_SESSIONS,)

    role: str | None = None
    """A role to count, with or without its own limit."""
    database: str | None = None
    """A database to count, with or without its own limit."""


_HOLDERS = (
    "select application_name, usename, client_addr, state, count(*), max(now() - state_change) as longest{} "
    "from pg_stat_activity where backend_type = 'client backend' group by 1, 2, 3, 4 order by 5 desc"
)
_SHARES = _HOLDERS.format(", round(100.0 * count(*) / greatest(:usable, 1)) as percent")
SHOW_HOLDERS = Remedy(
    "Find the client that holds too many connections and restart it, or lower its pool's size",
    f'echo "{_SHARES}" | psql {{{{ dsn }}}} -v usable={{{{ usable }}}}',
)
SHOW_HOLDERS_AS_SUPERUSER = Remedy(
    "Log in as a superuser, find the client that holds too many connections and restart it, or lower its pool's size",
    f'psql {{{{ server }}}} -U postgres -c "{_HOLDERS.format("")}"  # superusers have reserved connections',
)
# `psql -c` does not replace variables; psql replaces them in its standard input.
END_IDLE = Remedy(
    "End connections that have been idle for long",
    "echo \"select pg_terminate_backend(pid) from pg_stat_activity where application_name = :'application' "
    "and state = 'idle' and state_change < now() - interval '10 minutes'\" "
    "| psql {{ dsn }} -v application={{ application }}  # as a superuser",
)
_RAISE = "Raise the limit only if the server has memory for more connections"
RAISE = {
    RefusedBy.SERVER: Remedy(
        _RAISE,
        "printf '%s\\n' \"select format('alter system set max_connections = %s', "
        "current_setting('max_connections')::int * 3 / 2) \\gexec\" | psql {{ server }} -U postgres"
        "  # each takes memory; applies after a restart",
    ),
    RefusedBy.ROLE: Remedy(
        _RAISE,
        "printf '%s\\n' \"select format('alter role %I connection limit %s', rolname, greatest(2 * rolconnlimit, 2)) "
        "from pg_roles where rolname = :'role' \\gexec\" | psql {{ server }} -U postgres -v role={{ role }}",
    ),
    RefusedBy.DATABASE: Remedy(
        _RAISE,
        "printf '%s\\n' "
        "\"select format('alter database %I connection limit %s', datname, greatest(2 * datconnlimit, 2)) "
        "from pg_database where datname = :'name' \\gexec\" | psql {{ server }} -U postgres -v name={{ database }}",
    ),
}
SHOW_WALSENDERS = Remedy(
    "Find replicas and tools that are connected twice or unnecessarily",
    'psql {{ server }} -U postgres -c "select application_name, client_addr, state, backend_start '
    'from pg_stat_replication order by 4"',
)
RAISE_MAX_WAL_SENDERS = Remedy(
    "Raise max_wal_senders",
    "printf '%s\\n' \"select format('alter system set max_wal_senders = %s', "
    "current_setting('max_wal_senders')::int * 2 + 1) \\gexec\" | psql {{ server }} -U postgres"
    "  # applies after a restart; a standby must not have less",
)
REACH = Remedy("Start the server, or restore the network path to it")


class PostgresConnections(InServer, check="postgres.connections"):
    """
    Clients can connect: connections stay below the limit.

    The server refuses clients before `max_connections` is reached: some connections are reserved for superusers and,
    from PostgreSQL 16, for other roles. These are subtracted first. opscheck's own session is not counted, and
    walsenders have a limit of their own. Roles and databases with a CONNECTION LIMIT are held to `used` as well. A full
    server that refuses opscheck violates this expectation at its worst severity. Behind a pooler, clients queue while
    the server has room: judge `pgbouncer.pools` too.
    """

    any_limit_of = ("used", "free", "walsenders")
    remedies = (
        SHOW_HOLDERS,
        SHOW_HOLDERS_AS_SUPERUSER,
        END_IDLE,
        *RAISE.values(),
        SHOW_WALSENDERS,
        RAISE_MAX_WAL_SENDERS,
        REACH,
    )
    no_answer_remedies = (REACH,)
    fact_names: ClassVar[Mapping[str, str]] = {
        "application": "application_name of the largest group of connections; missing when it set none",
        "role": "the role of that group, or the role whose CONNECTION LIMIT is reached",
        "client": "the address of that group; missing for a Unix socket",
        "state": "the state of its connections, such as idle",
        "database": "the database whose CONNECTION LIMIT is reached",
        "used": "the number of connections in use",
        "usable": "the maximum number of connections",
        "server": "the server, without user and password; missing when the dsn does not name it",
    }
    former_fact_names: ClassVar = {
        "holder_role": Former("role", SHOW_HOLDERS, SHOW_WALSENDERS),
        "limited_role": Former("role", RAISE[RefusedBy.ROLE]),
        "limited_database": Former("database", RAISE[RefusedBy.DATABASE]),
        "refusing": Former("server", SHOW_HOLDERS_AS_SUPERUSER),
        "full": Former("server", RAISE[RefusedBy.SERVER]),
        "sending": Former("server", SHOW_WALSENDERS),
    }

    used: ShareUsed | None = None
    """Maximum share of the clients' connections in use."""
    free: CountLeft | None = None
    """Minimum number of free connections for clients."""
    walsenders: ShareUsed | None = None
    """Maximum share of `max_wal_senders` in use; a standby without a walsender falls behind."""
    role: str | None = None
    """Judge only this role: against its own CONNECTION LIMIT, or against the whole server when it has none."""
    database: str | None = None
    """Judge only this database: against its own CONNECTION LIMIT, or against the whole server when it has none."""

    def queries(self) -> Iterable[Query[Any]]:
        return (self.sessions,)

    @property
    def sessions(self) -> Sessions:
        return Sessions(self.target.name, role=self.role, database=self.database)

    def no_answer(self, problem: Problem) -> Severity | None:
        """An unreachable server violates this: clients cannot connect."""
        return self.ungraded_severity if problem.kind is ProblemKind.UNREACHABLE else None
