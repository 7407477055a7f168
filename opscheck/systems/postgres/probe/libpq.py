"""Connections to PostgreSQL with a deadline, and the reasons why a server or pooler refuses."""

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
NO_CONNECTION = "check that the host is up, and that no firewall drops packets to this port"
"""Advice where the server does not answer."""

_VERBOSE = 2  # PQERRORS_VERBOSE
_FATAL = re.compile(r":  ([0-9A-Z]{5}): (.*)")
_ROUTINE = re.compile(r":  (\w+), \w+\.c:\d+$", re.MULTILINE)
# One SQLSTATE for three limits; only the position in the server's source distinguishes them.
_LIMIT_OF_ROUTINE = {"InitializeSessionUserId": RefusedBy.ROLE, "CheckMyDatabase": RefusedBy.DATABASE}

_BAD_PASSWORD, _BAD_IDENTITY, _PERMISSION_DENIED = "28P01", "28000", "42501"
_NO_SUCH_DATABASE, _CLOSED_DATABASE = "3D000", "55000"
_NOT_NOW, _ENDED, _POOLER = "57P03", "57P01", "08P01"

# The origin of 28000, by its position in the server's source: messages are localised.
_PG_HBA, _LOGIN = "ClientAuthentication", "InitializeSessionUserId"

_CHECK_USER = "check user and password of the dsn, and auth_file or auth_query of PgBouncer"
# PgBouncer has one code for all errors, and does not translate its messages.
_POOLER_MESSAGES = (
    ("not allowed", ProblemKind.DENIED, "add the user to stats_users in pgbouncer.ini, then RELOAD"),
    ("no such user", ProblemKind.DENIED, _CHECK_USER),
    ("authentication failed", ProblemKind.DENIED, _CHECK_USER),
    ("auth failed", ProblemKind.DENIED, _CHECK_USER),
    (
        "no such database",
        ProblemKind.UNSUPPORTED,
        "name a database of pgbouncer.ini in the dsn, or its console, `pgbouncer`",
    ),
    ("is disabled", ProblemKind.UNREACHABLE, "ENABLE the database at PgBouncer's console"),
    ("no more connections allowed", ProblemKind.UNREACHABLE, "raise max_client_conn of PgBouncer, or end some clients"),
    ("shutting down", ProblemKind.UNREACHABLE, "start PgBouncer again, or wait until it is up"),
)
_NOT_NOW_MESSAGES = (
    ("starting up", "wait until it has started; its log shows the progress"),
    ("shutting down", "find out why it stops, and start it again; its log shows the progress"),
    ("in recovery mode", "it recovers from a crash; its log shows the cause and the progress"),
    ("accepting connections", "a standby that serves no reads, or not yet: set hot_standby = on, or name the primary"),
)
_NO_SERVER_MESSAGES = (
    (
        "root certificate file",
        ProblemKind.UNSUPPORTED,
        "store the CA certificate in the file that sslrootcert of the dsn names",
    ),
    (
        "does not support SSL",
        ProblemKind.UNREACHABLE,
        "enable ssl in the server, or disable TLS with sslmode in the dsn",
    ),
    (
        "certificate verify failed",
        ProblemKind.UNREACHABLE,
        "name the CA of the server's certificate with sslrootcert in the dsn, or have it issue a valid one",
    ),
    (
        "does not match host name",
        ProblemKind.UNREACHABLE,
        "use a host name of the certificate in the dsn, or have a certificate issued for the dsn's host name",
    ),
    (
        "Connection refused",
        ProblemKind.UNREACHABLE,
        "check host and port of the dsn, that the server runs, and its listen_addresses",
    ),
    ("could not translate host name", ProblemKind.UNREACHABLE, "check the host of the dsn, and DNS"),
    (
        "No such file or directory",
        ProblemKind.UNREACHABLE,
        "check the socket's folder in the dsn, and that the server runs",
    ),
    (
        "invalid response",
        ProblemKind.UNREACHABLE,
        "check host and port of the dsn: the server is not PostgreSQL",
    ),
    (
        "expected authentication",
        ProblemKind.UNREACHABLE,
        "check host and port of the dsn: the server is not PostgreSQL",
    ),
)


