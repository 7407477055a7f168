"""The sessions of a server, and how a finding describes one."""

from datetime import datetime

import msgspec

from opscheck.core.units import format_duration

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
    """What the client calls itself; empty when it gives no name."""
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
        return self.state in {"idle in transaction", "idle in transaction (aborted)"}

    @property
    def is_active(self) -> bool:
        """Whether a query of it runs."""
        return self.state in {"active", "fastpath function call"}


def describe(session: Session) -> str:
    """`pid 4711 of shop as app on orders`, `pid 812 (autovacuum worker) on orders`."""
    application = f" of {session.application}" if session.application else ""
    kind = "" if session.kind == CLIENT else f" ({session.kind})"
    role = f" as {session.role}" if session.role else ""
    return f"pid {session.pid}{application}{kind}{role}" + (f" on {session.database}" if session.database else "")


def statement(session: Session) -> str:
    """`query: SELECT …`, or the last one of a session whose query does not run any more."""
    return f"{'query' if session.is_active else 'last query'}: {session.query or 'not told'}"


def current_state(session: Session, at: datetime) -> str:
    """`idle in transaction for 5m, waits for Client: ClientRead, from 10.0.0.7`, at this time of the server."""
    lasting = f" for {format_duration(seconds(session.state_change, at))}" if session.state_change else ""
    waiting = f"waits for {session.wait}" if session.wait else "does not wait"
    origin = f", from {session.client or 'a Unix socket'}" if session.kind == CLIENT else ""
    return f"{session.state or 'state unknown'}{lasting}, {waiting}{origin}"


def seconds(since: datetime, at: datetime) -> float:
    """How long before `at` that was; 0 for what seems to be later, by clocks that differ."""
    return max(0.0, (at - since).total_seconds())
