"""Backups that are folders: fetched for pg_restore, and gone afterwards."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from opscheck.core.observation import Problem, ProblemKind
from opscheck.systems.stores.content import ReadContent, ReadEnds
from opscheck.systems.stores.probe.content import PREFIX, TemporaryDirectory
from opscheck.transport.processes import wait_until
from tests.servers.dumps import DATABASE, PACKINGS
from tests.servers.s3 import FolderPlace
from tests.systems.stores.probe.reading import flaws, folder, processes
from tests.systems.stores.probe.test_pg_restore import READS_SLOWLY, VERSION


@pytest.fixture(name="files", scope="module")
def _files(dumps, tmp_path_factory):
    return dumps.directory(tmp_path_factory.mktemp("dump") / "dump")


@pytest.fixture(name="here")
def _here(tmp_path):
    return FolderPlace(tmp_path / "backups")


@pytest.fixture(name="temporary", autouse=True)
def _temporary(tmp_path, monkeypatch):
    """Where temporary folders go, which must be empty again after each test."""
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setenv("TMPDIR", str(place))
    monkeypatch.setattr(tempfile, "tempdir", None)
    yield place
    assert [] == list(place.iterdir())


def test_a_whole_dump_in_directory_format_is_whole_from_each_store(store, files):
    found = folder(store, files)

    assert (True, "directory", ()) == (found.whole, found.format, found.flaws)
    assert sum(map(len, files.values())) == found.read
    assert DATABASE == found.header.database
    assert found.judged_by.startswith("pg_restore ")


def test_a_file_of_it_that_is_cut_off_is_reported(here, files):
    largest = max(files, key=lambda name: len(files[name]))

    found = folder(here, {**files, largest: files[largest][: len(files[largest]) // 2]})

    assert not found.whole
    assert 1 == len(found.flaws)


def test_a_file_of_it_that_is_missing_is_reported(here, files):
    largest = max(files, key=lambda name: len(files[name]))

    found = folder(here, {name: body for name, body in files.items() if name != largest})

    assert not found.whole
    assert 1 == len(found.flaws)


@pytest.mark.parametrize("query", [ReadContent, ReadEnds])
def test_without_its_list_of_contents_it_is_not_a_dump(here, files, query):
    rest = {name: body for name, body in files.items() if name != "toc.dat"}

    text = f"no dump in directory format: toc.dat is not among its {len(rest)} files"
    assert [("foreign", text)] == flaws(folder(here, rest, query))


@pytest.mark.parametrize("query", [ReadContent, ReadEnds])
def test_a_list_of_contents_that_is_none_is_reported(here, files, query):
    found = folder(here, {**files, "toc.dat": b"<html>" * 300}, query)

    assert [("damaged", "toc.dat: it does not begin as an archive does")] == flaws(found)


def test_of_its_ends_the_list_of_contents_is_read(here, files):
    found = folder(here, files, ReadEnds)

    assert (False, "directory", (), len(files["toc.dat"])) == (found.whole, found.format, found.flaws, found.read)
    assert DATABASE == found.header.database


def test_where_there_is_not_a_room_nothing_is_fetched(here, files, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=70 * 2**20))

    problem = asked(here, files, 10 * 2**20)

    assert isinstance(problem, Problem)
    assert ProblemKind.UNSUPPORTED is problem.kind
    assert "its 10.5MB must be fetched" in problem.text
    assert "has 73.4MB free" in problem.text
    assert "TMPDIR" in problem.advice


def asked(here, files, size):
    for name, body in files.items():
        here.put(f"db/daily/{name}", body)
    return here.ask(ReadContent("target", "db/daily/", size))


def test_one_that_hangs_ends_in_time_and_leaves_nothing(here, files, only_pg_restore):
    only_pg_restore(f"#!/bin/sh\n{VERSION}exec sleep 71598\n")
    began = time.monotonic()
    for name, body in files.items():
        here.put(f"db/daily/{name}", body)

    problem = here.ask(ReadContent("target", "db/daily/", sum(map(len, files.values()))), 1.5)

    assert ProblemKind.LATE is problem.kind
    wait_until(lambda: not processes("sleep 71598"), 10, "pg_restore is still there")
    assert 10 > time.monotonic() - began


def test_a_key_that_would_leave_the_folder_is_written_nowhere(moto_bucket, files, temporary):
    for name, body in {**files, "../../../evil": b"x"}.items():
        moto_bucket.put(f"db/daily/{name}", body)

    problem = moto_bucket.ask(ReadContent("target", "db/daily/", 100_000))

    assert isinstance(problem, Problem)
    assert "lies outside db/daily/" in problem.text
    assert not (temporary.parent / "evil").exists()


def test_any_files_are_each_unpacked_where_anything_is_expected(here):
    good = {"a.gz": PACKINGS["gzip"](b"one"), "b.zst": PACKINGS["zstd"](b"two"), "empty": b""}

    assert [] == flaws(folder(here, good, expects="any"))
    found = folder(here, {**good, "b.zst": good["b.zst"][:-1]}, expects="any")
    assert [("cut_off", "db/daily/b.zst: zstd data ends before its end")] == flaws(found)


def test_files_with_nothing_in_them_are_empty_where_anything_is_expected(here):
    assert [("empty", "nothing is in its 2 files")] == flaws(folder(here, {"a": b"", "b": b""}, expects="any"))


@pytest.mark.parametrize("packing", PACKINGS)
def test_compressed_empty_files_are_empty(here, packing):
    files = {name: PACKINGS[packing](b"") for name in "abc"}

    assert [("empty", "nothing is in its 3 files")] == flaws(folder(here, files, expects="any"))


def test_a_folder_of_empty_files_is_empty_by_its_ends_too(here):
    assert [("empty", "nothing is in its 2 files")] == flaws(
        folder(here, {"a": b"", "b": b""}, ReadEnds, expects="any")
    )
    assert [] == flaws(folder(here, {"a": b"", "b": b"x"}, ReadEnds, expects="any"))


def test_the_folder_is_private_and_gone_after_its_block():
    with TemporaryDirectory(1000) as kept:
        assert 0o700 == kept.path.stat().st_mode & 0o777
        (kept.path / "file").write_bytes(b"x")

    assert not kept.path.exists()


def test_the_folder_is_gone_also_where_its_keeper_was_killed():
    with TemporaryDirectory(1000) as kept:
        (kept.path / "file").write_bytes(b"x")
        os.killpg(kept.group, signal.SIGKILL)

    assert not kept.path.exists()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda one: one.name)
def test_no_folder_outlives_opscheck_however_it_ends(here, files, temporary, how):
    for name, body in files.items():
        here.put(f"db/daily/{name}", body)
    size = str(sum(map(len, files.values())))
    reader = subprocess.Popen(
        [sys.executable, "-c", READS_SLOWLY, str(here.path), "db/daily/", size],
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(Path.cwd()), "TMPDIR": str(temporary)},
    )
    try:
        wait_until(lambda: list(temporary.glob(f"{PREFIX}*/*")), 20, "nothing was fetched")
        reader.send_signal(how)
        reader.wait(10)
        wait_until(lambda: not list(temporary.iterdir()), 10, "the folder is still there")
    finally:
        reader.kill()
        reader.wait(10)


def test_a_pg_restore_that_reads_the_folder_ends_with_opscheck(here, files, temporary, only_pg_restore):
    only_pg_restore(f"#!/bin/sh\n{VERSION}exec sleep 71597\n")
    for name, body in files.items():
        here.put(f"db/daily/{name}", body)
    size = str(sum(map(len, files.values())))
    program = READS_SLOWLY.replace("store.store.open = slowly\n", "")
    reader = subprocess.Popen(
        [sys.executable, "-c", program, str(here.path), "db/daily/", size],
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(Path.cwd()), "TMPDIR": str(temporary)},
    )
    try:
        wait_until(lambda: processes("sleep 71597"), 20, "pg_restore was not started")
        reader.kill()
        reader.wait(10)
        wait_until(lambda: not processes("sleep 71597"), 10, "pg_restore is still there")
        wait_until(lambda: not list(temporary.iterdir()), 10, "the folder is still there")
    finally:
        reader.kill()
        reader.wait(10)
