"""The session with a server during a run: read-only, one connection, and one more per database."""

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
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

# Share of the remaining time, so that the server cancels a statement before the connection is cut.
_SERVER_SHARE = 0.9

_CANCELLED, _LOCK_NOT_AVAILABLE, _PERMISSION_DENIED = "57014", "55P03", "42501"
_POOLER = "08P01"  # PgBouncer's only code
_UNKNOWN_TO_SERVER = "42"  # unsupported syntax, columns and functions
_CONNECTION_LOST = ("08", "57P", TOO_MANY_CONNECTIONS)

# SET LOCAL only: behind a pooler, a SET would also affect the next client of the server process, and a read-only
# application is an outage.
_BEGIN = """
    BEGIN READ ONLY; SET LOCAL statement_timeout = {ms}; SET LOCAL lock_timeout = {lock_ms};
    SET LOCAL idle_in_transaction_session_timeout = {ms}; SET LOCAL jit = off
"""


def open_session(target: PostgresTarget, timeout_s: float) -> "PostgresSession":
    """Connect; a full server is not an error. Raises ProbeError with `target_down` for every other failure."""
    return PostgresSession(target, timeout_s)


def read_answer(connection: Connection, query: Query[Any]) -> Any:
    """The answer to a query of PostgreSQL's own. Raises ProbeError for any other."""
    return reader_of(type(query))(connection, query)


def reader_of(kind: type[Query[Any]]) -> Reader:
    """
    `read_own_role` for `postgres.own-role`, from this package's module with the same name as the query's module.

    It is imported at its first query, because a run needs few of them. Raises ProbeError for other systems' queries.
    """
    package, _, module = kind.__module__.rpartition(".")
    if f"{package}.probe" != __package__:
        raise ProbeError(ProblemKind.UNSUPPORTED, f"the PostgreSQL probe does not answer {kind.name}")
    name = kind.name.partition(".")[2].replace("-", "_")
    reader: Reader = getattr(import_module(f"{__package__}.{module}"), f"read_{name}")
    return reader


@dataclass(eq=False)
class _Line:
    """One database: a connection while it is in use, and the lock of its users."""

    database: str | None
    connection: Connection | None = None
    users: int = 0
    turns: threading.Lock = field(default_factory=threading.Lock)

    def close(self) -> None:
        if self.connection is not None:
            self.connection.close()
            self.connection = None


