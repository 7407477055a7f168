"""The sessions of a server, and their descriptions in findings."""

from datetime import datetime

import msgspec

from opscheck.core.units import format_duration

CLIENT = "client backend"
"""The backend_type of a process that serves a client."""


class Session(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A process of the server, and its activity."""

    pid: int
    kind: str = CLIENT
    """The backend_type in pg_stat_activity."""
    leader_pid: int | None = None
    """Of a parallel worker: the process whose query it executes."""
    application: str = ""
    """The application_name; empty when the client sets none."""
    role: str = ""
    database: str = ""
    client: str = ""
    """The client's address; empty for a Unix socket."""
    state: str = ""
    query: str = ""
    """The query that runs, or the last one that did, without its values."""
    wait: str = ""
    """The wait event, such as `Lock: transactionid`; empty when it does not wait."""
    query_start: datetime | None = None
    xact_start: datetime | None = None
    state_change: datetime | None = None
    xmin_age: int | None = None
    """Age in transactions of the oldest row that it keeps from vacuum; None when it does not hold back vacuum."""
    locks: int = 0
    """Number of its locks on tables, rows and similar objects."""

    @property
    def is_idle(self) -> bool:
        """True while it waits for its client inside a transaction."""
        return self.state in {"idle in transaction", "idle in transaction (aborted)"}

    @property
    def is_active(self) -> bool:
        """True while its query runs."""
        return self.state in {"active", "fastpath function call"}


def describe(session: Session) -> str:
    """`pid 4711 of shop as app on orders`, `pid 812 (autovacuum worker) on orders`."""
    application = f" of {session.application}" if session.application else ""
    kind = "" if session.kind == CLIENT else f" ({session.kind})"
    role = f" as {session.role}" if session.role else ""
    return f"pid {session.pid}{application}{kind}{role}" + (f" on {session.database}" if session.database else "")


def statement(session: Session) -> str:
    """`query: SELECT …`, or `last query: …` for a session that runs none."""
    return f"{'query' if session.is_active else 'last query'}: {session.query or 'not shown'}"


def current_state(session: Session, at: datetime) -> str:
    """`idle in transaction for 5m, waits for Client: ClientRead, from 10.0.0.7`, at the server's time `at`."""
    lasting = f" for {format_duration(seconds(session.state_change, at))}" if session.state_change else ""
    waiting = f"waits for {session.wait}" if session.wait else "does not wait"
    origin = f", from {session.client or 'a Unix socket'}" if session.kind == CLIENT else ""
    return f"{session.state or 'state unknown'}{lasting}, {waiting}{origin}"


def seconds(since: datetime, at: datetime) -> float:
    """Seconds from `since` to `at`; 0 where differing clocks make `since` the later one."""
    return max(0.0, (at - since).total_seconds())
