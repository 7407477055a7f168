"""How buckets are configured: what moto knows, what is not there, and a store that does not know."""

from datetime import UTC, datetime

import pytest

from opscheck.core.observation import ProbeError, ProblemKind
from opscheck.systems.stores.bucket import (
    BucketQuery,
    Encryption,
    LifecycleRule,
    ObjectLock,
    PolicyStatus,
    PublicAccess,
    ReadEncryption,
    ReadLifecycle,
    ReadObjectLock,
    ReadPolicyStatus,
    ReadPublicAccess,
    ReadReplication,
    ReadVersioning,
    Replication,
    Versioning,
)
from opscheck.systems.stores.listing import ListUploads
from opscheck.systems.stores.probe.s3.bucket import policy_status, replication

UNKNOWN_TO_RCLONE = [
    ReadEncryption,
    ReadLifecycle,
    ReadObjectLock,
    ReadPolicyStatus,
    ReadPublicAccess,
    ReadReplication,
]


def ask(place, kind: type[BucketQuery]):
    return place.ask(kind("target"))


def test_a_new_bucket_has_nothing_of_it(moto_bucket):
    assert Versioning() == ask(moto_bucket, ReadVersioning)
    assert ObjectLock() == ask(moto_bucket, ReadObjectLock)
    assert PublicAccess() == ask(moto_bucket, ReadPublicAccess)
    assert PolicyStatus() == ask(moto_bucket, ReadPolicyStatus)
    assert () == ask(moto_bucket, ReadLifecycle).rules
    assert () == ask(moto_bucket, ReadReplication).rules


@pytest.mark.parametrize("kind", UNKNOWN_TO_RCLONE)
def test_store_that_does_not_know_a_question_is_not_a_bucket_without_it(open_bucket, kind):
    # rclone answers each of them with a list of objects, from which botocore reads nothing.
    problem = ask(open_bucket("rclone"), kind)

    assert (ProblemKind.UNSUPPORTED, False) == (problem.kind, problem.target_down)
    assert "does not implement it" in problem.text


def test_versioning_is_reported_also_when_it_is_suspended(moto_bucket):
    for status in ("Enabled", "Suspended"):
        moto_bucket.client.put_bucket_versioning(Bucket=moto_bucket.bucket, VersioningConfiguration={"Status": status})

        assert Versioning(status=status) == ask(moto_bucket, ReadVersioning)


@pytest.mark.parametrize(
    ("kept", "days"), [({"Mode": "COMPLIANCE", "Days": 30}, 30), ({"Mode": "GOVERNANCE", "Years": 2}, 730)]
)
def test_the_default_retention_is_reported_in_days(moto_bucket, kept, days):
    name = f"{moto_bucket.bucket}-locked"
    moto_bucket.client.create_bucket(Bucket=name, ObjectLockEnabledForBucket=True)
    moto_bucket.client.put_object_lock_configuration(
        Bucket=name, ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": kept}}
    )
    moto_bucket.target = moto_bucket.target.model_copy(update={"bucket": name})

    assert ObjectLock(enabled=True, mode=kept["Mode"], days=days) == ask(moto_bucket, ReadObjectLock)


def test_encryption_is_reported(moto_bucket):
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}}
    moto_bucket.client.put_bucket_encryption(
        Bucket=moto_bucket.bucket, ServerSideEncryptionConfiguration={"Rules": [rule]}
    )

    assert Encryption(algorithm="aws:kms") == ask(moto_bucket, ReadEncryption)


def test_each_block_of_public_access_is_reported(moto_bucket):
    blocks = {
        "BlockPublicAcls": True,
        "IgnorePublicAcls": False,
        "BlockPublicPolicy": True,
        "RestrictPublicBuckets": False,
    }
    moto_bucket.client.put_public_access_block(Bucket=moto_bucket.bucket, PublicAccessBlockConfiguration=blocks)

    assert PublicAccess(block_public_acls=True, block_public_policy=True) == ask(moto_bucket, ReadPublicAccess)


