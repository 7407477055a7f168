"""A real PgBouncer before a PostgreSQL, whose pools can be exhausted, paused and disabled."""

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
import pytest
from psycopg.rows import dict_row

from opscheck.demo.closing import Closing
from opscheck.demo.credentials import password
from opscheck.demo.postgres import DATABASE, PostgreSQL
from opscheck.transport.processes import ServerFailed, ServerProcess, folder, free_port, wait_until
from tests.servers.cache import NotThere
from tests.servers.clients import Client
from tests.servers.fetching import cannot
from tests.servers.stores import debian

CONSOLE = "pgbouncer"
"""The name of the database that is none, but PgBouncer's console."""

_ADMIN = "bouncer_admin"
_UNPRIVILEGED = "nobody"
_ATTEMPTS = 3
_WITHIN = 20


@pytest.fixture(scope="session")
def pgbouncer_program() -> Path:
    """Debian's pgbouncer; the test is skipped, or fails where it must not be, when there is none."""
    try:
        return debian() / "pgbouncer"
    except NotThere as why:
        cannot(str(why))


class PgBouncer(Closing):
    """
    Pools connections to `integration_db`, as `app` and as each of `databases`: a name, and what it connects to.

    Its console takes `bouncer_admin` (may do everything) and `opscheck` (may only SHOW, but not all). Like
    PostgreSQL it does not run as root. Raises ServerFailed.
    """

    def __init__(
        self,
        server: PostgreSQL,
        executable: Path,
        *,
        pool_size: int = 2,
        mode: str = "transaction",
        databases: Mapping[str, str] | None = None,
        **settings: str,
    ) -> None:
        self._server = server
        self._executable = executable
        self.pool_size = pool_size
        self._databases = {DATABASE: f"dbname={DATABASE}"} | dict(databases or {})
        self._settings = {"default_pool_size": str(pool_size), "pool_mode": mode, **settings}
        self._admin = password()
        self._user = _UNPRIVILEGED if os.geteuid() == 0 else None
        self._process: ServerProcess | None = None
        self._folder = folder()
        try:
            self._start_somewhere()
        except BaseException:
            self.close()
            raise

    def dsn(self, role: str = "opscheck", database: str = CONSOLE) -> str:
        """A URL to connect with: to the console, or through a pool to a database."""
        secret = self._admin if role == _ADMIN else self._server._passwords[role]
        return f"postgresql://{role}:{quote(secret, safe='')}@127.0.0.1:{self.port}/{database}"

    def say(self, command: str) -> list[dict[str, Any]]:
        """What the console answers its administrator: `PAUSE integration_db`, `SHOW POOLS`."""
        with psycopg.connect(self.dsn(_ADMIN), autocommit=True, row_factory=dict_row) as connection:
            cursor = connection.execute(command)
            return cursor.fetchall() if cursor.description else []

    def pause(self, database: str = DATABASE) -> None:
        """Let nobody reach the database any more: clients wait."""
        self.say(f"PAUSE {database}")

    def resume(self, database: str = DATABASE) -> None:
        """The other way round."""
        self.say(f"RESUME {database}")

    def disable(self, database: str = DATABASE) -> None:
        """Refuse new clients of the database."""
        self.say(f"DISABLE {database}")

    def enable(self, database: str = DATABASE) -> None:
        """The other way round."""
        self.say(f"ENABLE {database}")

    def pool(self, database: str = DATABASE, role: str = "app") -> dict[str, Any]:
        """A row of SHOW POOLS; empty where nobody has asked for the pool yet."""
        rows = (row for row in self.say("SHOW POOLS") if (row["database"], row["user"]) == (database, role))
        return next(rows, {})

    @contextmanager
    def waiting_clients(self, waiting: int = 1, database: str = DATABASE) -> Iterator[list[Client]]:
        """Each connection of the pool is in a transaction of a client, and so many more clients wait for one."""
        with ExitStack() as opened:
            for _ in range(self.pool_size):
                self._connect(opened, "holder", database).do("BEGIN", "SELECT 1")
            waiters = [self._connect(opened, f"waiter-{number}", database) for number in range(1, waiting + 1)]
            for one in waiters:
                one.begin_to("SELECT 1")
            wait_until(lambda: self.pool(database).get("cl_waiting") == waiting, _WITHIN, "nobody waits")
            yield waiters

    def close(self) -> None:
        """Stop, and delete its folder. May be called twice."""
        if self._process is not None:
            self._process.stop()
        self._folder.cleanup()

    def _connect(self, opened: ExitStack, application: str, database: str) -> Client:
        connection = psycopg.connect(self.dsn("app", database), application_name=application, autocommit=True)
        return Client(opened.enter_context(closing(connection)))  # its own way out would say COMMIT first

    def _start_somewhere(self) -> None:
        """Start on a free port; somebody may take it first, so try again with another."""
        home = Path(self._folder.name)
        for attempt in range(1, _ATTEMPTS + 1):
            self.port = free_port()
            command = [self._executable, self._configuration(home)]
            self._process = ServerProcess("PgBouncer", command, home / "log", user=self._user)
            try:
                self._process.wait_until(self._answers)
            except ServerFailed:
                self._process.stop()
                if attempt == _ATTEMPTS:
                    raise
            else:
                return

    def _answers(self) -> bool:
        try:
            return bool(self.say("SHOW VERSION"))
        except psycopg.OperationalError:
            return False

    def _configuration(self, home: Path) -> Path:
        settings = {
            "listen_addr": "127.0.0.1",
            "listen_port": str(self.port),
            "unix_socket_dir": "",
            "auth_type": "scram-sha-256",
            "auth_file": str(home / "users"),
            "admin_users": _ADMIN,
            "stats_users": "opscheck",
            **self._settings,
        }
        where = f"host=127.0.0.1 port={self._server.port}"
        lines = ["[databases]", *(f"{name} = {where} {more}" for name, more in self._databases.items())]
        lines += ["[pgbouncer]", *(f"{name} = {value}" for name, value in settings.items())]
        users = {_ADMIN: self._admin, **self._server._passwords}
        self._write(home / "users", [f'"{name}" "{secret}"' for name, secret in users.items()])
        return self._write(home / "pgbouncer.ini", lines)

    def _write(self, path: Path, lines: list[str]) -> Path:
        path.touch(mode=0o600)
        path.write_text("".join(f"{line}\n" for line in lines))
        if self._user:
            shutil.chown(path, self._user)
        return path
