"""The bytes of a backup, from all three kinds of store: whole, in parts, and none."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from opscheck.core.observation import ProblemKind
from tests.servers.web import problem_of

BODY = bytes(range(256)) * 12_000  # three pieces
KEY = "db/backup 1.dump"


@pytest.fixture(name="opened")
def _opened(store):
    store.put(KEY, BODY)
    session = store.session()
    yield session.store
    session.close()


def deadline() -> float:
    return time.monotonic() + 20


def read(opened, **part) -> bytes:
    with opened.open(KEY, "", deadline=deadline(), **part) as pieces:
        read_pieces = list(pieces)
    assert all(len(piece) <= 2**20 for piece in read_pieces)
    return b"".join(read_pieces)


def test_all_of_it_comes_in_pieces(opened):
    assert BODY == read(opened)


@pytest.mark.parametrize(
    ("start", "length", "expected"),
    [
        (0, 10, BODY[:10]),
        (5, 7, BODY[5:12]),
        (len(BODY) - 3, None, BODY[-3:]),
        (len(BODY) - 3, 10, BODY[-3:]),
        (0, 0, b""),
        (len(BODY), None, b""),
        (len(BODY) + 5, 10, b""),
        (0, len(BODY) + 5, BODY),
    ],
)
def test_a_part_of_it_is_that_part(opened, start, length, expected):
    assert expected == read(opened, start=start, length=length)


def test_its_size_is_reported(opened):
    assert len(BODY) == opened.size(KEY, "", deadline=deadline())


def test_partly_read_object_can_be_read_again(opened):
    for _ in range(3):
        with opened.open(KEY, "", deadline=deadline()) as pieces:
            next(pieces)

    assert BODY == read(opened)


def test_an_object_that_is_not_there_is_absent(opened):
    for ask in (
        lambda: opened.size("db/none", "", deadline=deadline()),
        lambda: opened.open("db/none", "", deadline=deadline()).__enter__(),
    ):
        problem = problem_of(ask)
        assert (ProblemKind.ABSENT, False) == (problem.kind, problem.target_down)
        assert "db/none" in problem.text


def test_reading_ends_at_the_deadline(opened):
    with opened.open(KEY, "", deadline=time.monotonic() + 0.3) as pieces:
        next(pieces)
        time.sleep(0.31)

        assert ProblemKind.LATE == problem_of(lambda: list(pieces)).kind


def test_each_version_is_read_by_its_id(moto_bucket):
    moto_bucket.client.put_bucket_versioning(Bucket=moto_bucket.bucket, VersioningConfiguration={"Status": "Enabled"})
    first = moto_bucket.client.put_object(Bucket=moto_bucket.bucket, Key=KEY, Body=b"first")["VersionId"]
    moto_bucket.put(KEY, b"second")
    session = moto_bucket.session()

    with session.store.open(KEY, first, deadline=deadline()) as pieces:
        assert b"first" == b"".join(pieces)
    assert 5 == session.store.size(KEY, first, deadline=deadline())
    session.close()


def test_several_are_read_at_once(store):
    bodies = {f"db/{number}.dump": bytes([number]) * 300_000 for number in range(6)}
    for key, body in bodies.items():
        store.put(key, body)
    session = store.session()

    def whole(key: str) -> bytes:
        with session.store.open(key, "", deadline=deadline()) as pieces:
            return b"".join(pieces)

    with ThreadPoolExecutor(6) as threads:
        found = dict(zip(bodies, threads.map(whole, bodies), strict=True))
    session.close()

    assert bodies == found
