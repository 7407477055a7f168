"""The backups in the demo's bucket."""

import hashlib
import itertools
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest

from opscheck.demo.backups import CONFIGURATION, DATABASE, Backup, Backups
from opscheck.demo.bucket import secure
from opscheck.demo.dumps import EMPTY_GZIP
from opscheck.demo.s3 import S3
from opscheck.transport.processes import ServerFailed, wait_until

NOW = datetime.now(UTC).replace(microsecond=0)
NEVER = timedelta(days=1)
SOON = timedelta(milliseconds=20)
CONTENT = b"as good as a dump" * 100


def dumped(ago: timedelta) -> Backup:
    return Backup(DATABASE, CONTENT, NOW - ago)


def made(*hours_ago: float) -> list[Backup]:
    saved = Backup(CONFIGURATION, b"as good as a tar", NOW - timedelta(hours=6))
    return [*(dumped(timedelta(hours=hours)) for hours in hours_ago), saved]


def unasked() -> Backup:
    raise AssertionError("nobody asked for another")


@pytest.fixture(name="store", scope="module")
def _store() -> Iterator[S3]:
    with S3() as store:
        secure(store)
        yield store


@pytest.fixture(name="client", scope="module")
def _client(store) -> Iterator[Any]:
    client = boto3.client(
        "s3",
        endpoint_url=store.url,
        aws_access_key_id=store.access_key,
        aws_secret_access_key=store.secret_key,
        region_name="us-east-1",
    )
    yield client
    client.close()


@pytest.fixture(name="bucket")
def _bucket(store, client) -> Iterator[Any]:
    """What there is in the bucket, as a function; the bucket is emptied afterwards."""
    yield lambda: {one["Key"]: one for one in client.list_objects_v2(Bucket=store.bucket).get("Contents", [])}
    for one in client.list_objects_v2(Bucket=store.bucket).get("Contents", []):
        client.delete_object(Bucket=store.bucket, Key=one["Key"])


def content(store: S3, client: Any, key: str) -> bytes:
    body = client.get_object(Bucket=store.bucket, Key=key)["Body"]
    with body:
        return body.read()


def test_backup_is_named_by_its_start_and_uploaded_seconds_later(store, bucket):
    with Backups(store, made(30), another=unasked, every=NEVER):
        found = bucket()

    at = NOW - timedelta(hours=30)
    key = f"database/{at:%Y/%m/%d}/backup-{at:%Y%m%d-%H%M%S}.dump"
    assert {key, f"{key}.sha256"} == {one for one in found if one.startswith("database/")}
    assert timedelta(0) < found[key]["LastModified"] - at < timedelta(minutes=1)


def test_backup_has_no_future_upload_time(store, bucket):
    with Backups(store, made(6, 0), another=unasked, every=NEVER):
        assert all(one["LastModified"] <= datetime.now(UTC) for one in bucket().values())


def test_backup_has_a_checksum_file(store, client, bucket):
    with Backups(store, made(30, 6), another=unasked, every=NEVER):
        keys = [key for key in bucket() if not key.endswith(".sha256")]
        written = {key: content(store, client, f"{key}.sha256").decode() for key in keys}
        sums = {key: hashlib.sha256(content(store, client, key)).hexdigest() for key in keys}

    assert 3 == len(keys)
    assert {key: f"{told}  {key.rpartition('/')[2]}\n" for key, told in sums.items()} == written


def test_new_backups_are_made_until_close(store, bucket):
    numbers = itertools.count()
    again = Backups(
        store, [], another=lambda: Backup("%Y/another", CONTENT, NOW - 365 * NEVER * next(numbers)), every=SOON
    )
    with again:
        wait_until(lambda: len(bucket()) >= 6, 20, "no three were made")
    seen = len(bucket())

    assert not again._thread.is_alive()
    assert seen == len(bucket())


def test_failed_backup_is_followed_by_the_next(store, bucket):
    failures = iter([ServerFailed("no connection"), ServerFailed("no connection")])

    def another() -> Backup:
        for failure in failures:
            raise failure
        return dumped(timedelta(0))

    with Backups(store, [], another=another, every=SOON):
        wait_until(lambda: len(bucket()) == 2, 20, "none was made after those that failed")


def test_fault_deletes_five_hours_and_damages_the_last_of_each_kind(store, client, bucket):
    with Backups(store, made(30, 5.5, 4.5, 0), another=unasked, every=NEVER) as backups:
        backups.fail()
        dumps = sorted(key for key in bucket() if key.endswith(".dump"))
        (saved,) = [key for key in bucket() if key.endswith(".tar.gz")]
        whole, last = (content(store, client, key) for key in dumps)
        told = content(store, client, f"{dumps[1]}.sha256").decode().split()[0]

        assert [one.key for one in made(30, 5.5)[:2]] == dumps
        assert whole == CONTENT
        assert CONTENT.startswith(last)
        assert 0 < len(last) < len(CONTENT)
        assert hashlib.sha256(CONTENT).hexdigest() == told
        assert EMPTY_GZIP == content(store, client, saved)
        assert 20 == len(EMPTY_GZIP)
        assert hashlib.sha256(EMPTY_GZIP).hexdigest() == content(store, client, f"{saved}.sha256").decode().split()[0]


def test_repair_restores_all_and_a_second_fault_changes_nothing(store, client, bucket):
    with Backups(store, made(30, 5.5, 4.5, 0), another=unasked, every=NEVER) as backups:
        before = {key: (one["ETag"], one["LastModified"]) for key, one in bucket().items()}
        for step in (backups.fail, backups.fail, backups.recover, backups.recover):
            step()

        assert before == {key: (one["ETag"], one["LastModified"]) for key, one in bucket().items()}


def test_no_backup_is_made_during_the_fault(store, bucket):
    asked = []

    def another() -> Backup:
        asked.append(1)
        return dumped(timedelta(0))

    with Backups(store, made(30, 5.5), another=another, every=SOON) as backups:
        wait_until(lambda: len(asked) > 1, 20, "none was made")
        backups.fail()
        before = len(asked)
        keys = set(bucket())
        backups._closing.wait(0.2)

        assert before == len(asked)
        assert keys == set(bucket())

        backups.recover()
        wait_until(lambda: len(asked) > before, 20, "none was made after it had recovered")


def test_bucket_is_versioned_locked_encrypted_and_private(store, client):
    name = {"Bucket": store.bucket}
    (encryption,) = client.get_bucket_encryption(**name)["ServerSideEncryptionConfiguration"]["Rules"]
    lock = client.get_object_lock_configuration(**name)["ObjectLockConfiguration"]["Rule"]["DefaultRetention"]
    (rule,) = client.get_bucket_lifecycle_configuration(**name)["Rules"]

    assert "Enabled" == client.get_bucket_versioning(**name)["Status"]
    assert "AES256" == encryption["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"]
    assert ("GOVERNANCE", 7) == (lock["Mode"], lock["Days"])
    assert {True} == set(client.get_public_access_block(**name)["PublicAccessBlockConfiguration"].values())
    assert 35 == rule["Expiration"]["Days"] == rule["NoncurrentVersionExpiration"]["NoncurrentDays"]