class PostgresSession:
    """A connection to the dsn's database, reopened once when the server closed it, and some to other databases."""

    def __init__(self, target: PostgresTarget, timeout_s: float) -> None:
        self._dsn = target.dsn
        self._guard = threading.Lock()
        self._home = _Line(None)
        self._visits: dict[str, _Line] = {}
        """Connections to other databases: the ones in use, and the last one."""
        self._refusal: Refusal | None = None
        """The refusal of a full server: the answer to one query."""
        self._granted: dict[str, bool] = {}
        try:
            self._connect(self._home, own_deadline(timeout_s), timeout_s)
        except TooManyConnections as full:
            self._refusal = full.refusal

    def ask(self, query: Query[Any], timeout_s: float) -> Any:
        """The answer to `query`, by the reader that this package has for it. Raises ProbeError."""
        return self.read(query, read_answer, timeout_s)

    def read(self, query: Query[Any], reader: Reader, timeout_s: float) -> Any:
        """
        The result of `reader` for `query`; another system can answer its own queries with it.

        The reader runs in a read-only transaction that is rolled back, on the connection to the query's database, and
        once more after a reconnect. Raises ProbeError, also for the server's errors and at the time limit.
        """
        deadline = own_deadline(timeout_s)
        with self._line(query) as line, turn(line.turns, deadline, timeout_s):
            if self._refusal is None:
                try:
                    return self._read(partial(self._try, query, reader, line, deadline, timeout_s), line)
                except TooManyConnections as full:
                    self._refusal = full.refusal
            if isinstance(query, Sessions):
                return SessionsAnswer(refusal=self._refusal)
            text = f"the server has no connection left: {self._refusal.text}"
            raise ProbeError(ProblemKind.UNREACHABLE, text, target_down=True)

    def close(self) -> None:
        for line in (self._home, *self._visits.values()):
            line.close()

    @contextmanager
    def _line(self, query: Query[Any]) -> Iterator[_Line]:
        """The line to the query's database, which is not closed meanwhile. Unused lines are closed here."""
        database = query.database if isinstance(query, DatabaseQuery) else None
        home, idle = self._home.connection, []
        with self._guard:
            if database is None or (home is not None and home.info.dbname == database):
                line = self._home  # the database of the dsn
                line.users += 1
            else:
                line = self._visits.setdefault(database, _Line(database))
                line.users += 1
                idle = [self._visits.pop(name) for name, one in list(self._visits.items()) if not one.users]
        for one in idle:
            one.close()
        try:
            yield line
        finally:
            with self._guard:
                line.users -= 1

    def _read(self, attempt: Callable[[], Any], line: _Line) -> Any:
        used_before = line.connection
        try:
            return attempt()
        except ProbeError as error:
            # The server may have closed it: a restart, or a limit on idle sessions.
            if used_before is None or error.problem.kind is not ProblemKind.UNREACHABLE:
                raise
        return attempt()

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
            # The server is up: another connection to it is open.
            error.problem = msgspec.structs.replace(error.problem, target_down=False)
            raise

    def _connect(self, line: _Line, deadline: float, timeout_s: float) -> Connection:
        try:
            line.connection = connect(self._dsn.get_secret_value(), deadline, line.database)
        except TimeoutError:
            raise _silence(timeout_s, NO_CONNECTION) from None
        return line.connection

    def _require(self, connection: Connection, query: Query[Any]) -> None:
        """Verify the roles without which the answer would be wrong. Raises ProbeError with the GRANT."""
        for grant in query.needs if isinstance(query, ServerQuery) else ():
            if grant.role not in self._granted:
                statement = "SELECT pg_has_role(current_user, %s, 'USAGE')"
                self._granted[grant.role] = connection.execute(statement, (grant.role,)).fetchone() == (True,)
            if not self._granted[grant.role]:
                user = connection.info.user
                text = f"role {user} is not a member of {grant.role}: {grant.reason}"
                raise ProbeError(ProblemKind.DENIED, text, f"GRANT {grant.role} TO {identifier(user)}")


@contextmanager
def _cut_off(connection: Connection, deadline: float, late: threading.Event) -> Iterator[None]:
    """
    Shut the socket at the deadline, and set `late`: a silent server must not delay the run.

    The oldest supported psycopg has no timeout for a query.
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
    # In one message, to save round trips.
    connection.execute(_BEGIN.format(ms=milliseconds, lock_ms=milliseconds // 2 or 1))
    try:
        yield
    finally:
        if not connection.closed:
            connection.execute("ROLLBACK")


def _silence(timeout_s: float, advice: str = "") -> ProbeError:
    return ProbeError(ProblemKind.LATE, f"no answer in {timeout_s:g} s", advice, target_down=True)


def _problem(error: psycopg.Error, timeout_s: float) -> ProbeError:
    """The problem of an error during a query, by SQLSTATE, because messages are localised."""
    sqlstate = error.sqlstate or ""
    text = error.diag.message_primary or " ".join(str(error).split())
    if sqlstate == _CANCELLED:
        why = f"no answer within {timeout_s:g} s, the server canceled the query: {text}"
        return ProbeError(ProblemKind.LATE, why)
    if sqlstate == _LOCK_NOT_AVAILABLE:
        return ProbeError(ProblemKind.LATE, f"the query waited too long for a lock: {text}")
    if sqlstate == _PERMISSION_DENIED:
        return ProbeError(ProblemKind.DENIED, text)
    if sqlstate == _POOLER:
        advice = "name the server itself in the dsn, or a pool in session or transaction mode"
        return ProbeError(ProblemKind.UNREADABLE, f"a pooler is in the way: {text}", advice)
    if not sqlstate or sqlstate.startswith(_CONNECTION_LOST):
        return ProbeError(ProblemKind.UNREACHABLE, text, target_down=True)
    kind = ProblemKind.UNSUPPORTED if sqlstate.startswith(_UNKNOWN_TO_SERVER) else ProblemKind.UNREADABLE
    return ProbeError(kind, f"{text} (SQLSTATE {sqlstate})")
