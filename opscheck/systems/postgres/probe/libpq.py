"""Reaching a PostgreSQL server: within a deadline, and with the server's own code for why it refuses."""

import ctypes
import re
import sys
from selectors import EVENT_READ, EVENT_WRITE, DefaultSelector
from time import monotonic
from typing import Any, TypeAlias

import psycopg
from psycopg import pq
from psycopg.conninfo import make_conninfo
from psycopg.rows import TupleRow

from opscheck.core.observation import ProbeError, ProblemKind
from opscheck.systems.postgres.connections import Refusal, RefusedBy
from opscheck.systems.postgres.probe.refusals import no_server, refused

Connection: TypeAlias = psycopg.Connection[TupleRow]

TOO_MANY_CONNECTIONS = "53300"

_VERBOSE = 2  # PQERRORS_VERBOSE
_FATAL = re.compile(r":  ([0-9A-Z]{5}): (.*)")
_ROUTINE = re.compile(r":  (\w+), \w+\.c:\d+$", re.MULTILINE)
# One SQLSTATE stands for three limits; which one it was, only the place in the server's source tells.
_LIMIT_OF_ROUTINE = {"InitializeSessionUserId": RefusedBy.ROLE, "CheckMyDatabase": RefusedBy.DATABASE}


class TooManyConnections(Exception):  # noqa: N818 - for one query it is no error but the answer
    """The server is there and has no connection left."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.text)
        self.refusal = refusal


def connect(dsn: str, deadline: float, database: str | None = None) -> Connection:
    """
    A connection in autocommit mode, by `deadline` on the monotonic clock; to the dsn's database, or to another one.

    psycopg's own `connect` rounds its time-out to whole seconds and loses the SQLSTATE of a server that refuses
    (psycopg issue 1188), so libpq is driven here. Of several hosts in a DSN each that refuses makes room for the
    next, but a silent one takes all the time.

    Raises TimeoutError, TooManyConnections, and ProbeError with `target_down` for every other reason.
    """
    pgconn = pq.PGconn.connect_start(_conninfo(dsn, database).encode())
    try:
        _ask_for_sqlstates(pgconn)
        _drive(pgconn, deadline)
    except BaseException:
        pgconn.finish()
        raise
    pgconn.nonblocking = 1  # what psycopg.Connection expects of it
    connection: Connection = psycopg.Connection(pgconn)
    connection.autocommit = True
    connection.prepare_threshold = None  # behind a pooler the next statement may meet another server process
    return connection


def _conninfo(dsn: str, database: str | None) -> str:
    other = {} if database is None else {"dbname": database}
    try:
        return make_conninfo(dsn, application_name="opscheck", client_encoding="UTF8", **other)
    except psycopg.Error:
        # Its text quotes the DSN, password and all.
        raise ProbeError(
            ProblemKind.UNSUPPORTED,
            "its dsn is neither a libpq connection string nor a URL",
            "write postgresql://user:password@host:5432/database, with odd characters percent-encoded",
            target_down=True,
        ) from None


def _ask_for_sqlstates(pgconn: Any) -> None:
    """
    Have libpq put the SQLSTATE into its error message; messages are localised, codes are not.

    psycopg has no call for it, but the library is reached through the extension module that is linked to it. Where
    it is not (psycopg without its C part), every refusal is told as "unreachable", with the server's text.
    """
    module = sys.modules[type(pgconn).__module__]
    try:
        set_verbosity = ctypes.CDLL(str(module.__file__)).PQsetErrorVerbosity
    except (OSError, AttributeError):
        return
    set_verbosity.argtypes, set_verbosity.restype = [ctypes.c_void_p, ctypes.c_int], ctypes.c_int
    set_verbosity(pgconn.pgconn_ptr, _VERBOSE)


def _drive(pgconn: Any, deadline: float) -> None:
    """Connect without ever waiting past the deadline. Raises TimeoutError, or why the server will not have us."""
    events = {pq.PollingStatus.READING: EVENT_READ, pq.PollingStatus.WRITING: EVENT_WRITE}
    while pgconn.status != pq.ConnStatus.BAD:
        status = pgconn.connect_poll()
        if status == pq.PollingStatus.OK:
            return
        if status not in events:
            break
        # A new selector each time: libpq opens another socket for the next address.
        with DefaultSelector() as selector:
            selector.register(pgconn.socket, events[status])
            if not selector.select(max(0.0, deadline - monotonic())):
                raise TimeoutError
    raise _why_not(pgconn)


def _why_not(pgconn: Any) -> Exception:
    message = pgconn.error_message.decode(errors="replace")
    fatal = _FATAL.findall(message)
    if not fatal:
        return no_server(message, needs_password=pgconn.needs_password)
    sqlstate, text = fatal[-1]
    role, database = pgconn.user.decode(errors="replace"), pgconn.db.decode(errors="replace")
    routine = (_ROUTINE.findall(message) or [""])[-1]
    if sqlstate == TOO_MANY_CONNECTIONS:
        by = _LIMIT_OF_ROUTINE.get(routine, RefusedBy.SERVER)
        return TooManyConnections(Refusal(text=text, by=by, role=role, database=database))
    encrypted = bool(pgconn.ssl_in_use)
    return refused(sqlstate, text, routine=routine, role=role, database=database, encrypted=encrypted)
