"""The place of a restore: the drill's own server, or its own database on a scratch server."""

import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from opscheck.core.observation import ProbeError, ProblemKind
from opscheck.systems.postgres.probe.libpq import Connection, TooManyConnections, connect
from opscheck.systems.postgres.programs import HOW_TO_GET, Installation, installations
from opscheck.systems.recovery.probe.drilling.cleanup import drop_database
from opscheck.systems.recovery.probe.drilling.errors import unsupported
from opscheck.systems.recovery.probe.drilling.programs import SERVICE, Programs, write_service
from opscheck.transport.processes import ServerFailed, ServerProcess, free_port, give, unprivileged_user

_ADMIN, _RESTORER, _DATABASE = "opscheck_admin", "opscheck_restorer", "restored"
_LONGEST_SOCKET = 100  # a socket's path may have 107 bytes, and that of its lock is longer
_STARTS_WITHIN_S = 60.0
_CONNECTS_WITHIN_S = 10.0
_ADMIN_SERVICE = "admin"
# The server is removed after the drill: it need not survive a power failure.
_SETTINGS = {
    "autovacuum": "off",
    "checkpoint_timeout": "1d",
    "fsync": "off",
    "full_page_writes": "off",
    "lc_messages": "C",
    "logging_collector": "off",
    "maintenance_work_mem": "256MB",
    "max_connections": "20",
    "max_wal_senders": "0",
    "max_wal_size": "256MB",
    "shared_buffers": "128MB",
    "synchronous_commit": "off",
    "wal_level": "minimal",
}


@dataclass(frozen=True)
class Settings:
    """The settings of a new database."""

    encoding: str
    time_zone: str
    """The zone of times without a zone."""


@dataclass(frozen=True)
class Scratch:
    """An empty database to restore into."""

    programs: Programs
    dsn: str
    """The DSN of the role that restores, which owns the database and has no other privileges."""
    admin_dsn: str
    """The DSN of a role that may create extensions in it; the same without another role."""
    admin_service: str
    """The service name of that DSN."""
    version: str
    """The server's version, `16.14`."""

    @property
    def major(self) -> int:
        """Its major version."""
        return int(self.version.partition(".")[0])


def newest_with(*programs: str) -> Installation:
    """The newest installation with these programs. Raises ProbeError without one."""
    found = installations(*programs)
    if not found:
        raise unsupported(f"no PostgreSQL with {', '.join(programs)} is installed here", HOW_TO_GET)
    return found[0]


@contextmanager
def own_server(programs: Programs, settings: Settings) -> Iterator[Scratch]:
    """A server in the drill's folder, until the `with` ends. Raises ProbeError when it does not start."""
    folder, where = programs.folder, _address(programs.folder)
    passwords = {role: secrets.token_urlsafe(24) for role in (_ADMIN, _RESTORER)}

    def parameters(role: str, database: str = _DATABASE) -> dict[str, Any]:
        return {**where, "user": role, "password": passwords[role], "dbname": database}

    with ExitStack() as started:
        try:
            _initdb(programs, passwords[_ADMIN])
            server = _start(programs, where)
            started.callback(server.stop)
            admin = make_conninfo("", **parameters(_ADMIN, "postgres"))
            server.wait_until(lambda: _accepts_connections(admin), within=_STARTS_WITHIN_S)
        except ServerFailed as error:
            raise unsupported(f"the drill's own server does not start: {error}") from None
        _make_database(admin, passwords[_RESTORER], settings)
        write_service(folder, parameters(_RESTORER))
        write_service(folder, parameters(_ADMIN), _ADMIN_SERVICE)
        yield Scratch(
            programs,
            dsn=make_conninfo("", **parameters(_RESTORER)),
            admin_dsn=make_conninfo("", **parameters(_ADMIN)),
            admin_service=_ADMIN_SERVICE,
            version=programs.installation.version,
        )


def _initdb(programs: Programs, password: str) -> None:
    folder = programs.folder
    secret = folder / "superuser"
    secret.touch(mode=0o600)
    secret.write_text(password)
    give(secret, unprivileged_user())
    how = ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync"]
    made = programs.run("initdb", *how, f"--pgdata={folder / 'data'}", f"--username={_ADMIN}", f"--pwfile={secret}")
    secret.unlink()
    if made.returncode != 0:
        raise ServerFailed(f"initdb ended with {made.returncode}: {' '.join(made.stderr.split())[-300:]}")
    with (folder / "data" / "postgresql.conf").open("a") as file:
        file.write("".join(f"{name} = '{value}'\n" for name, value in _SETTINGS.items()))


def _address(folder: Path) -> dict[str, Any]:
    """The address of the server: a private socket, or loopback when its path is too long."""
    if len(str(folder)) + len("/.s.PGSQL.5432") <= _LONGEST_SOCKET:
        return {"host": str(folder), "port": 5432}
    return {"host": "127.0.0.1", "port": free_port()}


def _start(programs: Programs, where: dict[str, Any]) -> ServerProcess:
    socket = where["host"].startswith("/")
    listens = {
        "listen_addresses": "" if socket else where["host"],
        "port": where["port"],
        "unix_socket_directories": where["host"] if socket else "",
        "unix_socket_permissions": "0700",
    }
    words = [word for name, value in listens.items() for word in ("-c", f"{name}={value}")]
    command = programs.command("postgres", "-D", programs.folder / "data", *words)
    return ServerProcess("PostgreSQL", command, programs.folder / "log", user=unprivileged_user())