class TooManyConnections(Exception):  # noqa: N818 - for one query it is the answer, not an error
    """The server is up and has no connection left."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.text)
        self.refusal = refusal


def connect(dsn: str, deadline: float, database: str | None = None) -> Connection:
    """
    A connection in autocommit mode, by `deadline` on the monotonic clock, to the dsn's database or to `database`.

    psycopg's own `connect` rounds its timeout to whole seconds and loses the SQLSTATE of a refusal (psycopg issue
    1188), so libpq is driven here. With several hosts in a DSN, a host that refuses is followed by the next one, but a
    silent host takes all the time.

    Raises TimeoutError, TooManyConnections, and ProbeError with `target_down` for every other reason.
    """
    pgconn = pq.PGconn.connect_start(_conninfo(dsn, database).encode())
    try:
        _request_sqlstates(pgconn)
        _drive(pgconn, deadline)
    except BaseException:
        pgconn.finish()
        raise
    pgconn.nonblocking = 1  # psycopg.Connection expects it
    connection: Connection = psycopg.Connection(pgconn)
    connection.autocommit = True
    connection.prepare_threshold = None  # behind a pooler the next statement may meet another server process
    return connection


def _conninfo(dsn: str, database: str | None) -> str:
    other = {} if database is None else {"dbname": database}
    try:
        return make_conninfo(dsn, application_name="opscheck", client_encoding="UTF8", **other)
    except psycopg.Error:
        # Its text quotes the DSN with the password.
        raise ProbeError(
            ProblemKind.UNSUPPORTED,
            "its dsn is not a libpq connection string or URL",
            "write postgresql://user:password@host:5432/database, with special characters percent-encoded",
            target_down=True,
        ) from None


def _request_sqlstates(pgconn: Any) -> None:
    """
    Make libpq include the SQLSTATE in its error message; messages are localised, codes are not.

    psycopg has no call for it, but the extension module that is linked to the library gives access to it. Without that
    (psycopg without its C part), every refusal is reported as "unreachable", with the server's text.
    """
    module = sys.modules[type(pgconn).__module__]
    try:
        set_verbosity = ctypes.CDLL(str(module.__file__)).PQsetErrorVerbosity
    except (OSError, AttributeError):
        return
    set_verbosity.argtypes, set_verbosity.restype = [ctypes.c_void_p, ctypes.c_int], ctypes.c_int
    set_verbosity(pgconn.pgconn_ptr, _VERBOSE)


def _drive(pgconn: Any, deadline: float) -> None:
    """Connect by the deadline. Raises TimeoutError, or the reason of the refusal."""
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
        kind, advice = _by_words(_POOLER_MESSAGES, text, "see the log of PgBouncer")
        return ProbeError(kind, f"PgBouncer refuses: {text} (SQLSTATE {_POOLER})", advice, target_down=True)
    kind, advice = _refused(pgconn, sqlstate, text, routine)
    return ProbeError(kind, f"the server refuses: {text} (SQLSTATE {sqlstate})", advice, target_down=True)


def _refused(pgconn: Any, sqlstate: str, text: str, routine: str) -> tuple[ProblemKind, str]:
    """The problem kind and the advice of a server's refusal. `routine` is the position in its source."""
    role, database = identifier(pgconn.user.decode(errors="replace")), identifier(pgconn.db.decode(errors="replace"))
    matching = (advice for words, advice in _NOT_NOW_MESSAGES if words in text)
    not_now = next(matching, "it starts, recovers or shuts down; see its log")
    return {
        _BAD_PASSWORD: (ProblemKind.DENIED, "check user and password of the dsn; the password may also have expired"),
        _BAD_IDENTITY: (ProblemKind.DENIED, _not_admitted(routine, role, encrypted=bool(pgconn.ssl_in_use))),
        _PERMISSION_DENIED: (ProblemKind.DENIED, f"GRANT CONNECT ON DATABASE {database} TO {role}"),
        _NO_SUCH_DATABASE: (ProblemKind.UNSUPPORTED, "name an existing database in the dsn"),
        _CLOSED_DATABASE: (ProblemKind.UNSUPPORTED, f"ALTER DATABASE {database} ALLOW_CONNECTIONS true"),
        _NOT_NOW: (ProblemKind.UNREACHABLE, not_now),
        _ENDED: (
            ProblemKind.UNREACHABLE,
            "an administrator ended the connection: check if the server is being stopped",
        ),
    }.get(sqlstate, (ProblemKind.UNREACHABLE, ""))


def _no_server(message: str, *, needs_password: bool) -> ProbeError:
    """The problem of libpq's own error, without an answer of a server."""
    # The lines that start with a tab are libpq's guesses.
    lines = [line.strip() for line in message.splitlines() if line.strip() and not line.startswith("\t")]
    text = "; ".join(lines) or "the connection failed without a message"
    if needs_password:
        return ProbeError(ProblemKind.DENIED, text, "put the role's password into the dsn", target_down=True)
    kind, advice = _by_words(_NO_SERVER_MESSAGES, text)
    return ProbeError(kind, text, advice, target_down=True)


def _not_admitted(routine: str, role: str, *, encrypted: bool) -> str:
    if routine == _LOGIN:
        return f"ALTER ROLE {role} LOGIN, or name another role in the dsn"
    if routine != _PG_HBA:
        return "check user and password of the dsn, and pg_hba.conf on the server"
    line = "add a line for this host, user and database to pg_hba.conf on the server"
    return line if encrypted else f"request TLS with sslmode=require in the dsn, if the server requires it; or {line}"


def _by_words(table: Iterable[tuple[str, ProblemKind, str]], text: str, otherwise: str = "") -> tuple[ProblemKind, str]:
    """The kind and the advice of the first entry whose words are in the text."""
    matching = ((kind, advice) for words, kind, advice in table if words in text)
    return next(matching, (ProblemKind.UNREACHABLE, otherwise))
