"""
Queries PgBouncer's console.

It only supports the simple query protocol. Columns differ by version, so they are read by name.
"""

import threading
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from selectors import EVENT_READ, DefaultSelector
from time import monotonic
from typing import Any, TypeAlias

import psycopg
from msgspec.structs import replace
from psycopg import pq

from opscheck.core.observation import ProbeError, ProblemKind
from opscheck.core.query import Identity, Query
from opscheck.systems.pgbouncer.pools import ListPools, Pool, PooledDatabase, Pools, ReadIdentity
from opscheck.systems.pgbouncer.target import PgbouncerTarget
from opscheck.systems.postgres.probe.libpq import NO_CONNECTION, Connection, TooManyConnections, connect
from opscheck.transport.connection_lock import own_deadline, turn

Row: TypeAlias = dict[str, str]
Show: TypeAlias = Callable[[str], list[Row]]

_CONSOLE = "pgbouncer"
# Idle servers: `sv_used` have been idle for long, and are tested before reuse.
_FREE = ("sv_idle", "sv_used")
_SECONDS = len("2026-03-01 12:00:00")  # a time zone's name may follow
_NO_CONSOLE = "not the console of PgBouncer"
_NAME_CONSOLE = "name the database pgbouncer in the dsn: postgresql://user:password@host:6432/pgbouncer"


def open_session(target: PgbouncerTarget, timeout_s: float) -> "PgbouncerSession":
    """Enter the console. Raises ProbeError with `target_down`."""
    session = PgbouncerSession(target)
    session.enter(own_deadline(timeout_s), timeout_s)
    return session


class PgbouncerSession:
    """One connection to the console, reopened once when it was closed."""

    def __init__(self, target: PgbouncerTarget) -> None:
        self._dsn = target.dsn
        self._lock = threading.Lock()
        self._console: Connection | None = None

    def enter(self, deadline: float, timeout_s: float) -> Connection:
        """Connect. Raises ProbeError."""
        try:
            self._console = connect(self._dsn.get_secret_value(), deadline)
        except TimeoutError:
            raise _silence(timeout_s, NO_CONNECTION) from None
        except TooManyConnections as full:
            text = f"PgBouncer refuses: {full.refusal.text}"
            raise ProbeError(ProblemKind.UNREACHABLE, text, "raise max_client_conn", target_down=True) from None
        return self._console

    def ask(self, query: Query[Any], timeout_s: float) -> Any:
        """The answer to `query`. Raises ProbeError."""
        if type(query) not in _READERS:
            raise ProbeError(ProblemKind.UNSUPPORTED, f"the PgBouncer probe does not answer {query.name}")
        deadline = own_deadline(timeout_s)
        with turn(self._lock, deadline, timeout_s):
            return self._answer(query, deadline, timeout_s)

    def close(self) -> None:
        """Leave the console."""
        if self._console is not None:
            self._console.close()
            self._console = None

    def _answer(self, query: Query[Any], deadline: float, timeout_s: float) -> Any:
        used_before = self._console is not None
        try:
            return self._read(query, deadline, timeout_s)
        except psycopg.OperationalError:
            self.close()
        if used_before:  # it may have been restarted since
            return self._answer(query, deadline, timeout_s)
        raise ProbeError(ProblemKind.UNREACHABLE, "PgBouncer closed the connection", target_down=True)

    def _read(self, query: Query[Any], deadline: float, timeout_s: float) -> Any:
        console = self._console or self.enter(deadline, timeout_s)

        def show(what: str) -> list[Row]:
            try:
                return _show(console, what, deadline)
            except TimeoutError:
                self.close()  # a late answer would be read as the next one
                raise _silence(timeout_s) from None

        return _READERS[type(query)](show, console)


def _show(console: Connection, what: str, deadline: float) -> list[Row]:
    """The rows of a SHOW. Raises TimeoutError, OperationalError for a lost connection, ProbeError for a refusal."""
    pgconn = console.pgconn
    pgconn.send_query(f"SHOW {what}".encode())
    while pgconn.flush():
        pass
    result = None
    while (found := _next_result(pgconn, deadline)) is not None:
        result = found
    if result is None or result.status != pq.ExecStatus.TUPLES_OK:
        raise _refusal(what, "" if result is None else result.error_message.decode(errors="replace"))
    names = [(result.fname(column) or b"").decode() for column in range(result.nfields)]
    return [
        {name: (result.get_value(row, column) or b"").decode(errors="replace") for column, name in enumerate(names)}
        for row in range(result.ntuples)
    ]


def _next_result(pgconn: Any, deadline: float) -> Any:
    while pgconn.is_busy():
        with DefaultSelector() as selector:
            selector.register(pgconn.socket, EVENT_READ)
            if not selector.select(max(0.0, deadline - monotonic())):
                raise TimeoutError
        pgconn.consume_input()
    return pgconn.get_result()


