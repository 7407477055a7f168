"""Real dumps: of each server that is tested on, by pg_dump, in every format and packed in every way."""

import bz2
import gzip
import lzma
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property, partial
from pathlib import Path
from urllib.parse import unquote, urlsplit

import lz4.frame
import psycopg
import pytest

from opscheck.demo.postgres import PostgreSQL
from opscheck.systems.postgres.programs import Installation, installations
from tests.servers.fetching import cannot

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

DATABASE = "dumped"
SECRET = "geheime-zeile"
"""What stands in every row, so that a test can tell whether one got out."""

ROWS = 4000
PACKINGS: Mapping[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "zstd": zstd.compress,
    "xz": partial(lzma.compress, preset=0),
    "bzip2": bz2.compress,
    "lz4": lz4.frame.compress,
}
_TAKES_AT_MOST = 60
_TABLES = (
    "CREATE TABLE orders (id int PRIMARY KEY, note text)",
    f"INSERT INTO orders SELECT n, '{SECRET}-' || md5(n::text) FROM generate_series(1, {ROWS}) n",  # noqa: S608 - all of it is ours
    "CREATE TABLE customers (id int PRIMARY KEY, name text)",
    f"INSERT INTO customers SELECT n, '{SECRET}-' || n FROM generate_series(1, 10) n",  # noqa: S608 - as above
    f"SELECT lo_from_bytea(0, convert_to(repeat('{SECRET}', 500), 'UTF8'))",
)


@dataclass(frozen=True)
class Dumps:
    """What pg_dump of one version makes of a database of one server; each made once."""

    server: PostgreSQL
    programs: Installation

    @cached_property
    def plain(self) -> bytes:
        """SQL."""
        return self._dumped("--format=plain")

    @cached_property
    def custom(self) -> bytes:
        """The custom format, whose tables are compressed."""
        return self._dumped("--format=custom")

    @cached_property
    def uncompressed(self) -> bytes:
        """The custom format, whose tables are not."""
        return self._dumped("--format=custom", "--compress=0")

    @cached_property
    def tar(self) -> bytes:
        """The tar format."""
        return self._dumped("--format=tar")

    @cached_property
    def cluster(self) -> bytes:
        """All databases, by pg_dumpall."""
        return self._ran("pg_dumpall", "--no-role-passwords", "--database=postgres")

    def directory(self, to: Path) -> dict[str, bytes]:
        """The directory format: its files by name."""
        self._ran("pg_dump", "--format=directory", f"--file={to}", DATABASE)
        return {file.name: file.read_bytes() for file in sorted(to.iterdir())}

    def each_format(self) -> dict[str, bytes]:
        """Those that are one file, by name."""
        return {"plain": self.plain, "custom": self.custom, "tar": self.tar, "cluster": self.cluster}

    def _dumped(self, *options: str) -> bytes:
        return self._ran("pg_dump", *options, DATABASE)

    def _ran(self, program: str, *options: str) -> bytes:
        address = urlsplit(self.server.dsn("postgres", DATABASE))
        where = [f"--host={address.hostname}", f"--port={address.port}", f"--username={address.username}"]
        return subprocess.run(
            [self.programs.program(program), "--no-password", *where, *options],
            env={"PGPASSWORD": unquote(address.password or ""), "TZ": "UTC", "LC_ALL": "C"},
            capture_output=True,
            timeout=_TAKES_AT_MOST,
            check=True,
        ).stdout


@cache
def dumps_of(server: PostgreSQL, programs: Installation) -> Dumps:
    """The dumps of a server, whose database is made where it is not there yet."""
    with psycopg.connect(server.dsn("postgres", "postgres"), autocommit=True) as connection:
        if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone():
            return Dumps(server, programs)
        connection.execute(f"CREATE DATABASE {DATABASE}")
    with psycopg.connect(server.dsn("postgres", DATABASE), autocommit=True) as connection:
        for statement in _TABLES:
            connection.execute(statement)
    return Dumps(server, programs)


def dumpers(major: int) -> list[Installation]:
    """Each pg_dump of this machine that can dump a server of that version, the newest first, one of each version."""
    found = {one.major: one for one in reversed(installations("pg_dump", "pg_dumpall", "pg_restore"))}
    return [found[one] for one in sorted(found, reverse=True) if one >= major]


@pytest.fixture(scope="session")
def dumps(cluster: PostgreSQL) -> Dumps:
    """The dumps of each server that is tested on, by the newest pg_dump."""
    found = dumpers(cluster.major)
    if not found:
        cannot(f"there is no pg_dump of PostgreSQL {cluster.major} or newer")
    return dumps_of(cluster, found[0])


@pytest.fixture
def only_pg_restore(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Lets opscheck find one pg_restore, which is this script."""

    def only(script: str) -> None:
        folder = tmp_path / "programs"
        folder.mkdir(exist_ok=True)
        program = folder / "pg_restore"
        program.write_text(script)
        program.chmod(0o755)
        monkeypatch.setenv("OPSCHECK_POSTGRES_PROGRAMS", str(folder))

    return only


def has(*programs: str) -> bool:
    """Whether these programs are on this machine."""
    return all(shutil.which(program) for program in programs)
