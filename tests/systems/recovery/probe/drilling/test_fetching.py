"""Backups are fetched from buckets and folders, within the disk that there is; what is in the way is told."""

import gzip
import socket
import time
from collections.abc import Iterator
from contextlib import nullcontext
from itertools import repeat

import pytest

from opscheck.core.observation import ProbeError, ProblemKind
from opscheck.demo.s3 import BUCKET, S3
from opscheck.systems.recovery.probe.drill import open_session
from opscheck.systems.recovery.probe.drilling.errors import Failed
from opscheck.systems.recovery.probe.drilling.fetching import Fetching
from opscheck.systems.recovery.target import DrillPlace
from opscheck.systems.stores.probe.folder import FolderStore
from opscheck.systems.stores.target import FolderTarget, S3Target
from tests.systems.recovery.probe.drilling.conftest import query


@pytest.fixture(name="store", scope="module")
def _store() -> Iterator[S3]:
    with S3() as server:
        yield server


@pytest.fixture(name="fetch")
def _fetch(store, scratch, traces, monkeypatch):
    """Restores a backup of a bucket into the scratch server."""
    for name, value in store.variables.items():
        monkeypatch.setenv(name, value)

    def fetch(key, target=None, **fields):
        bucket = target or S3Target(kind="s3", bucket=BUCKET).named("bucket")
        database = {"kind": "postgres", "dsn": scratch.dsn, "scratch": True}
        session = open_session(DrillPlace(name="drill://drill", store=bucket, scratch=database), 5.0)
        try:
            return session.ask(query(key, **fields), 90.0)
        finally:
            assert traces.none_left()
            assert [] == scratch.databases()

    return fetch


def test_a_file_of_a_bucket_is_fetched_and_restored(fetch, store, shelf):
    store.put(f"{BUCKET}/db/orders.dump", shelf.read("16.dump"))
    drill = fetch("db/orders.dump")

    assert ((), len(shelf.read("16.dump"))) == (drill.reasons, drill.size)


def test_a_packed_dump_of_a_bucket_is_fetched_and_restored(fetch, store, shelf):
    store.put(f"{BUCKET}/db/orders.sql.gz", gzip.compress(shelf.read("16.sql")))

    assert ((), "plain, gzip") == (fetch("db/orders.sql.gz").reasons, fetch("db/orders.sql.gz").made_of)


def test_a_folder_of_a_bucket_is_fetched_whole(fetch, store, shelf):
    for file in (shelf.folder / "16.dir").iterdir():
        store.put(f"{BUCKET}/dir/orders/{file.name}", file.read_bytes())
    store.put(f"{BUCKET}/dir/orders/../escaped", b"x")
    drill = fetch("dir/orders/")

    assert ((), "directory") == (drill.reasons, drill.made_of)


def test_a_bucket_that_is_not_there_is_unknown(fetch):
    with pytest.raises(ProbeError) as told:
        fetch("db/orders.dump", S3Target(kind="s3", bucket="elsewhere"))

    assert told.value.problem.kind in {ProblemKind.ABSENT, ProblemKind.UNREACHABLE, ProblemKind.UNSUPPORTED}


def test_a_folder_that_is_not_mounted_is_unknown(fetch):
    with pytest.raises(ProbeError) as told:
        fetch("orders.dump", FolderTarget(kind="folder", path="/nowhere/backups"))

    assert (ProblemKind.UNREACHABLE, "is it mounted?") == (told.value.problem.kind, told.value.problem.advice)


def test_a_store_that_never_answers_is_unknown_in_time(fetch):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(ProbeError) as told:
            fetch("orders.dump", S3Target(kind="s3", bucket="backups", endpoint_url=url), within_s=3.0)

    assert ProblemKind.LATE == told.value.problem.kind


def test_no_more_is_fetched_than_was_listed(shelf, monkeypatch):
    """A store that never stops sending must not fill the disk."""
    monkeypatch.setattr(FolderStore, "open", lambda *_, **__: nullcontext(repeat(bytes(2**20), 50)))
    target = FolderTarget(kind="folder", path=str(shelf.folder))
    fetching = Fetching(target, shelf.put("endless.dump", bytes(5 * 2**20)), "", time.monotonic() + 60)
    to = shelf.folder / "fetched"

    with pytest.raises(Failed, match="that are listed"):
        fetching.fetch(fetching.find(), to, lambda _: None)

    assert 6 * 2**20 == to.stat().st_size
