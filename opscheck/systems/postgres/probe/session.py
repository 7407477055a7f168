"""One server for the length of a run: one connection, one more for each database that is visited, and read-only."""

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from time import monotonic
from typing import Any

import msgspec
import psycopg

from opscheck.core.observation import ProbeError, ProblemKind
from opscheck.core.query import Query
from opscheck.systems.postgres.connections import Refusal, Sessions, SessionsAnswer
from opscheck.systems.postgres.databases import DatabaseQuery
from opscheck.systems.postgres.probe.libpq import (
    NO_CONNECTION,
    TOO_MANY_CONNECTIONS,
    Connection,
    TooManyConnections,
    connect,
)
from opscheck.systems.postgres.probe.statements import Reader
from opscheck.systems.postgres.server import ServerQuery, identifier
from opscheck.systems.postgres.target import PostgresTarget
from opscheck.transport.connection_lock import own_deadline, turn

# Of what is then left, so that the server cancels a statement before the connection is cut.
_SERVER_SHARE = 0.9

_CANCELLED, _LOCK_NOT_AVAILABLE, _PERMISSION_DENIED = "57014", "55P03", "42501"
_POOLER = "08P01"  # PgBouncer's only code
_UNKNOWN_TO_SERVER = "42"  # syntax, columns and functions that this version does not have
_CONNECTION_LOST = ("08", "57P", TOO_MANY_CONNECTIONS)

READERS = {
    "postgres.activity": "activity:read_activity",
    "postgres.ages": "vacuum:read_ages",
    "postgres.archiver": "archiver:read_archiver",
    "postgres.collations": "settings:read_collations",
    "postgres.configuration-files": "settings:read_configuration_files",
    "postgres.databases": "server:read_databases",
    "postgres.duplicate-indexes": "indexes:read_duplicates",
    "postgres.extensions": "settings:read_extensions",
    "postgres.identity": "server:read_identity",
    "postgres.invalid-indexes": "indexes:read_invalid",
    "postgres.largest-relations": "size:read_relations",
    "postgres.locks": "locks:read_locks",
    "postgres.own-role": "access:read_own_role",
    "postgres.replication": "replication:read_replication",
    "postgres.select": "query:read_select",
    "postgres.sequences": "size:read_sequences",
    "postgres.server-state": "settings:read_server_state",
    "postgres.sessions": "connections:read_sessions",
    "postgres.settings": "settings:read_settings",
    "postgres.sizes": "size:read_sizes",
    "postgres.slots": "replication:read_slots",
    "postgres.statement-counters": "queries:read_counters",
    "postgres.statement-texts": "queries:read_texts",
    "postgres.tables": "vacuum:read_tables",
    "postgres.unused-indexes": "indexes:read_unused",
    "postgres.xmin-holders": "vacuum:read_xmin_holders",
}
"""`module:function` by the query's name. A module is imported for its first query: a run needs few of them."""

# In the transaction alone: what SET leaves on a session would, behind a pooler, befall whoever gets that server
# process next, and a read-only application is an outage.
_BEGIN = """
    BEGIN READ ONLY; SET LOCAL statement_timeout = {ms}; SET LOCAL lock_timeout = {lock_ms};
    SET LOCAL idle_in_transaction_session_timeout = {ms}; SET LOCAL jit = off
"""


def open_session(target: PostgresTarget, timeout_s: float) -> "PostgresSession":
    """Connect, or learn that the server is full. Raises ProbeError with `target_down` when neither."""
    session = PostgresSession(target)
    session.reach(timeout_s)
    return session


def read_answer(connection: Connection, query: Query[Any]) -> Any:
    """The answer to a query of PostgreSQL's own. Raises ProbeError for any other."""
    if query.name not in READERS:
        raise ProbeError(ProblemKind.UNSUPPORTED, f"the PostgreSQL probe does not answer {query.name}")
    return reader_named(READERS[query.name])(connection, query)


def reader_named(reader: str) -> Reader:
    """The function that an entry of READERS names."""
    module, _, name = reader.partition(":")
    found: Reader = getattr(import_module(f"{__package__}.{module}"), name)
    return found


class _Line:
    """One database: a connection while it is in use, and the lock of its users."""

    def __init__(self, database: str | None) -> None:
        self.database = database
        self.turns = threading.Lock()
        self.connection: Connection | None = None
        self.users = 0

    def close(self) -> None:
        """Hang up."""
        if self.connection is not None:
            self.connection.close()
            self.connection = None


