"""A dump of two gigabytes read to its end, compared with programs that verify the same."""

import hashlib
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import psycopg
from cluster import Missing
from measure import Command, Median, Took, medians, run_well
from table import Line, megabytes, not_measured, ratio
from workspace import Workspace, workspace

from opscheck.core.units import format_bytes
from opscheck.demo.postgres import DATABASE, PostgreSQL
from opscheck.systems.postgres.programs import HOW_TO_GET, Installation, installations
from tests.servers.cache import NotThere, cached, make_once

_ROWS, _TINY_ROWS = 4_500_000, 10
_ROW = "encode(sha512((n || 'a')::bytea) || sha512((n || 'b')::bytea) || sha512((n || 'c')::bytea), 'hex')"
_FILL = f"""
    CREATE TABLE events (id bigint, payload text);
    INSERT INTO events SELECT n, {_ROW} || md5(n::text) || md5(n::text || 'x') FROM generate_series(1, %s) n
"""  # noqa: S608 - all of it is ours
_VERSION = 2
_MAKING_TAKES_AT_MOST = 20 * 60.0
_MOST_MEMORY = 100 * 10**6
_RUNS = 2
_SQL, _DUMP = "20260301-020000.sql.gz", "20260301-020000.dump"


@dataclass(frozen=True)
class _Dumps:
    """The same database twice, and one with next to nothing in it."""

    folder: Path
    programs: Installation
    """The newest client programs, with which opscheck reads too."""

    @property
    def large(self) -> Path:
        return self.folder / "large"

    @property
    def tiny(self) -> Path:
        return self.folder / "tiny"

    @property
    def unpacked(self) -> int:
        """Its size as SQL in bytes."""
        return int((self.folder / "unpacked").read_text())


def two_gigabytes(runs: int) -> Iterable[Line]:
    """Throughput and peak memory of a full verification, of packed SQL and of the custom format."""
    what = "a full verification of a dump that unpacks to 2 GB"
    try:
        dumps = _made()
        programs = {name: _program(name) for name in ("gzip", "sha256sum", "tail", "grep")}
    except (Missing, NotThere) as why:
        yield not_measured(what, why)
        return
    what = f"a full verification of a dump that unpacks to {format_bytes(dumps.unpacked)}"
    with workspace() as place:
        gzip = programs["gzip"]
        sql, dump = dumps.large / _SQL, dumps.large / _DUMP
        tail = f"{gzip} -dc {sql} | tail -n 12 | grep -q 'dump complete'"
        yield _line(f"{what}, SQL in gzip", place, dumps, _SQL, f"{gzip} -t {sql}", f"{gzip} -t {sql} && {tail}", runs)
        restore = f"{dumps.programs.program('pg_restore')} -f /dev/null"
        yield _line(f"{what}, custom format", place, dumps, _DUMP, f"{restore} {dump}", f"{restore} < {dump}", runs)


def _line(  # noqa: PLR0913, PLR0917 - the cells of a line
    what: str, place: Workspace, dumps: _Dumps, file: str, least: str, same: str, runs: int
) -> Line:
    summed = f"cd {dumps.large} && sha256sum --status -c {file}.sha256 && {same}"
    ours, base, plain, theirs = medians(
        min(runs, _RUNS),
        lambda: _opscheck(place, dumps.large, file),
        lambda: _opscheck(place, dumps.tiny, file),
        lambda: _shell(place, least),
        lambda: _shell(place, summed),
    )
    added = ours.peak_bytes - base.peak_bytes
    return Line(
        what=f"{what} ({megabytes((dumps.large / file).stat().st_size)} packed), with its sha256",
        opscheck=f"{_speed(ours, dumps)}, {megabytes(ours.peak_bytes)}, of which the verification {megabytes(added)}",
        others=(
            f"`{_short(least)}` alone: {_speed(plain, dumps)}",
            f"the same verification, with `sha256sum -c`: {_speed(theirs, dumps)}",
        ),
        ratios=(ratio(ours.wall_s, plain.wall_s), ratio(ours.wall_s, theirs.wall_s)),
        aim="no slower than the programs that verify the same; the verification adds ≤ 100 MB",
        met=ours.wall_s <= theirs.wall_s and added <= _MOST_MEMORY,
    )


def _short(command: str) -> str:
    return " ".join(
        Path(word).name if word.startswith("/") and word != "/dev/null" else word for word in command.split()
    )


def _speed(took: Median, dumps: _Dumps) -> str:
    return f"{took.wall_s:.1f} s, {megabytes(int(dumps.unpacked / took.wall_s))}/s"


def _opscheck(place: Workspace, folder: Path, file: str) -> Took:
    expectation = {"id": "readable", "check": "backup.content", "target": "backups", "depth": "whole", "severity": "P1"}
    names = {"names": f"%Y%m%d-%H%M%S{file[15:]}", "checksum": "sidecar", "within": "10m"}
    policy = place.policy("dumps", {"backups": {"kind": "folder", "path": str(folder)}}, [expectation | names])
    return place.opscheck(policy, counts={"passed": 1})


def _shell(place: Workspace, command: str) -> Took:
    return run_well(Command(["bash", "-c", f"set -eo pipefail; {command}"], place.folder, {}))


def _program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise Missing(f"{name} not found on PATH")
    return found


def _made() -> _Dumps:
    """The dumps in the cache, which are made once. Raises NotThere."""
    programs = next(iter(installations("pg_restore", "pg_dump")), None)
    if programs is None:
        raise NotThere(f"pg_restore not found: {HOW_TO_GET}")
    place = cached(f"dumps-{_VERSION}-{programs.version}")
    if not place.is_dir():
        make_once(place, _make, _MAKING_TAKES_AT_MOST)
    return _Dumps(place, programs)


def _make(folder: Path, _: float) -> None:
    with PostgreSQL() as server:
        _make_of(server, folder)


def _make_of(server: PostgreSQL, folder: Path) -> None:
    for name, rows in (("tiny", _TINY_ROWS), ("large", _ROWS)):
        to = folder / name
        to.mkdir(parents=True)
        with psycopg.connect(server.dsn("app"), autocommit=True) as connection:
            connection.execute("DROP TABLE IF EXISTS events")
            for statement in _FILL.split(";"):
                connection.execute(statement.replace("%s", str(rows)))
        unpacked = _dump(server, to)
    (folder / "unpacked").write_text(str(unpacked))


def _dump(server: PostgreSQL, to: Path) -> int:
    """Both dumps, each with its sha256. How many bytes the SQL has."""
    dump = f"{server.programs / 'bin' / 'pg_dump'} {server.dsn('app', DATABASE)}"
    script = f"set -eo pipefail; {dump} | tee >(wc -c > count) | gzip > {_SQL}; {dump} -Fc > {_DUMP}; wait"
    subprocess.run([_program("bash"), "-c", script], cwd=to, check=True, timeout=_MAKING_TAKES_AT_MOST)
    for file in (_SQL, _DUMP):
        with (to / file).open("rb") as opened:
            found = hashlib.file_digest(opened, "sha256").hexdigest()
        (to / f"{file}.sha256").write_text(f"{found}  {file}\n")
    return int((to / "count").read_text())