def test_lifecycle_rules_are_reported(moto_bucket):
    rules = [
        {
            "ID": "old",
            "Status": "Enabled",
            "Filter": {"Prefix": "db/"},
            "Expiration": {"Days": 30},
            "Transitions": [{"Days": 7, "StorageClass": "GLACIER"}],
            "NoncurrentVersionExpiration": {"NoncurrentDays": 3},
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 2},
        },
        {
            "ID": "tagged",
            "Status": "Disabled",
            "Filter": {"And": {"Prefix": "logs/", "Tags": [{"Key": "a", "Value": "b"}]}},
            "Expiration": {"Date": datetime(2027, 1, 1, tzinfo=UTC)},
        },
    ]
    moto_bucket.client.put_bucket_lifecycle_configuration(
        Bucket=moto_bucket.bucket, LifecycleConfiguration={"Rules": rules}
    )

    first, second = ask(moto_bucket, ReadLifecycle).rules

    assert first == LifecycleRule(
        id="old", prefix="db/", expires_days=30, noncurrent_days=3, abort_days=2, archives=(("GLACIER", 7.0),)
    )
    assert second == LifecycleRule(id="tagged", enabled=False, prefix="logs/", tagged=True, expires_on="2027-01-01")


def test_a_rule_that_archives_from_a_day_on_is_reported(moto_bucket):
    moves = [{"Date": datetime(2026, 12, 1, tzinfo=UTC), "StorageClass": "GLACIER"}]
    rule = {"ID": "dated", "Status": "Enabled", "Filter": {"Prefix": "db/"}, "Transitions": moves}
    moto_bucket.client.put_bucket_lifecycle_configuration(
        Bucket=moto_bucket.bucket, LifecycleConfiguration={"Rules": [rule]}
    )

    (found,) = ask(moto_bucket, ReadLifecycle).rules

    assert ((), (("GLACIER", "2026-12-01"),)) == (found.archives, found.archives_on)


@pytest.mark.parametrize(
    ("where", "rules"),
    [
        ({"Filter": {"And": {"Prefix": "db/", "Tags": [{"Key": "copy", "Value": "yes"}]}}}, ()),
        ({"Filter": {"Tag": {"Key": "copy", "Value": "yes"}}}, ()),
        ({"Filter": {"Prefix": "db/"}}, (("db/", "other"),)),
        ({"Prefix": "db/"}, (("db/", "other"),)),
        ({"Filter": {}}, (("", "other"),)),
    ],
)
def test_a_rule_that_copies_what_has_certain_tags_copies_not_all(where, rules):
    one = {"Status": "Enabled", "Destination": {"Bucket": "arn:aws:s3:::other"}, **where}

    assert Replication(rules=rules) == replication({"ReplicationConfiguration": {"Rules": [one]}})


@pytest.mark.parametrize("answer", [{"PolicyStatus": {}}, {"ResponseMetadata": {}}])
def test_policy_of_which_nothing_is_said_is_not_taken_for_one_that_is_closed(answer):
    with pytest.raises(ProbeError, match="does not say whether"):
        policy_status(answer)

    assert PolicyStatus() == policy_status({})


def test_unfinished_uploads_are_reported_oldest_first_and_finished_ones_are_not(moto_bucket):
    client, name = moto_bucket.client, moto_bucket.bucket
    started = [client.create_multipart_upload(Bucket=name, Key=f"db/{number}")["UploadId"] for number in range(2)]
    client.create_multipart_upload(Bucket=name, Key="logs/1")
    client.abort_multipart_upload(
        Bucket=name, Key="db/2", UploadId=client.create_multipart_upload(Bucket=name, Key="db/2")["UploadId"]
    )

    found = moto_bucket.ask(ListUploads("target", "db/"))

    assert (2, set(started)) == (found.count, {one.upload for one in found.oldest})
    assert UTC == found.oldest[0].started.tzinfo


def test_a_store_without_any_upload_has_none(bucket):
    assert 0 == bucket.ask(ListUploads("target")).count
