"""pg_restore as a judge: which one, what of its words is told, and that it ends with us."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from opscheck.core.observation import Problem, ProblemKind
from opscheck.systems.postgres.programs import VARIABLE
from opscheck.systems.stores.archives.inspection import Unjudged
from opscheck.systems.stores.archives.stream import Broken
from opscheck.systems.stores.probe.pg_restore import error_of
from opscheck.transport.processes import wait_until
from tests.servers.dumps import SECRET
from tests.servers.s3 import FolderPlace
from tests.systems.stores.probe.reading import KEY, flaws, processes, read

VERSION = 'if [ "$1" = --version ]; then echo "pg_restore (PostgreSQL) 18.1"; exit; fi\n'
NEVER_READS = f"#!/bin/sh\n{VERSION}exec sleep 71600\n"
NEVER_ENDS = f"#!/bin/sh\n{VERSION}cat > /dev/null; exec sleep 71600\n"
TALKS_FOR_EVER = f"#!/bin/sh\n{VERSION}while :; do echo 'pg_restore: error: {SECRET}' >&2; done\n"
TALKS_AND_FAILS = f"#!/bin/sh\n{VERSION}cat > /dev/null; echo 'pg_restore: error: {SECRET} is no row' >&2; exit 1\n"
STARTS_A_CHILD = f"#!/bin/sh\n{VERSION}sleep 71599 & cat > /dev/null; wait\n"


@pytest.fixture(name="here")
def _here(tmp_path):
    return FolderPlace(tmp_path / "backups")


def test_too_old_pg_restore_leaves_the_archive_unjudged(here, dumps, only_pg_restore):
    only_pg_restore("#!/bin/sh\necho 'pg_restore (PostgreSQL) 15.18'\n")
    archive = dumps.custom[:5] + bytes([1, 16]) + dumps.custom[7:]

    found = read(here, archive)

    assert (False, ()) == (found.whole, found.flaws)
    assert "its archive format 1.16 needs pg_restore 17 or newer; the newest here is 15.18" == found.unjudged
    assert "PostgreSQL 17" in found.advice


@pytest.mark.parametrize("format_", ["custom", "tar"])
def test_without_any_pg_restore_it_is_unjudged_and_says_what_to_install(here, dumps, monkeypatch, format_):
    monkeypatch.setenv(VARIABLE, "")

    found = read(here, getattr(dumps, format_))

    assert (False, "there is no pg_restore on this machine to read it with") == (found.whole, found.unjudged)
    assert "opscheck[drill]" in found.advice


def test_plain_dumps_need_no_program(here, dumps, monkeypatch):
    monkeypatch.setenv(VARIABLE, "")

    assert read(here, dumps.plain).whole


def test_a_format_that_nobody_knows_yet_is_unjudged(here, dumps):
    found = read(here, dumps.custom[:5] + bytes([1, 99]) + dumps.custom[7:])

    assert () == found.flaws
    assert found.unjudged.startswith("its archive format 1.99 is newer than pg_restore")


def test_unsupported_compression_of_pg_restore_is_unjudged(here, dumps):
    """As the wheel's is, for zstd; its --list warns, and ends well."""
    archive = bytearray(dumps.uncompressed)
    if archive[6] < 15:
        pytest.skip("this pg_dump does not name the compression")
    archive[11] = 3

    found = read(here, bytes(archive))

    if found.flaws:
        pytest.skip("this pg_restore was built with zstd")
    assert "was built without zstd, which the tables in it are compressed with" in found.unjudged


@pytest.mark.parametrize(
    ("script", "kind"),
    [(NEVER_READS, ProblemKind.LATE), (NEVER_ENDS, ProblemKind.LATE), (TALKS_FOR_EVER, ProblemKind.LATE)],
    ids=["never reads", "never ends", "talks for ever"],
)
def test_one_that_hangs_is_killed_in_time(here, dumps, only_pg_restore, script, kind):
    only_pg_restore(script)
    began = time.monotonic()

    found = read(here, dumps.custom[:7] + dumps.custom[7:] * 40, timeout_s=1.5)

    assert isinstance(found, Problem), found
    assert kind is found.kind
    wait_until(lambda: not processes("sleep 71600"), 10, "pg_restore is still there")
    assert 5 > time.monotonic() - began


def test_its_children_end_with_it(here, dumps, only_pg_restore):
    only_pg_restore(STARTS_A_CHILD)

    assert isinstance(read(here, dumps.custom, timeout_s=1), Problem)
    wait_until(lambda: not processes("sleep 71599"), 10, "its child is still there")


def test_words_that_may_quote_rows_are_not_told(here, dumps, only_pg_restore):
    only_pg_restore(TALKS_AND_FAILS)

    assert [("damaged", "pg_restore cannot read it, and says why in words that may quote rows")] == flaws(
        read(here, dumps.custom)
    )


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("could not read from input file: end of file", "could not read from input file: end of file"),
        (f'unrecognized data block type (7) while searching "{SECRET}"', "unrecognized data block type (7)"),
        (f"could not find block ID 3312 in archive {SECRET}", "could not find block ID 3312 in archive"),
        (f"invalid ENCODING item: {SECRET}", "cannot read it, and says why in words that may quote rows"),
        (f"could not execute query: COPY {SECRET}", "cannot read it, and says why in words"),
    ],
)
def test_of_its_words_those_about_the_archive_are_reported_and_no_others(said, told):
    found = error_of("pg_restore 18.1", f"pg_restore: warning: {SECRET}\npg_restore: error: {said}\n", 1)

    assert isinstance(found, Broken)
    assert told in found.text
    assert SECRET not in found.text


def test_one_that_was_killed_says_nothing_of_the_archive():
    found = error_of("pg_restore 18.1", "", -signal.SIGKILL)

    assert isinstance(found, Unjudged)
    assert "pg_restore 18.1 was ended by signal SIGKILL" == found.text


READS_SLOWLY = textwrap.dedent("""
    import sys, threading
    from opscheck.systems.stores.probe import folder
    from opscheck.systems.stores.content import ReadContent
    from opscheck.systems.stores.target import FolderTarget

    store = folder.open_session(FolderTarget(kind="folder", path=sys.argv[1]), 5)
    opened = store.store.open

    def slowly(*words, **options):
        from contextlib import contextmanager

        @contextmanager
        def context():
            def pieces():
                with opened(*words, **options) as real:
                    yield next(real)[:70000]
                    threading.Event().wait(60)
            yield pieces()
        return context()

    store.store.open = slowly
    store.ask(ReadContent("target", sys.argv[2], int(sys.argv[3])), 100)
""")


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda one: one.name)
def test_no_pg_restore_outlives_opscheck_however_it_ends(here, dumps, how):
    """Its input ends with whoever feeds it."""
    here.put(KEY, dumps.custom)
    reader = subprocess.Popen(
        [sys.executable, "-c", READS_SLOWLY, str(here.path), KEY, str(len(dumps.custom))],
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(Path.cwd())},
    )
    try:
        wait_until(lambda: children_of(reader.pid), 20, "pg_restore was not started")
        children = children_of(reader.pid)
        reader.send_signal(how)
        reader.wait(10)
        wait_until(lambda: not any(alive(one) for one in children), 10, "pg_restore is still there")
    finally:
        reader.kill()
        reader.wait(10)


def children_of(parent: int) -> list[int]:
    """Each pg_restore that a process has started."""
    return [one for one in processes("pg_restore", "--file") if parent_of(one) == parent]


def parent_of(process: int) -> int:
    try:
        return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def alive(process: int) -> bool:
    """Whether it is there, and no zombie that nobody has fetched yet."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
