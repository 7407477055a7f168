"""How PostgreSQL is read: one connection per target and run, and every question in a read-only transaction."""

import os
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from time import monotonic
from typing import Any, TypeAlias

import msgspec
import psycopg
from psycopg.rows import dict_row

from opscheck.probes.libpq import TOO_MANY_CONNECTIONS, Connection, TooManyConnections, connect
from opscheck.queries.base import Query
from opscheck.queries.observation import ProbeError, ProblemKind
from opscheck.queries.postgres import Occupancy, Refusal, Sessions, SessionsAnswer
from opscheck.targets import PostgresTarget

Reader: TypeAlias = Callable[[Connection, Any], Any]
"""Answers one kind of query inside a read-only transaction."""

# Of its time, so that the probe itself says what is late before it is given up.
_OWN_SHARE = 0.95
# Of what is then left, so that the server cancels a statement before the connection is cut.
_SERVER_SHARE = 0.9
_OLDEST_VERSION = 120000
_HOLDERS = 20

_CANCELLED, _LOCK_NOT_AVAILABLE, _PERMISSION_DENIED = "57014", "55P03", "42501"
_POOLER = "08P01"  # PgBouncer's only code
_UNKNOWN_TO_SERVER = "42"  # syntax, columns and functions that this version does not have
_CONNECTION_LOST = ("08", "57P", TOO_MANY_CONNECTIONS)

# In the transaction alone: what SET leaves on a session would, behind a pooler, befall whoever gets that server
# process next, and a read-only application is an outage.
_LIMITS = """
    SELECT set_config('statement_timeout', %(ms)s, true), set_config('lock_timeout', %(lock_ms)s, true),
           set_config('idle_in_transaction_session_timeout', %(ms)s, true), set_config('jit', 'off', true)
"""

_SESSIONS = """
    WITH held AS MATERIALIZED (
        SELECT * FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
    )
    SELECT current_user::text AS role,
           (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) AS is_superuser,
           pg_has_role(current_user, 'pg_read_all_stats', 'USAGE') AS can_see_all,
           current_setting('server_version_num')::int AS server_version,
           current_setting('max_connections')::int AS max_connections,
           current_setting('superuser_reserved_connections')::int AS superuser_reserved,
           coalesce(current_setting('reserved_connections', true), '0')::int AS reserved,
           (SELECT count(*) FROM held) AS used,
           (SELECT count(*) FROM pg_stat_activity WHERE backend_type IS NULL) AS invisible,
           (SELECT coalesce(json_agg(s), '[]') FROM (
               SELECT rolname AS name, (SELECT count(*) FROM held WHERE usesysid = r.oid) AS used,
                      CASE WHEN rolconnlimit >= 0 AND NOT rolsuper THEN rolconnlimit END AS "limit"
               FROM pg_roles r WHERE rolname = %(role)s OR (rolconnlimit > 0 AND NOT rolsuper)
               ORDER BY rolname) s) AS roles,
           (SELECT coalesce(json_agg(s), '[]') FROM (
               SELECT datname AS name, (SELECT count(*) FROM held WHERE datid = d.oid) AS used,
                      CASE WHEN datconnlimit >= 0 THEN datconnlimit END AS "limit"
               FROM pg_database d WHERE datname = %(database)s OR datconnlimit > 0
               ORDER BY datname) s) AS databases,
           (SELECT coalesce(json_agg(s), '[]') FROM (
               SELECT coalesce(application_name, '') AS application, coalesce(usename, '') AS role,
                      coalesce(datname, '') AS database, coalesce(host(client_addr), '') AS client,
                      coalesce(state, '') AS state, count(*) AS count
               FROM held GROUP BY 1, 2, 3, 4, 5 ORDER BY 6 DESC, 1, 2, 3, 4, 5 LIMIT %(holders)s) s) AS holders
"""


def open_session(target: PostgresTarget, timeout_s: float) -> "PostgresSession":
    """Connect, or learn that the server is full. Raises ProbeError with `target_down` when neither."""
    session = PostgresSession(target)
    session.reach(timeout_s)
    return session