def _refusal(what: str, message: str) -> ProbeError:
    text = " ".join(message.removeprefix("ERROR:").split())
    if "admin access needed" in text:
        return ProbeError(ProblemKind.DENIED, f"SHOW {what}: {text}")
    if "invalid command" in text:
        return ProbeError(ProblemKind.UNSUPPORTED, f"this version does not support SHOW {what}")
    return ProbeError(ProblemKind.UNSUPPORTED, f"{_NO_CONSOLE}: SHOW {what} returns {text}", _NAME_CONSOLE)


def _silence(timeout_s: float, advice: str = "") -> ProbeError:
    return ProbeError(ProblemKind.LATE, f"no answer in {timeout_s:g} s", advice, target_down=True)


def _read_identity(show: Show, console: Connection) -> Identity:
    (row,) = show("VERSION")
    return Identity(place=next(iter(row.values())), user=console.info.user)


def _read_pools(show: Show, console: Connection) -> Pools:  # noqa: ARG001 - as every reader
    databases = {row["name"]: row for row in show("DATABASES") if row["name"] != _CONSOLE}
    users = {row["name"]: row for row in show("USERS")}
    lists = {row["list"]: int(row["items"]) for row in show("LISTS")}
    state = _setting(show, "STATE")
    pools = [_pool(row, databases, users) for row in show("POOLS") if row["database"] != _CONSOLE]
    if any(map(_unmeasured, pools)):
        clients = show("CLIENTS")
        pools = [replace(pool, waited_s=_waited(pool, clients)) if _unmeasured(pool) else pool for pool in pools]
    return Pools(
        pools=tuple(pools),
        databases=tuple(_database(row) for row in databases.values()),
        clients=max(0, lists["used_clients"] + lists.get("login_clients", 0) - 1),
        max_clients=_number(_setting(show, "CONFIG").get("max_client_conn", "")),
        paused=state["paused"] in {"yes", "1"} if "paused" in state else None,
    )


def _unmeasured(pool: Pool) -> bool:
    """True where clients wait and `maxwait` is 0: it leaves out clients that log in."""
    return pool.waiting > 0 and not pool.waited_s and not pool.up


def _waited(pool: Pool, clients: Iterable[Row]) -> float:
    """
    The longest time since a waiting client of the pool sent its last message.

    PgBouncer's clock is the last message of a console's client: this query. Raises ProbeError.
    """
    try:
        sent = [(row, datetime.fromisoformat(row["request_time"][:_SECONDS])) for row in clients]
        now = max(time for row, time in sent if row["database"] == _CONSOLE)
    except (KeyError, ValueError):
        raise ProbeError(ProblemKind.UNSUPPORTED, "SHOW CLIENTS does not show request_time") from None
    starts = [
        time
        for row, time in sent
        if (row["database"], row["user"]) == (pool.database, pool.user) and row["state"].startswith("waiting")
    ]
    return max(0.0, (now - min(starts, default=now)).total_seconds())


def _setting(show: Show, what: str) -> dict[str, str]:
    """A table of names and values; empty where this version does not have or show it."""
    try:
        return {first: second for first, second, *_ in (tuple(row.values()) for row in show(what))}
    except ProbeError as error:
        if error.problem.target_down:
            raise
        return {}


def _pool(row: Row, databases: Mapping[str, Row], users: Mapping[str, Row]) -> Pool:
    servers = {name: int(value) for name, value in row.items() if name.startswith("sv_")}
    database = databases.get(row["database"], {})
    # A user's own pool size, from 1.24 on, overrides the database's.
    own_size = _number(users.get(row["user"], {}).get("pool_size", ""))
    return Pool(
        database=row["database"],
        user=row["user"],
        mode=row.get("pool_mode", ""),
        active=int(row["cl_active"]),
        waiting=int(row["cl_waiting"]),
        waited_s=int(row["maxwait"]) + int(row.get("maxwait_us") or 0) / 1_000_000,
        servers=sum(servers.values()),
        up=sum(servers.values()) - servers.get("sv_login", 0),
        in_use=sum(count for name, count in servers.items() if name not in _FREE),
        size=(_number(database.get("pool_size", "")) or 0) if own_size is None else own_size,
    )


def _database(row: Row) -> PooledDatabase:
    return PooledDatabase(
        name=row["name"],
        server=":".join(filter(None, (row["host"], row.get("port", "")))) if row.get("host") else "",
        paused=row.get("paused", "0") not in {"0", ""},
        disabled=row.get("disabled", "0") not in {"0", ""},
        connections=int(row.get("current_connections") or 0),
        max_connections=int(row.get("max_connections") or 0),
    )


def _number(text: str) -> int | None:
    return int(text) if text.isdigit() else None


_READERS: Mapping[type[Any], Callable[[Show, Connection], Any]] = {ReadIdentity: _read_identity, ListPools: _read_pools}
