"""Reaching a PostgreSQL server within a deadline, or why it, or a pooler before it, does not let us in."""

import ctypes
import re
import sys
from collections.abc import Iterable
from selectors import EVENT_READ, EVENT_WRITE, DefaultSelector
from time import monotonic
from typing import Any, TypeAlias

import psycopg
from psycopg import pq
from psycopg.conninfo import make_conninfo
from psycopg.rows import TupleRow

from opscheck.core.observation import ProbeError, ProblemKind
from opscheck.systems.postgres.connections import Refusal, RefusedBy
from opscheck.systems.postgres.server import identifier

Connection: TypeAlias = psycopg.Connection[TupleRow]

TOO_MANY_CONNECTIONS = "53300"
NO_CONNECTION = "check whether the host is up, and whether a firewall drops what is sent to this port"
"""What to do where nobody answers at all."""

_VERBOSE = 2  # PQERRORS_VERBOSE
_FATAL = re.compile(r":  ([0-9A-Z]{5}): (.*)")
_ROUTINE = re.compile(r":  (\w+), \w+\.c:\d+$", re.MULTILINE)
# One SQLSTATE stands for three limits; which one it was, only the place in the server's source tells.
_LIMIT_OF_ROUTINE = {"InitializeSessionUserId": RefusedBy.ROLE, "CheckMyDatabase": RefusedBy.DATABASE}

_BAD_PASSWORD, _BAD_IDENTITY, _PERMISSION_DENIED = "28P01", "28000", "42501"
_NO_SUCH_DATABASE, _CLOSED_DATABASE = "3D000", "55000"
_NOT_NOW, _ENDED, _POOLER = "57P03", "57P01", "08P01"

# Who says 28000, by its place in the server's source: messages are localised.
_PG_HBA, _LOGIN = "ClientAuthentication", "InitializeSessionUserId"

_CHECK_USER = "check user and password of the dsn, and auth_file or auth_query of PgBouncer"
# PgBouncer has one code for everything, and never translates its words.
_POOLER_SAYS = (
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
    ("shutting down", ProblemKind.UNREACHABLE, "start PgBouncer again, or wait until it is"),
)
_NOT_NOW_SAYS = (
    ("starting up", "wait until it has started; its log tells what takes long"),
    ("shutting down", "find out who stops it, and start it again; its log tells what it waits for"),
    ("in recovery mode", "it recovers from a crash: its log tells from which, and how far it is"),
    ("accepting connections", "a standby that serves no reads, or none yet: set hot_standby = on, or name the primary"),
)
_NO_SERVER_SAYS = (
    (
        "root certificate file",
        ProblemKind.UNSUPPORTED,
        "put the authority's certificate where sslrootcert of the dsn names it",
    ),
    (
        "does not support SSL",
        ProblemKind.UNREACHABLE,
        "switch ssl on in the server, or ask for no TLS with sslmode in the dsn",
    ),
    (
        "certificate verify failed",
        ProblemKind.UNREACHABLE,
        "name the authority of the server's certificate with sslrootcert in the dsn, or have it issue a valid one",
    ),
    (
        "does not match host name",
        ProblemKind.UNREACHABLE,
        "reach the server by a name that its certificate has, or have one issued for the name in the dsn",
    ),
    (
        "Connection refused",
        ProblemKind.UNREACHABLE,
        "check host and port of the dsn, whether the server runs, and its listen_addresses",
    ),
    ("could not translate host name", ProblemKind.UNREACHABLE, "check the host of the dsn, and the name service"),
    (
        "No such file or directory",
        ProblemKind.UNREACHABLE,
        "check the socket's folder in the dsn, and whether the server runs",
    ),
    (
        "invalid response",
        ProblemKind.UNREACHABLE,
        "check host and port of the dsn: what listens there is no PostgreSQL",
    ),
    ("expected authentication", ProblemKind.UNREACHABLE, "check host and port of the dsn: this is no PostgreSQL"),
)


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
    routine = (_ROUTINE.findall(message) or [""])[-1]
    if sqlstate == TOO_MANY_CONNECTIONS:
        role, database = pgconn.user.decode(errors="replace"), pgconn.db.decode(errors="replace")
        by = _LIMIT_OF_ROUTINE.get(routine, RefusedBy.SERVER)
        return TooManyConnections(Refusal(text=text, by=by, role=role, database=database))
    if sqlstate == _POOLER:
        kind, advice = _by_words(_POOLER_SAYS, text, "look into the log of PgBouncer")
        return ProbeError(kind, f"PgBouncer refuses: {text} (SQLSTATE {_POOLER})", advice, target_down=True)
    kind, advice = _refused(pgconn, sqlstate, text, routine)
    return ProbeError(kind, f"the server refuses: {text} (SQLSTATE {sqlstate})", advice, target_down=True)


def _refused(pgconn: Any, sqlstate: str, text: str, routine: str) -> tuple[ProblemKind, str]:
    """What it means that the server itself refused. `routine` is the place in its source."""
    role, database = identifier(pgconn.user.decode(errors="replace")), identifier(pgconn.db.decode(errors="replace"))
    said = (advice for words, advice in _NOT_NOW_SAYS if words in text)
    not_now = next(said, "it starts, recovers or shuts down: its log tells which")
    return {
        _BAD_PASSWORD: (ProblemKind.DENIED, "check user and password of the dsn; the password may also have expired"),
        _BAD_IDENTITY: (ProblemKind.DENIED, _not_admitted(routine, role, encrypted=bool(pgconn.ssl_in_use))),
        _PERMISSION_DENIED: (ProblemKind.DENIED, f"GRANT CONNECT ON DATABASE {database} TO {role}"),
        _NO_SUCH_DATABASE: (ProblemKind.UNSUPPORTED, "name an existing database in the dsn"),
        _CLOSED_DATABASE: (ProblemKind.UNSUPPORTED, f"ALTER DATABASE {database} ALLOW_CONNECTIONS true"),
        _NOT_NOW: (ProblemKind.UNREACHABLE, not_now),
        _ENDED: (
            ProblemKind.UNREACHABLE,
            "an administrator ended the connection: look whether the server is being stopped",
        ),
    }.get(sqlstate, (ProblemKind.UNREACHABLE, ""))


def _no_server(message: str, *, needs_password: bool) -> ProbeError:
    """What libpq says where no server does."""
    # The lines that start with a tab are libpq's guesses.
    lines = [line.strip() for line in message.splitlines() if line.strip() and not line.startswith("\t")]
    text = "; ".join(lines) or "the connection failed without a word"
    if needs_password:
        return ProbeError(ProblemKind.DENIED, text, "put the role's password into the dsn", target_down=True)
    kind, advice = _by_words(_NO_SERVER_SAYS, text)
    return ProbeError(kind, text, advice, target_down=True)


def _not_admitted(routine: str, role: str, *, encrypted: bool) -> str:
    if routine == _LOGIN:
        return f"ALTER ROLE {role} LOGIN, or name another role in the dsn"
    if routine != _PG_HBA:
        return "check user and password of the dsn, and pg_hba.conf on the server"
    line = "add a line for this host, user and database to pg_hba.conf on the server"
    return line if encrypted else f"ask for TLS with sslmode=require in the dsn, as the server may demand; or {line}"


def _by_words(table: Iterable[tuple[str, ProblemKind, str]], text: str, otherwise: str = "") -> tuple[ProblemKind, str]:
    """The kind and the advice of the first entry whose words are in the text."""
    said = ((kind, advice) for words, kind, advice in table if words in text)
    return next(said, (ProblemKind.UNREACHABLE, otherwise))
