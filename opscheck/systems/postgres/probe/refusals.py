"""Why a server, or a pooler before it, does not let us in, and what a person can do about it."""

from collections.abc import Iterable

from opscheck.core.observation import ProbeError, ProblemKind
from opscheck.systems.postgres.server import identifier

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
_NOT_NOW_OTHERWISE = "it starts, recovers or shuts down: its log tells which"
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

NO_CONNECTION = "check whether the host is up, and whether a firewall drops what is sent to this port"
"""What to do where nobody answers at all."""


def refused(  # noqa: PLR0913 - what a server says of it, by name
    sqlstate: str, text: str, *, routine: str, role: str, database: str, encrypted: bool
) -> ProbeError:
    """The server itself refused. `routine` is the place in its source; `encrypted`, whether the connection had TLS."""
    kind, advice = ProblemKind.UNREACHABLE, ""
    if sqlstate == _POOLER:
        return _refused_by_pooler(text)
    if sqlstate == _BAD_PASSWORD:
        kind, advice = ProblemKind.DENIED, "check user and password of the dsn; the password may also have expired"
    elif sqlstate == _BAD_IDENTITY:
        kind, advice = ProblemKind.DENIED, _not_admitted(routine, role, encrypted=encrypted)
    elif sqlstate == _PERMISSION_DENIED:
        kind, advice = ProblemKind.DENIED, f"GRANT CONNECT ON DATABASE {identifier(database)} TO {identifier(role)}"
    elif sqlstate == _NO_SUCH_DATABASE:
        kind, advice = ProblemKind.UNSUPPORTED, "name an existing database in the dsn"
    elif sqlstate == _CLOSED_DATABASE:
        kind, advice = ProblemKind.UNSUPPORTED, f"ALTER DATABASE {identifier(database)} ALLOW_CONNECTIONS true"
    elif sqlstate == _NOT_NOW:
        advice = _first(_NOT_NOW_SAYS, text) or _NOT_NOW_OTHERWISE
    elif sqlstate == _ENDED:
        advice = "an administrator ended the connection: look whether the server is being stopped"
    return ProbeError(kind, f"the server refuses: {text} (SQLSTATE {sqlstate})", advice, target_down=True)


def no_server(message: str, *, needs_password: bool) -> ProbeError:
    """What libpq says where no server does."""
    # The lines that start with a tab are libpq's guesses.
    lines = [line.strip() for line in message.splitlines() if line.strip() and not line.startswith("\t")]
    text = "; ".join(lines) or "the connection failed without a word"
    if needs_password:
        return ProbeError(ProblemKind.DENIED, text, "put the role's password into the dsn", target_down=True)
    said = ((kind, advice) for words, kind, advice in _NO_SERVER_SAYS if words in text)
    kind, advice = next(said, (ProblemKind.UNREACHABLE, ""))
    return ProbeError(kind, text, advice, target_down=True)


def _not_admitted(routine: str, role: str, *, encrypted: bool) -> str:
    if routine == _LOGIN:
        return f"ALTER ROLE {identifier(role)} LOGIN, or name another role in the dsn"
    if routine != _PG_HBA:
        return "check user and password of the dsn, and pg_hba.conf on the server"
    line = "add a line for this host, user and database to pg_hba.conf on the server"
    return line if encrypted else f"ask for TLS with sslmode=require in the dsn, as the server may demand; or {line}"


def _refused_by_pooler(text: str) -> ProbeError:
    said = ((kind, advice) for words, kind, advice in _POOLER_SAYS if words in text)
    kind, advice = next(said, (ProblemKind.UNREACHABLE, "look into the log of PgBouncer"))
    return ProbeError(kind, f"PgBouncer refuses: {text} (SQLSTATE {_POOLER})", advice, target_down=True)


def _first(said: Iterable[tuple[str, str]], text: str) -> str:
    return next((advice for words, advice in said if words in text), "")
