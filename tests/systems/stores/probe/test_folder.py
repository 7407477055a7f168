"""A folder as a store of backups."""

import errno
import os
import pwd
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import NoReturn

import pytest

from opscheck.core.observation import ProbeError, ProblemKind
from opscheck.core.query import Query
from opscheck.gathering.gatherer import Gatherer
from opscheck.gathering.plan import Asked
from opscheck.systems.stores.listing import ListBackups
from opscheck.systems.stores.probe.folder import FolderStore, open_session
from opscheck.systems.stores.target import FolderTarget
from opscheck.transport.processes import folder
from tests.registries import BUNDLED
from tests.servers.s3 import FolderPlace
from tests.servers.web import problem_of


@contextmanager
def unprivileged() -> Iterator[None]:
    """Root may read everything, and is somebody else meanwhile."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(pwd.getpwnam("nobody").pw_uid)
    try:
        yield
    finally:
        os.seteuid(0)


def listed(path, template: str = "**"):
    return FolderPlace(path).ask(ListBackups("target", template))


def keys(path, template: str = "**") -> list[str]:
    return [one.key for one in listed(path, template).backups]


def opening(path):
    return problem_of(lambda: open_session(FolderTarget(kind="folder", name="target", path=str(path)), 5))


def test_a_folder_that_is_not_there_is_down_and_may_not_be_mounted(tmp_path):
    problem = opening(tmp_path / "none")

    assert (ProblemKind.UNREACHABLE, True, "is it mounted?") == (problem.kind, problem.target_down, problem.advice)


def test_a_file_is_not_a_folder(tmp_path):
    (tmp_path / "file").touch()

    problem = opening(tmp_path / "file")

    assert (ProblemKind.UNSUPPORTED, True) == (problem.kind, problem.target_down)


def test_a_folder_that_may_not_be_listed_is_denied_by_name():
    with folder() as name:
        place = Path(name) / "backups"
        place.mkdir()
        (place / "db").mkdir(mode=0o000)

        with unprivileged():
            problem, opened = listed(place), opening(place / "db")

    assert ProblemKind.DENIED == problem.kind
    assert f"{place}/db" in problem.text
    assert ProblemKind.DENIED == opened.kind


def test_a_refusal_below_is_reported_with_the_folders_name(tmp_path, monkeypatch):
    (tmp_path / "db").mkdir()
    real = os.scandir

    def scandir(path):
        if str(path).rstrip("/").endswith("/db"):
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr("opscheck.systems.stores.probe.folder.os.scandir", scandir)

    problem = listed(tmp_path)

    assert (ProblemKind.DENIED, False) == (problem.kind, problem.target_down)
    assert f"{tmp_path}/db" in problem.text


@pytest.mark.parametrize("error", [116, 5, 107])
def test_a_mount_that_is_gone_is_down(tmp_path, monkeypatch, error):
    def scandir(_path):
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr("opscheck.systems.stores.probe.folder.os.scandir", scandir)

    problem = opening(tmp_path)

    assert (ProblemKind.UNREACHABLE, True) == (problem.kind, problem.target_down)


def test_keys_come_in_the_order_of_a_bucket(tmp_path):
    place = FolderPlace(tmp_path)
    wanted = ["a!b", "a-c", "a/b", "a0", "b/c/d", "b/c0", "ä"]
    for key in reversed(wanted):
        place.put(key)

    assert wanted == keys(tmp_path)


def test_links_out_of_the_folder_are_not_backups_and_links_within_are(tmp_path):
    outside = tmp_path / "outside"
    place = FolderPlace(tmp_path / "store")
    FolderPlace(outside).put("secret.dump")
    place.put("db/1.dump")
    (place.path / "out.dump").symlink_to(outside / "secret.dump")
    (place.path / "outside").symlink_to(outside)
    (place.path / "latest.dump").symlink_to(place.path / "db" / "1.dump")
    (place.path / "broken.dump").symlink_to(place.path / "none")

    assert ["db/1.dump", "latest.dump"] == keys(place.path)
    store = place.session().store
    for key in ("out.dump", "../outside/secret.dump", "outside/secret.dump", "broken.dump"):
        assert ProblemKind.ABSENT == problem_of(lambda key=key: store.size(key, "", deadline=1e12)).kind
        opened = store.open(key, "", deadline=1e12)
        assert ProblemKind.ABSENT == problem_of(opened.__enter__).kind


def test_a_pipe_is_not_a_backup_and_holds_nobody(tmp_path):
    os.mkfifo(tmp_path / "pipe.dump")

    assert [] == keys(tmp_path)
    store = FolderPlace(tmp_path).session().store
    assert ProblemKind.ABSENT == problem_of(store.open("pipe.dump", "", deadline=1e12).__enter__).kind


def test_a_name_that_is_not_a_text_can_be_told(tmp_path):
    (tmp_path / os.fsdecode(b"db-\xff.dump")).write_bytes(b"x")

    assert ["db-\N{REPLACEMENT CHARACTER}.dump"] == keys(tmp_path)


def test_file_deleted_during_listing_is_left_out(tmp_path, monkeypatch):
    place = FolderPlace(tmp_path)
    place.put("a/1")
    place.put("b/1")
    real = os.scandir

    def scandir(path):
        if str(path).rstrip("/").endswith("/a"):
            raise FileNotFoundError(2, "No such file or directory")
        return real(path)

    monkeypatch.setattr("opscheck.systems.stores.probe.folder.os.scandir", scandir)

    assert ["b/1"] == keys(tmp_path)


def test_a_listing_ends_at_its_deadline(tmp_path):
    place = FolderPlace(tmp_path)
    place.put("a")

    problem = place.ask(ListBackups("target", "*"), timeout_s=0)

    assert ProblemKind.LATE == problem.kind


def test_query_for_buckets_is_unsupported_by_folders(tmp_path):
    class Other(Query[int], name="tests.other"):
        pass

    assert ProblemKind.UNSUPPORTED == FolderPlace(tmp_path).ask(Other("target")).kind


def test_a_mount_that_hangs_is_given_up_in_time(tmp_path, monkeypatch):
    hanging = threading.Event()
    monkeypatch.setattr("opscheck.systems.stores.probe.folder.os.scandir", lambda _path: hanging.wait(20))
    query = ListBackups("target", "*")
    gatherer = Gatherer({"target": FolderPlace(tmp_path).target}, registry=BUNDLED)
    started = time.monotonic()

    observation = gatherer.gather([Asked(query, 0.3)])[query]

    hanging.set()
    assert (ProblemKind.LATE, True) == (observation.problem.kind, observation.problem.target_down)
    assert time.monotonic() - started < 10


def test_a_link_to_itself_is_not_a_backup_and_hides_none(tmp_path):
    (tmp_path / "a.dump").symlink_to("a.dump")
    (tmp_path / "b.dump").write_bytes(b"x")

    pages = FolderStore(str(tmp_path)).pages("", deadline=time.monotonic() + 10)

    assert ["b.dump"] == [entry.key for page in pages for entry in page]


@pytest.mark.parametrize(("number", "kind"), [(errno.EACCES, "denied"), (errno.EIO, "unreachable")])
def test_a_file_that_cannot_be_looked_at_is_not_left_out(tmp_path, monkeypatch, number, kind):
    """As behind a folder that may be listed and not entered, or on a disk that fails: it may be the newest."""

    def fails() -> NoReturn:
        raise OSError(number, "fails")

    found = SimpleNamespace(name="a.dump", path=str(tmp_path / "a.dump"), is_symlink=lambda: False, stat=fails)
    monkeypatch.setattr(FolderStore, "_sorted", lambda *_: [(found.name, found)])
    with pytest.raises(ProbeError) as told:
        list(FolderStore(str(tmp_path)).pages("", deadline=time.monotonic() + 10))

    assert kind == told.value.problem.kind.value