def _accepts_connections(dsn: str) -> bool:
    with suppress(ProbeError, TimeoutError, TooManyConnections):
        connect(dsn, time.monotonic() + _CONNECTS_WITHIN_S).close()
        return True
    return False


def _make_database(admin: str, password: str, settings: Settings) -> None:
    """A database, and its owner without superuser rights: a dump is untrusted data, and runs as code."""
    with connect(admin, time.monotonic() + _CONNECTS_WITHIN_S) as connection:
        role, database = sql.Identifier(_RESTORER), sql.Identifier(_DATABASE)
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN BYPASSRLS PASSWORD {}").format(role, sql.Literal(password)))
        connection.execute(_created(_DATABASE, settings))
        connection.execute(sql.SQL("ALTER DATABASE {} OWNER TO {}").format(database, role))
        _set_time_zone(connection, _DATABASE, settings.time_zone)
    with connect(admin, time.monotonic() + _CONNECTS_WITHIN_S, _DATABASE) as connection:
        connection.execute(sql.SQL("ALTER SCHEMA public OWNER TO {}").format(role))


def _created(database: str, settings: Settings) -> sql.Composed:
    """The locale C allows any encoding on any server."""
    statement = "CREATE DATABASE {} TEMPLATE template0 ENCODING {} LC_COLLATE 'C' LC_CTYPE 'C'"
    return sql.SQL(statement).format(sql.Identifier(database), sql.Literal(settings.encoding))


def _set_time_zone(connection: Connection, database: str, time_zone: str) -> None:
    statement = sql.SQL("ALTER DATABASE {} SET timezone TO {}")
    connection.execute(statement.format(sql.Identifier(database), sql.Literal(time_zone)))


@contextmanager
def scratch_database(
    programs: Programs, dsn: str, database: str, settings: Settings, on_created: Callable[[], None]
) -> Iterator[Scratch]:
    """The drill's own database on a scratch server, until the `with` ends. Raises ProbeError."""
    connection = _connected(dsn)
    with connection:
        require_scratch(connection)
        major, minor = divmod(connection.info.server_version, 10000)
    on_created()
    try:
        with _connected(dsn) as connection, _as_problem("make a database on the scratch server"):
            connection.execute(_created(database, settings))
        with _connected(dsn) as connection, _as_problem("prepare its database"):
            _set_time_zone(connection, database, settings.time_zone)
            password = connection.info.password
        own = make_conninfo(dsn, dbname=database)
        write_service(programs.folder, {**conninfo_to_dict(own), **({"password": password} if password else {})})
        yield Scratch(programs, own, own, SERVICE, f"{major}.{minor}")
    finally:
        dropped = drop_database(dsn, database)
    if not dropped:
        raise ProbeError(
            ProblemKind.UNREACHABLE,
            f"the drill's database {database} is still on the scratch server: it could not be dropped",
            f'DROP DATABASE "{database}"',
        )


def require_scratch(connection: Connection) -> None:
    """Raise ProbeError unless this database is named scratch and is empty: otherwise it is the wrong server."""
    name = connection.info.dbname
    if "scratch" not in name.lower():
        raise unsupported(
            f"the database {name} is not named scratch: nothing is restored on a server that may be in use",
            "name a database with `scratch` in its name, which is empty, in the dsn of the scratch server",
        )
    found = _relation(connection)
    if found is not None:
        raise unsupported(
            f"the database {name} is not empty: {found} is in it, and nothing is restored on a server that is used",
            "name an empty database in the dsn of the scratch server",
        )


def has_relations(scratch: Scratch) -> bool:
    """True when it contains a table, a view or a sequence. Raises ProbeError."""
    with _connected(scratch.dsn) as connection:
        return _relation(connection) is not None


def _relation(connection: Connection) -> str | None:
    row = connection.execute(_RELATIONS).fetchone()
    return row[0] if row is not None else None


_RELATIONS = """
    SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'm', 'v', 'S', 'f') AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
      AND NOT EXISTS (SELECT FROM pg_depend d
                      WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
    ORDER BY 1 LIMIT 1
"""


def _connected(dsn: str) -> Connection:
    try:
        return connect(dsn, time.monotonic() + _CONNECTS_WITHIN_S)
    except TimeoutError:
        text = f"the scratch server does not answer in {_CONNECTS_WITHIN_S:g} s"
        raise ProbeError(ProblemKind.LATE, text) from None
    except TooManyConnections as full:
        raise ProbeError(ProblemKind.UNREACHABLE, f"the scratch server is full: {full.refusal.text}") from None


@contextmanager
def _as_problem(what: str) -> Iterator[None]:
    try:
        yield
    except psycopg.Error as error:
        denied = error.sqlstate == "42501"
        kind = ProblemKind.DENIED if denied else ProblemKind.UNREADABLE
        message = error.diag.message_primary or "the connection is lost"
        advice = "GRANT it: ALTER ROLE … CREATEDB" if denied else ""
        raise ProbeError(kind, f"a drill cannot {what}: {message}", advice) from None
