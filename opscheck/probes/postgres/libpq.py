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

from opscheck.queries.observation import ProbeError, ProblemKind
from opscheck.queries.postgres.base import identifier
from opscheck.queries.postgres.sessions import Refusal, RefusedBy

Connection: TypeAlias = psycopg.Connection[TupleRow]

TOO_MANY_CONNECTIONS = "53300"
_PERMISSION_DENIED = "42501"
_NO_SUCH_DATABASE = "3D000"
_BAD_IDENTITY = "28"  # the class of 28000 (pg_hba.conf, no such role) and 28P01 (password)

_POOLER = "08P01"  # PgBouncer's only code
_CHECK_USER = "check user and password of the dsn, and auth_file or auth_query of PgBouncer"
_POOLER_SAYS: tuple[tuple[str, ProblemKind, str], ...] = (
    ("not allowed", ProblemKind.DENIED, "add the user to stats_users in pgbouncer.ini, then RELOAD"),
    ("no such user", ProblemKind.DENIED, _CHECK_USER),
    ("authentication failed", ProblemKind.DENIED, _CHECK_USER),
    ("auth failed", ProblemKind.DENIED, _CHECK_USER),
    (
        "no such database",
        ProblemKind.UNSUPPORTED,
        "name a database of pgbouncer.ini in the dsn, or its console pgbouncer",
    ),
    ("is disabled", ProblemKind.UNREACHABLE, "ENABLE the database at PgBouncer's console"),
    ("no more connections allowed", ProblemKind.UNREACHABLE, "raise max_client_conn of PgBouncer, or end some clients"),
    ("shutting down", ProblemKind.UNREACHABLE, "wait until PgBouncer has restarted, or start it"),
)
# 57P03 while it starts, recovers or shuts down; 57P01 when an administrator ended it.
_WAIT = {
    "57P03": "look into the server's log: it starts, recovers, or shuts down; ask again when it takes connections",
    "57P01": "an administrator ended the connection; look whether the server is being restarted",
}

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
        return _no_server(message, needs_password=pgconn.needs_password)
    sqlstate, text = fatal[-1]
    role, database = pgconn.user.decode(errors="replace"), pgconn.db.decode(errors="replace")
    if sqlstate == TOO_MANY_CONNECTIONS:
        routine = (_ROUTINE.findall(message) or [""])[-1]
        by = _LIMIT_OF_ROUTINE.get(routine, RefusedBy.SERVER)
        return TooManyConnections(Refusal(text=text, by=by, role=role, database=database))
    return _refused(sqlstate, text, role, database)


def _refused(sqlstate: str, text: str, role: str, database: str) -> ProbeError:
    kind, advice = ProblemKind.UNREACHABLE, _WAIT.get(sqlstate, "")
    if sqlstate == _POOLER:
        return _refused_by_pooler(text)
    if sqlstate.startswith(_BAD_IDENTITY):
        kind, advice = ProblemKind.DENIED, "check user and password of the dsn, and pg_hba.conf on the server"
    elif sqlstate == _PERMISSION_DENIED:
        kind, advice = ProblemKind.DENIED, f"GRANT CONNECT ON DATABASE {identifier(database)} TO {identifier(role)}"
    elif sqlstate == _NO_SUCH_DATABASE:
        kind, advice = ProblemKind.UNSUPPORTED, "name an existing database in the dsn"
    return ProbeError(kind, f"the server refuses: {text} (SQLSTATE {sqlstate})", advice, target_down=True)


def _refused_by_pooler(text: str) -> ProbeError:
    """PgBouncer gives every refusal the same SQLSTATE; its words are never translated."""
    said = ((kind, advice) for words, kind, advice in _POOLER_SAYS if words in text)
    kind, advice = next(said, (ProblemKind.UNREACHABLE, "PgBouncer refused; its log says more"))
    return ProbeError(kind, f"PgBouncer refuses: {text} (SQLSTATE {_POOLER})", advice, target_down=True)


def _no_server(message: str, *, needs_password: bool) -> ProbeError:
    # The lines that start with a tab are libpq's guesses.
    lines = [line.strip() for line in message.splitlines() if line.strip() and not line.startswith("\t")]
    text = "; ".join(lines) or "the connection failed without a word"
    if needs_password:
        return ProbeError(ProblemKind.DENIED, text, "put the role's password into the dsn", target_down=True)
    return ProbeError(ProblemKind.UNREACHABLE, text, target_down=True)
