"""A real pgBackRest that backs up a real server to repositories of its own."""

import functools
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from opscheck.demo.postgres import PostgreSQL
from opscheck.transport.processes import folder, give, group_of, unprivileged_user
from tests.servers.cache import NotThere
from tests.servers.debian import find_debian
from tests.servers.embedded import find_postgres
from tests.servers.fetching import cannot
from tests.servers.stores import runnable

STANZA = "main"
# Debian's 2.45 knows no newer one.
_NEWEST_KNOWN = 15
_DEBIANS = Path("/usr/lib/postgresql") / str(_NEWEST_KNOWN)
_TAKES_AT_MOST = 120


@functools.cache
def find_pgbackrest() -> Path:
    """Debian's pgbackrest, which anybody may run. Raises NotThere."""
    return runnable(find_debian("pgbackrest")) / "bin" / "pgbackrest"


@functools.cache
def find_server() -> Path:
    """A PostgreSQL that this pgBackRest knows: the machine's, or the one that was fetched. Raises NotThere."""
    if (_DEBIANS / "bin" / "initdb").exists():
        return _DEBIANS
    return runnable(find_postgres()[_NEWEST_KNOWN])


@pytest.fixture(scope="session")
def pgbackrest_programs() -> tuple[Path, Path]:
    """Debian's pgbackrest and a server for it; the test is skipped, or fails where it must not be, without one."""
    try:
        return find_pgbackrest(), find_server()
    except NotThere as why:
        return cannot(str(why))


class PgBackRest:
    """A stanza `main` with two repositories. What it says in the words of a shell is `command`."""

    def __init__(self, program: Path, server: PostgreSQL, place: Path) -> None:
        self.server = server
        self.place = place
        self.file = place / "pgbackrest.conf"
        self.command = f"{program} --config={self.file}"
        self._user = unprivileged_user()
        self._password = str(conninfo_to_dict(server.dsn("postgres"))["password"])

    def repository(self, number: int) -> Path:
        """The folder of one of its repositories."""
        return self.place / f"repository-{number}"

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run it as the server's user, as a cron job would."""
        return self._run([*self.command.split(), f"--stanza={STANZA}", *words], {})

    def _good(self, words: list[str], environment: dict[str, str]) -> str:
        done = self._run(words, environment)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def _run(self, words: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            words,
            env=os.environ | {"PGPASSWORD": self._password} | environment,
            capture_output=True,
            text=True,
            timeout=_TAKES_AT_MOST,
            check=False,
            user=self._user,
            group=group_of(self._user),
            extra_groups=[] if self._user else None,
        )

    def good(self, *words: str) -> None:
        """Run it, and see it succeed."""
        done = self.run(*words)
        assert done.returncode == 0, done.stdout + done.stderr

    def back_up(self, kind: str = "full", repository: int = 1) -> None:
        """Make a backup."""
        self.good("backup", f"--type={kind}", f"--repo={repository}")

    def type_in(self, command: str) -> str:
        """Have a shell run a command in which pgBackRest is called by its name alone, and see it succeed."""
        programs = self.place / "bin"
        programs.mkdir(exist_ok=True)
        (programs / "pgbackrest").write_text(f'#!/bin/sh\nexec {self.command} "$@"\n')
        (programs / "pgbackrest").chmod(0o755)
        path = f"{programs}:{os.environ['PATH']}"
        return self._good(["sh", "-ec", command], {"PATH": path})

    def break_archive(self) -> None:
        """From now on no WAL reaches the repositories."""
        with psycopg.connect(self.server.dsn("postgres", "postgres"), autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET archive_command = 'false pgbackrest'")
            connection.execute("SELECT pg_reload_conf()")


@contextmanager
def backed_up(programs: tuple[Path, Path]) -> Iterator[PgBackRest]:
    """A server whose WAL pgBackRest archives, and of which it has no backup yet."""
    program, installation = programs
    made = folder()
    place = Path(made.name)
    file = place / "pgbackrest.conf"
    archive = f"{program} --config={file} --stanza={STANZA} archive-push %p"
    for name in ("repository-1", "repository-2", "log", "lock", "spool", "socket"):
        (place / name).mkdir()
    give(place, unprivileged_user())
    settings = {"archive_mode": "on", "archive_command": archive, "unix_socket_directories": str(place / "socket")}
    try:
        with PostgreSQL(programs=installation, **settings) as server:
            file.write_text(_configuration(place, server))
            backrest = PgBackRest(program, server, place)
            backrest.good("stanza-create")
            yield backrest
            if server.pid is not None:
                backrest.break_archive()  # it would try for seconds before the server ends
    finally:
        made.cleanup()


def _configuration(place: Path, server: PostgreSQL) -> str:
    return f"""\
[global]
repo1-path={place}/repository-1
repo2-path={place}/repository-2
log-path={place}/log
lock-path={place}/lock
spool-path={place}/spool
log-level-console=warn
start-fast=y
archive-timeout=5
compress-level=1

[{STANZA}]
pg1-path={server.data}
pg1-port={server.port}
pg1-socket-path={place}/socket
pg1-user=postgres
pg1-database=postgres
"""
