"""What can be expected of a PgBouncer."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field

from opscheck.core.expectation import Expectation, Remediation
from opscheck.core.field_types import ShareUsed
from opscheck.core.observation import Problem, ProblemKind
from opscheck.core.query import Query
from opscheck.core.units import Duration, Graded, Severity
from opscheck.systems.pgbouncer.queries import AskBouncer, AskPools
from opscheck.systems.pgbouncer.target import PgbouncerTarget

Pattern = Annotated[str, Field(min_length=1)]


class PgbouncerPools(Expectation, check="pgbouncer.pools"):
    """
    Clients of PgBouncer get a server connection when they ask for one.

    A client that waits for a moment is how a pool works, so waiting is judged by how long the first one has waited,
    and not by how many do. A pool is full when its server connections in use reach its `pool_size`; those that are
    idle, `sv_used` among them, are free. A database that is paused or disabled is found at `severity`, unless
    `may_be_paused` names it. Before 1.20 PgBouncer does not tell that all of it is paused: there only the clients
    that wait show it.
    """

    any_limit_of = ("waited", "servers", "clients")
    fact_names: ClassVar[Mapping[str, str]] = {
        "pool_database": "the database of a pool in which clients wait, or that is nearly full",
        "pool_user": "its user",
        "pool_size": "how many server connections the pool may have",
        "limited_database": "a database whose server connections are near its own max_connections",
        "paused": "a database that is paused",
        "disabled": "a database that is disabled",
        "max_clients": "max_client_conn, when few clients more can connect",
        "paused_as_a_whole": "the address of the PgBouncer, when all of it is paused",
    }
    default_remediation = Remediation(
        summary=(
            "Find who holds the server connections, often a transaction that is left open; raise the pool's size only "
            "while the server has connections to give; resume what was paused. Orders are for admin_users alone"
        ),
        commands=(
            "psql {{ dsn }} -c 'show servers' -c 'show clients'  # those of {{ pool_database }}: who works, who waits",
            "psql {{ dsn }} -c 'show databases' -c 'show pools'  # {{ pool_database }} may have {{ pool_size }}",
            "psql {{ dsn }} -c 'show databases' -c 'show pools'  # {{ limited_database }} has a limit of its own",
            "echo 'resume :\"database\"' | psql {{ dsn }} -v database={{ paused }}",
            "echo 'enable :\"database\"' | psql {{ dsn }} -v database={{ disabled }}",
            "psql {{ dsn }} -c resume  # all of {{ paused_as_a_whole }}",
            "psql {{ dsn }} -c 'show clients'  # who holds the {{ max_clients }} that there may be",
        ),
    )

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
    def asked(self) -> AskPools:
        """The one question it is judged by."""
        return AskPools(self.target.name)

    def aside(self) -> Iterable[Query[Any]]:
        """Which PgBouncer answers: for the report."""
        yield AskBouncer(self.target.name)

    def queries(self) -> Iterable[Query[Any]]:
        """What it is judged by, and what is asked beside it."""
        return (self.asked, *self.aside())

    def no_answer(self, problem: Problem) -> Severity | None:
        """A PgBouncer that nobody can reach gives no client a connection."""
        return self.ungraded_severity if problem.kind is ProblemKind.UNREACHABLE else None