class PostgresSession:
    """One connection, made again once when the server has closed it."""

    def __init__(self, target: PostgresTarget) -> None:
        self._dsn = target.dsn
        self._lock = threading.Lock()
        self._connection: Connection | None = None
        self._refusal: Refusal | None = None

    def reach(self, timeout_s: float) -> None:
        """Connect for the first time. A server that is full is remembered: for one query that is the answer."""
        try:
            self._connect(monotonic() + timeout_s * _OWN_SHARE, timeout_s)
        except TooManyConnections as full:
            self._refusal = full.refusal

    def ask(self, query: Query[Any], timeout_s: float) -> Any:
        """The answer to `query`. Raises ProbeError."""
        deadline = monotonic() + timeout_s * _OWN_SHARE
        if not self._lock.acquire(timeout=max(0.0, deadline - monotonic())):
            raise ProbeError(ProblemKind.LATE, f"another question took all of the {timeout_s:g} s")
        try:
            return self._answer(query, deadline, timeout_s)
        finally:
            self._lock.release()

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()

    def _answer(self, query: Query[Any], deadline: float, timeout_s: float) -> Any:
        if self._refusal is None:
            try:
                return self._read(query, deadline, timeout_s)
            except TooManyConnections as full:
                self._refusal = full.refusal
        if isinstance(query, Sessions):
            return SessionsAnswer(refusal=self._refusal)
        text = f"the server has no connection left: {self._refusal.text}"
        raise ProbeError(ProblemKind.UNREACHABLE, text, target_down=True)

    def _read(self, query: Query[Any], deadline: float, timeout_s: float) -> Any:
        reader = _READERS.get(type(query))
        if reader is None:
            raise ProbeError(ProblemKind.UNSUPPORTED, f"the PostgreSQL probe does not answer {query.name}")
        used_before = self._connection
        try:
            return self._try(reader, query, deadline, timeout_s)
        except ProbeError as error:
            # The server may have closed it since: a restart, or a limit on idle sessions.
            if used_before is None or error.problem.kind is not ProblemKind.UNREACHABLE:
                raise
        return self._try(reader, query, deadline, timeout_s)

    def _try(self, reader: Reader, query: Query[Any], deadline: float, timeout_s: float) -> Any:
        connection = self._connection or self._connect(deadline, timeout_s)
        late = threading.Event()
        try:
            with _cut_off(connection, deadline, late), _transaction(connection, deadline):
                return reader(connection, query)
        except psycopg.Error as error:
            if connection.closed:
                self._connection = None
                connection.close()
            raise (_silence(timeout_s) if late.is_set() else _problem(error, timeout_s)) from None

    def _connect(self, deadline: float, timeout_s: float) -> Connection:
        try:
            self._connection = connect(self._dsn.get_secret_value(), deadline)
        except TimeoutError:
            raise _silence(timeout_s) from None
        return self._connection


@contextmanager
def _cut_off(connection: Connection, deadline: float, late: threading.Event) -> Iterator[None]:
    """
    Shut the socket when time is up, and set `late`: nobody waits on for a server that has fallen silent.

    The oldest psycopg that is supported has no time-out for a query.
    """
    with socket.socket(fileno=os.dup(connection.fileno())) as line:

        def cut() -> None:
            late.set()
            with suppress(OSError):  # the server was faster
                line.shutdown(socket.SHUT_RDWR)

        timer = threading.Timer(max(0.0, deadline - monotonic()), cut)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            timer.join()


@contextmanager
def _transaction(connection: Connection, deadline: float) -> Iterator[None]:
    milliseconds = int(max(1.0, (deadline - monotonic()) * 1000 * _SERVER_SHARE))
    connection.execute("BEGIN READ ONLY")
    try:
        connection.execute(_LIMITS, {"ms": str(milliseconds), "lock_ms": str(milliseconds // 2 or 1)})
        yield
    finally:
        if not connection.closed:
            connection.execute("ROLLBACK")


def _read_sessions(connection: Connection, query: Sessions) -> SessionsAnswer:
    if connection.info.server_version < _OLDEST_VERSION:
        # Before, replication took its connections out of max_connections too.
        version = connection.info.parameter_status("server_version")
        raise ProbeError(ProblemKind.UNSUPPORTED, f"PostgreSQL {version} is too old: connections are judged from 12 on")
    with connection.cursor(row_factory=dict_row) as cursor:
        asked = {"role": query.role, "database": query.database, "holders": _HOLDERS}
        row = cursor.execute(_SESSIONS, asked).fetchone()
    return SessionsAnswer(occupancy=msgspec.convert(row, Occupancy))


_READERS: Mapping[type[Query[Any]], Reader] = {Sessions: _read_sessions}


def _silence(timeout_s: float) -> ProbeError:
    return ProbeError(ProblemKind.LATE, f"no answer in {timeout_s:g} s", target_down=True)


def _problem(error: psycopg.Error, timeout_s: float) -> ProbeError:
    """What an error during a query means; by SQLSTATE, because messages are localised."""
    sqlstate = error.sqlstate or ""
    text = error.diag.message_primary or " ".join(str(error).split())
    if sqlstate == _CANCELLED:
        return ProbeError(
            ProblemKind.LATE, f"the query had no answer in {timeout_s:g} s, so the server ended it: {text}"
        )
    if sqlstate == _LOCK_NOT_AVAILABLE:
        return ProbeError(ProblemKind.LATE, f"the query waited for a lock until it had to give up: {text}")
    if sqlstate == _PERMISSION_DENIED:
        return ProbeError(ProblemKind.DENIED, text)
    if sqlstate == _POOLER:
        advice = "name the server itself in the dsn, or a pool in session or transaction mode"
        return ProbeError(ProblemKind.UNREADABLE, f"a pooler is in the way: {text}", advice)
    if not sqlstate or sqlstate.startswith(_CONNECTION_LOST):
        return ProbeError(ProblemKind.UNREACHABLE, text, target_down=True)
    kind = ProblemKind.UNSUPPORTED if sqlstate.startswith(_UNKNOWN_TO_SERVER) else ProblemKind.UNREADABLE
    return ProbeError(kind, f"{text} (SQLSTATE {sqlstate})")