class PostgresSession:
    """A connection to the database of the dsn, made again once when the server has closed it, and some for visits."""

    def __init__(self, target: PostgresTarget) -> None:
        self._dsn = target.dsn
        self._guard = threading.Lock()
        self._home = _Line(None)
        self._visits: dict[str, _Line] = {}
        """Those to other databases than that of the dsn: those in use, and the last one."""
        self._refusal: Refusal | None = None
        self._granted: dict[str, bool] = {}

    def reach(self, timeout_s: float) -> None:
        """Connect for the first time. A server that is full is remembered: for one query that is the answer."""
        try:
            self._connect(self._home, own_deadline(timeout_s), timeout_s)
        except TooManyConnections as full:
            self._refusal = full.refusal

    def ask(self, query: Query[Any], timeout_s: float) -> Any:
        """The answer to `query`, by the reader that this package has for it. Raises ProbeError."""
        return self.read(query, read_answer, timeout_s)

    def read(self, query: Query[Any], reader: Reader, timeout_s: float) -> Any:
        """
        What `reader` returns for `query`; the way for another system to answer a query of its own.

        The reader runs in a read-only transaction that is rolled back, on the connection to the query's database, and
        once more after a reconnect. Raises ProbeError, also for what the server refuses and when time is up.
        """
        deadline = own_deadline(timeout_s)
        with self._line(query) as line, turn(line.turns, deadline, timeout_s):
            return self._answer(query, reader, line, deadline, timeout_s)

    def close(self) -> None:
        """Close the connections."""
        for line in (self._home, *self._visits.values()):
            line.close()

    @contextmanager
    def _line(self, query: Query[Any]) -> Iterator[_Line]:
        """The line to the query's database, which is not closed meanwhile. Unused lines are closed here."""
        line, idle = self._choose(query)
        for one in idle:
            one.close()
        try:
            yield line
        finally:
            with self._guard:
                line.users -= 1

    def _choose(self, query: Query[Any]) -> tuple[_Line, list[_Line]]:
        database = query.database if isinstance(query, DatabaseQuery) else None
        home = self._home.connection
        with self._guard:
            if database is None or (home is not None and home.info.dbname == database):
                self._home.users += 1
                return self._home, []  # the query names the database of the dsn
            line = self._visits.setdefault(database, _Line(database))
            line.users += 1
            idle = [name for name, one in self._visits.items() if not one.users]
            return line, [self._visits.pop(name) for name in idle]

    def _answer(self, query: Query[Any], reader: Reader, line: _Line, deadline: float, timeout_s: float) -> Any:
        if self._refusal is None:
            try:
                return self._read(query, reader, line, deadline, timeout_s)
            except TooManyConnections as full:
                self._refusal = full.refusal
        if isinstance(query, Sessions):
            return SessionsAnswer(refusal=self._refusal)
        text = f"the server has no connection left: {self._refusal.text}"
        raise ProbeError(ProblemKind.UNREACHABLE, text, target_down=True)

    def _read(self, query: Query[Any], reader: Reader, line: _Line, deadline: float, timeout_s: float) -> Any:
        used_before = line.connection
        try:
            return self._try(query, reader, line, deadline, timeout_s)
        except ProbeError as error:
            # The server may have closed it since: a restart, or a limit on idle sessions.
            if used_before is None or error.problem.kind is not ProblemKind.UNREACHABLE:
                raise
        return self._try(query, reader, line, deadline, timeout_s)

    def _try(self, query: Query[Any], reader: Reader, line: _Line, deadline: float, timeout_s: float) -> Any:
        connection = line.connection or self._open(line, deadline, timeout_s)
        late = threading.Event()
        try:
            with _cut_off(connection, deadline, late), _transaction(connection, deadline):
                self._require(connection, query)
                return reader(connection, query)
        except psycopg.Error as error:
            if connection.closed:
                line.close()
            raise (_silence(timeout_s) if late.is_set() else _problem(error, timeout_s)) from None

    def _open(self, line: _Line, deadline: float, timeout_s: float) -> Connection:
        if line.database is None:
            return self._connect(line, deadline, timeout_s)
        try:
            return self._connect(line, deadline, timeout_s)
        except TooManyConnections as full:
            text = f"refused by database {line.database}: {full.refusal.text}"
            raise ProbeError(ProblemKind.UNREACHABLE, text) from None
        except ProbeError as error:
            # The server is there: another connection to it is open.
            error.problem = msgspec.structs.replace(error.problem, target_down=False)
            raise

    def _connect(self, line: _Line, deadline: float, timeout_s: float) -> Connection:
        try:
            line.connection = connect(self._dsn.get_secret_value(), deadline, line.database)
        except TimeoutError:
            raise _silence(timeout_s, NO_CONNECTION) from None
        return line.connection

    def _require(self, connection: Connection, query: Query[Any]) -> None:
        """Make sure of the roles without which the answer would not be true. Raises ProbeError with the GRANT."""
        for grant in query.needs if isinstance(query, ServerQuery) else ():
            if grant.role not in self._granted:
                self._granted[grant.role] = _has_role(connection, grant.role)
            if not self._granted[grant.role]:
                user = connection.info.user
                text = f"role {user} is no member of {grant.role}: {grant.reason}"
                raise ProbeError(ProblemKind.DENIED, text, f"GRANT {grant.role} TO {identifier(user)}")


def _has_role(connection: Connection, role: str) -> bool:
    found = connection.execute("SELECT pg_has_role(current_user, %s, 'USAGE')", (role,)).fetchone()
    return found == (True,)


@contextmanager
def _cut_off(connection: Connection, deadline: float, late: threading.Event) -> Iterator[None]:
    """
    Shut the socket when time is up, and set `late`: a silent server delays no run.

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
    # In one message, for the way to a server may be long.
    connection.execute(_BEGIN.format(ms=milliseconds, lock_ms=milliseconds // 2 or 1))
    try:
        yield
    finally:
        if not connection.closed:
            connection.execute("ROLLBACK")


def _silence(timeout_s: float, advice: str = "") -> ProbeError:
    return ProbeError(ProblemKind.LATE, f"no answer in {timeout_s:g} s", advice, target_down=True)


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
