"""What can be expected of the connections of a server."""

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from opscheck.expectations.base import Remediation
from opscheck.expectations.limits import CountLeft, ShareUsed
from opscheck.expectations.postgres.base import InServer
from opscheck.queries.base import Query
from opscheck.queries.observation import Problem, ProblemKind
from opscheck.queries.postgres.sessions import Sessions
from opscheck.units import Severity

_SHOW_HOLDERS = (
    'psql {{ dsn }} -c "select application_name, usename, client_addr, state, count(*), '
    "max(now() - state_change) as longest from pg_stat_activity where backend_type = 'client backend' "
    'group by 1, 2, 3, 4 order by 5 desc"'
)
# `psql -c` does not replace variables; what it reads from a pipe it does.
_END_IDLE = (
    "echo \"select pg_terminate_backend(pid) from pg_stat_activity where application_name = :'application' "
    "and state = 'idle' and state_change < now() - interval '10 minutes'\" "
    "| psql {{ dsn }} -v application={{ application }}"
)


class PostgresConnections(InServer, check="postgres.connections"):
    """
    Clients can connect: the connections they hold stay under what the server lets them have.

    Clients are refused before `max_connections` is reached, because the server keeps some for superusers and, from
    PostgreSQL 16, for others; those are taken off first. The session of opscheck is not counted. Roles and databases
    with a CONNECTION LIMIT of their own are held to `used` as well. A server that refuses opscheck itself because
    it is full violates this expectation at its worst severity.
    """

    any_limit_of = ("used", "free")
    fact_names: ClassVar[Mapping[str, str]] = {
        "application": "application_name of the largest group of connections; missing when it gave none",
        "holder_role": "the role of that group",
        "client": "its address; missing when it came through a Unix socket",
        "state": "what its connections do, such as idle",
        "used": "how many connections are held",
        "usable": "how many can be",
    }
    default_remediation = Remediation(
        summary=(
            "Find the client that holds too many connections and restart it, or lower its pool's size; "
            "when clients are refused, a superuser still gets in"
        ),
        commands=(_SHOW_HOLDERS, _END_IDLE),
    )

    used: ShareUsed | None = None
    """How much may be used of the connections that clients can have, in percent."""
    free: CountLeft | None = None
    """How many connections must be left for clients."""
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
