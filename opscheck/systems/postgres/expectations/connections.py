"""What can be expected of the connections of a server."""

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from opscheck.core.expectation import Remediation
from opscheck.core.limits import CountLeft, ShareUsed
from opscheck.core.observation import Problem, ProblemKind
from opscheck.core.query import Query
from opscheck.core.units import Severity
from opscheck.systems.postgres.expectations.base import InServer
from opscheck.systems.postgres.queries.sessions import Sessions

_HOLDERS = (
    "select application_name, usename, client_addr, state, count(*), max(now() - state_change) as longest{} "
    "from pg_stat_activity where backend_type = 'client backend' group by 1, 2, 3, 4 order by 5 desc"
)
_SHARES = _HOLDERS.format(", round(100.0 * count(*) / greatest(:usable, 1)) as percent")
_SHOW_HOLDERS = f'echo "{_SHARES}" | psql {{{{ dsn }}}} -v usable={{{{ usable }}}}'
_SHOW_AS_SUPERUSER = (
    f'psql {{{{ refusing }}}} -U postgres -c "{_HOLDERS.format("")}"  # for superusers there are some left'
)
# `psql -c` does not replace variables; what it reads from a pipe it does.
_END_IDLE = (
    "echo \"select pg_terminate_backend(pid) from pg_stat_activity where application_name = :'application' "
    "and state = 'idle' and state_change < now() - interval '10 minutes'\" "
    "| psql {{ dsn }} -v application={{ application }}"
)
_RAISE_ROLE = (
    "printf '%s\\n' \"select format('alter role %I connection limit %s', rolname, greatest(2 * rolconnlimit, 2)) "
    "from pg_roles where rolname = :'role' \\gexec\" | psql {{ server }} -U postgres -v role={{ limited_role }}"
)
_RAISE_DATABASE = (
    "printf '%s\\n' \"select format('alter database %I connection limit %s', datname, greatest(2 * datconnlimit, 2)) "
    "from pg_database where datname = :'name' \\gexec\" "
    "| psql {{ server }} -U postgres -v name={{ limited_database }}"
)
_RAISE_SERVER = (
    "printf '%s\\n' \"select format('alter system set max_connections = %s', "
    "current_setting('max_connections')::int * 3 / 2) \\gexec\" | psql {{ full }} -U postgres"
    "  # each takes memory; read at the server's next start"
)
_SHOW_SENDERS = (
    'psql {{ sending }} -U postgres -c "select application_name, client_addr, state, backend_start '
    'from pg_stat_replication order by 4"'
)
_RAISE_SENDERS = (
    "printf '%s\\n' \"select format('alter system set max_wal_senders = %s', "
    "current_setting('max_wal_senders')::int * 2 + 1) \\gexec\" | psql {{ sending }} -U postgres"
    "  # read at the server's next start; a standby must not have less"
)


class PostgresConnections(InServer, check="postgres.connections"):
    """
    Clients can connect: the connections they hold stay under what the server lets them have.

    Clients are refused before `max_connections` is reached, because the server keeps some for superusers and, from
    PostgreSQL 16, for others; those are taken off first. The session of opscheck is not counted, and walsenders have
    places of their own. Roles and databases with a CONNECTION LIMIT are held to `used` as well. A server that refuses
    opscheck itself because it is full violates this expectation at its worst severity. Behind a pooler clients queue
    while the server has room: judge `pgbouncer.pools` too.
    """

    any_limit_of = ("used", "free", "walsenders")
    fact_names: ClassVar[Mapping[str, str]] = {
        "application": "application_name of the largest group of connections; missing when it gave none",
        "holder_role": "the role of that group",
        "client": "its address; missing when it came through a Unix socket",
        "state": "what its connections do, such as idle",
        "used": "how many connections are held",
        "usable": "how many can be",
        "server": "the server, without user and password; missing when the dsn does not name it",
        "refusing": "the same, when it has refused opscheck",
        "full": "the same, when it is the server's own limit that is reached",
        "sending": "the same, when it is about walsenders",
        "limited_role": "the role, when it is its CONNECTION LIMIT that is reached",
        "limited_database": "the database, when it is its CONNECTION LIMIT that is reached",
    }
    default_remediation = Remediation(
        summary=(
            "Find the client that holds too many connections and restart it, or lower its pool's size; raise a limit "
            "only where there is memory for what it lets in. When clients are refused, a superuser still gets in"
        ),
        commands=(
            _SHOW_HOLDERS,
            _SHOW_AS_SUPERUSER,
            _END_IDLE,
            _RAISE_ROLE,
            _RAISE_DATABASE,
            _RAISE_SERVER,
            _SHOW_SENDERS,
            _RAISE_SENDERS,
        ),
    )

    used: ShareUsed | None = None
    """How much may be used of the connections that clients can have, in percent."""
    free: CountLeft | None = None
    """How many connections must be left for clients."""
    walsenders: ShareUsed | None = None
    """How much may be used of `max_wal_senders`, in percent; a standby that finds no place falls behind for good."""
    role: str | None = None
    """Judge only this role: against its own CONNECTION LIMIT, or against the whole server when it has none."""
    database: str | None = None
    """Judge only this database: against its own CONNECTION LIMIT, or against the whole server when it has none."""

    def looks_at(self) -> Iterable[Query[Any]]:
        """Who holds the connections."""
        return (self.sessions,)

    @property
    def sessions(self) -> Sessions:
        """The one question it asks."""
        return Sessions(self.target.name, role=self.role, database=self.database)

    def no_answer(self, problem: Problem) -> Severity | None:
        """A server that nobody can reach leaves no client a connection."""
        return self.ungraded_severity if problem.kind is ProblemKind.UNREACHABLE else None
