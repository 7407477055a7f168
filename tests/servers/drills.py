"""Backups to restore, a server to restore them into, and what a drill may not leave behind."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from opscheck.demo.postgres import PostgreSQL
from opscheck.systems.postgres.programs import Installation, installations
from opscheck.systems.recovery.probe.drilling.cleanup import DATABASE_PREFIX
from tests.servers.fetching import cannot

SECRET = "geheim-4711"
ROWS = 1000
HANGS = "SELECT pg_sleep(120);"
_TABLES = """
    CREATE TABLE orders (id int PRIMARY KEY, note text, at timestamptz NOT NULL DEFAULT now());
    INSERT INTO orders SELECT n, 'geheim-4711-' || n, now() - interval '10 minutes' FROM generate_series(1, 1000) n;
    CREATE TABLE naive (at timestamp);
    INSERT INTO naive VALUES (now() AT TIME ZONE 'Europe/Berlin' - interval '10 minutes');
    CREATE TABLE empty (id int, at timestamptz);
    ALTER TABLE orders ENABLE ROW LEVEL SECURITY;
    CREATE POLICY own ON orders TO opscheck USING (note = 'nobody');
    GRANT SELECT ON orders TO opscheck;
    CREATE FUNCTION twice(n int) RETURNS int LANGUAGE sql AS $$ SELECT n * 2; $$;
"""
_SOON = 30.0


def plain(*statements: str, ending: str = "-- PostgreSQL database dump complete") -> str:
    """A plain dump with these statements in it, as pg_dump begins and ends one."""
    return "\n".join(["--", "-- PostgreSQL database dump", "--", "", *statements, "", "--", ending, "--", ""])


@dataclass(frozen=True)
class Shelf:
    """A folder of backups that real programs have made."""

    folder: Path

    def put(self, name: str, content: str | bytes) -> str:
        """One more; its key comes back."""
        (self.folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
        return name

    def read(self, name: str) -> bytes:
        """The bytes of one."""
        return (self.folder / name).read_bytes()


def fill(shelf: Path, server: PostgreSQL) -> None:
    """Dump a small database in every format."""
    with psycopg.connect(server.dsn("app")) as connection:
        connection.execute(_TABLES)
    of_version = f"{server.major}"
    for letter, ending in (("p", "sql"), ("c", "dump"), ("t", "tar"), ("d", "dir")):
        _dump(server, f"-F{letter}", f"--file={shelf / f'{of_version}.{ending}'}")
    _dump(server, "--create", "--clean", f"--file={shelf / f'{of_version}-create.sql'}")


def _dump(server: PostgreSQL, *words: str) -> None:
    program = server.programs / "bin" / "pg_dump"
    subprocess.run([program, *words, f"--dbname={server.dsn('postgres')}"], check=True, timeout=60)


@pytest.fixture(name="shelf", scope="session")
def shelf_of_backups() -> Iterator[Shelf]:
    # Not below pytest's own folder, which nobody else may enter.
    with tempfile.TemporaryDirectory(prefix="opscheck-shelf-") as name:
        folder = Path(name)
        for version in (16, 18):
            with PostgreSQL(version) as server:
                fill(folder, server)
        yield Shelf(folder)


def has_amcheck(programs: Path) -> bool:
    """Whether the server beside these programs has the extension amcheck."""
    program = programs / "pg_config"
    found = [program] if program.exists() else []
    share = [
        Path(subprocess.run([one, "--sharedir"], capture_output=True, text=True, check=True, timeout=10).stdout.strip())
        for one in found
    ]
    usual = Path("/usr/share/postgresql") / programs.parent.name
    return any((place / "extension" / "amcheck.control").exists() for place in (*share, usual))


@pytest.fixture(scope="session")
def server_that_verifies() -> Installation:
    """A PostgreSQL with pg_amcheck and its extension, which no wheel and no npm package has."""
    found = [
        one
        for one in installations("postgres", "initdb", "psql", "pg_restore", "pg_amcheck")
        if has_amcheck(one.folder)
    ]
    return found[0] if found else cannot("no PostgreSQL with amcheck is installed: apt-get install postgresql")


class ScratchServer:
    """A PostgreSQL with an empty database called drill_scratch, and a role that may make others."""

    def __init__(self, server: PostgreSQL) -> None:
        self.server = server
        with self.admin() as connection:
            connection.execute("CREATE ROLE drill LOGIN CREATEDB PASSWORD 'a/b@c drill'")
            connection.execute("CREATE DATABASE drill_scratch OWNER drill")
        self.dsn = f"postgresql://drill:a%2Fb%40c%20drill@127.0.0.1:{server.port}/drill_scratch"

    def admin(self, database: str = "postgres") -> psycopg.Connection:
        """A superuser's connection."""
        return psycopg.connect(self.server.dsn("postgres", database), autocommit=True)

    def databases(self) -> list[str]:
        """The databases that drills have made."""
        with self.admin() as connection:
            found = connection.execute("SELECT datname FROM pg_database")
            return [name for (name,) in found if name.startswith(DATABASE_PREFIX)]


@pytest.fixture(name="scratch", scope="session")
def scratch_server() -> Iterator[ScratchServer]:
    with PostgreSQL(16) as server:
        yield ScratchServer(server)


class Traces:
    """A folder for temporary files, in which a drill may leave none, nor a process that works there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def folders(self) -> list[Path]:
        """The drills' own folders."""
        return list(self.folder.glob("opscheck-drill-*"))

    def processes(self) -> list[int]:
        """The processes that have this folder on their command line, or work in it."""
        return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal() and self._is_in(entry)]

    def for_everybody(self) -> Path:
        """A folder in which whoever restores may write."""
        made = self.folder / "everybody"
        made.mkdir()
        made.chmod(0o777)
        return made

    def none_left(self) -> bool:
        """Whether there is neither."""
        return not self.folders() and not self.processes()

    def _is_in(self, process: Path) -> bool:
        with suppress(OSError):
            state = (process / "stat").read_text().rpartition(")")[2].split()[0]
            working = (process / "cwd").readlink().is_relative_to(self.folder)
            return state != "Z" and (working or os.fsencode(self.folder) in (process / "cmdline").read_bytes())
        return False


@pytest.fixture(name="traces")
def traces_of_drills(monkeypatch: pytest.MonkeyPatch) -> Iterator[Traces]:
    folder = Path(tempfile.mkdtemp(prefix="opscheck-traces-"))
    folder.chmod(0o755)
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    yield Traces(folder)
    shutil.rmtree(folder, ignore_errors=True)


def soon(holds: Callable[[], bool], within: float = _SOON) -> bool:
    """Whether it comes to hold."""
    ends = time.monotonic() + within
    while not holds():
        if time.monotonic() > ends:
            return False
        time.sleep(0.05)
    return True
