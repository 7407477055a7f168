"""What the sessions of a server do, and since when."""

from dataclasses import dataclass
from datetime import datetime

import msgspec

from opscheck.systems.postgres.queries.base import READ_SESSIONS, PostgresQuery

IDLE_STATES = frozenset({"idle in transaction", "idle in transaction (aborted)"})
ACTIVE_STATES = frozenset({"active", "fastpath function call"})


CLIENT = "client backend"
"""The kind of process that a client talks to; the others serve no client, or a standby."""


class Session(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A process of the server, and what it does."""

    pid: int
    kind: str = CLIENT
    """As pg_stat_activity has it in backend_type."""
    leader_pid: int | None = None
    """Of a parallel worker: whose query it helps with."""
    application: str = ""
    """What the client calls itself; empty when it says nothing."""
    role: str = ""
    database: str = ""
    client: str = ""
    """The client's address; empty for a Unix socket."""
    state: str = ""
    query: str = ""
    """The query that runs, or the last one that did, without its values."""
    wait: str = ""
    """What it waits for, as `Lock: transactionid`; empty when it does not wait."""
    query_start: datetime | None = None
    xact_start: datetime | None = None
    state_change: datetime | None = None
    xmin_age: int | None = None
    """How many transactions old what it keeps vacuum from removing is; None when it holds vacuum back in nothing."""
    locks: int = 0
    """How many locks it holds on tables, rows and the like."""

    @property
    def is_idle(self) -> bool:
        """Whether it waits for its client inside a transaction."""
        return self.state in IDLE_STATES

    @property
    def is_active(self) -> bool:
        """Whether a query of it runs."""
        return self.state in ACTIVE_STATES


class ActivityAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The sessions with the oldest transactions, and how many there are. The session that asked is not one of them."""

    at: datetime
    """The server's clock."""
    server_version: int
    """As server_version_num has it: 180004."""
    sessions: tuple[Session, ...]
    """The oldest first."""
    total: int
    silent: tuple[str, ...] = ()
    """The roles with sessions that do not tell what they do, because track_activities is off for them."""


@dataclass(frozen=True)
class Activity(PostgresQuery[ActivityAnswer], name="postgres.activity"):
    """What clients do on the server."""

    needs = (READ_SESSIONS,)

    def text(self) -> str:
        """For people."""
        return "the sessions that have a transaction or run a query, and since when"
