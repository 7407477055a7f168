"""How a session of a server is told: who it is, and what it does."""

from datetime import datetime

from opscheck.core.units import format_duration
from opscheck.systems.postgres.queries.activity import CLIENT, Session


def told(session: Session) -> str:
    """`pid 4711 of shop as app on orders`, `pid 812 (autovacuum worker) on orders`."""
    application = f" of {session.application}" if session.application else ""
    kind = "" if session.kind == CLIENT else f" ({session.kind})"
    role = f" as {session.role}" if session.role else ""
    return f"pid {session.pid}{application}{kind}{role}" + (f" on {session.database}" if session.database else "")


def statement(session: Session) -> str:
    """`query: SELECT …`, or the last one of a session whose query does not run any more."""
    return f"{'query' if session.is_active else 'last query'}: {session.query or 'not told'}"


def doing(session: Session, at: datetime) -> str:
    """`idle in transaction for 5m, waits for Client: ClientRead, from 10.0.0.7`, at this time of the server."""
    since = max(0.0, (at - session.state_change).total_seconds()) if session.state_change else None
    state = session.state or "state unknown"
    lasting = "" if since is None else f" for {format_duration(since)}"
    waiting = f"waits for {session.wait}" if session.wait else "does not wait"
    return ", ".join([f"{state}{lasting}", waiting, *_origin(session)])


def _origin(session: Session) -> list[str]:
    return [f"from {session.client or 'a Unix socket'}"] if session.kind == CLIENT else []
