"""The S3 server."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from opscheck.demo.s3 import BUCKET, S3
from opscheck.transport.processes import ServerFailed, accepts

BEFORE = datetime(2025, 3, 1, 2, 0, tzinfo=UTC)


@pytest.fixture(name="server", scope="module")
def _server() -> Iterator[S3]:
    with S3() as server:
        yield server


@pytest.fixture(name="client", scope="module")
def _client(server) -> Iterator[Any]:
    client = boto3.client(
        "s3",
        endpoint_url=server.url,
        aws_access_key_id=server.access_key,
        aws_secret_access_key=server.secret_key,
        region_name="us-east-1",
    )
    yield client
    client.close()


def test_store_has_one_bucket_and_leaves_nothing(client):
    assert [BUCKET] == [found["Name"] for found in client.list_buckets()["Buckets"]]
    with S3() as server:
        assert accepts(server.port)

    assert not accepts(server.port)


def test_object_has_the_given_modification_time(server, client):
    server.put(f"{BUCKET}/old/a.dump", b"abc", modified=BEFORE)

    (listed,) = client.list_objects_v2(Bucket=BUCKET, Prefix="old/")["Contents"]

    assert ("old/a.dump", 3, BEFORE) == (listed["Key"], listed["Size"], listed["LastModified"])
    assert BEFORE == client.head_object(Bucket=BUCKET, Key="old/a.dump")["LastModified"]


def test_object_without_a_time_and_copy_are_new(server, client):
    server.put(f"{BUCKET}/new/a", b"abc")
    server.put(f"{BUCKET}/new/b", b"abc", modified=BEFORE)
    client.copy_object(Bucket=BUCKET, Key="new/c", CopySource=f"{BUCKET}/new/b")

    for key in ("new/a", "new/c"):
        written = client.head_object(Bucket=BUCKET, Key=key)["LastModified"]
        assert abs(datetime.now(UTC) - written) < timedelta(minutes=5)


def test_deleted_object_is_gone(server, client):
    server.put(f"{BUCKET}/gone", b"abc")
    server.delete(f"{BUCKET}/gone")

    with pytest.raises(ClientError, match="404"):
        client.head_object(Bucket=BUCKET, Key="gone")


def test_refused_request_is_reported(server):
    with pytest.raises(ServerFailed, match=r"answered 404 to PUT /nowhere/key: (?s:.*)NoSuchBucket"):
        server.put("nowhere/key", b"abc", modified=BEFORE)
