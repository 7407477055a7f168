"""backup.content as a policy writes it."""

import pytest
from pydantic import ValidationError

from opscheck.core.templates import known_names, malformed, placeholders
from opscheck.systems.backup.content import BackupContent
from opscheck.systems.stores.content import ReadChecksum, ReadContent, ReadEnds, ReadManifest
from opscheck.systems.stores.target import FolderTarget, S3Target
from opscheck.testing import expect

BUCKET = S3Target(kind="s3", bucket="backups")
FOLDER = FolderTarget(kind="folder", path="/mnt/backups")
NAMES = "db/{series}/%Y%m%d-%H%M%S.dump"


def content(target=BUCKET, **fields):
    return expect(BackupContent, target, **({"names": NAMES, "depth": "whole", "severity": "P1"} | fields))


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"depth": "ends", "within": "1h"}, "`depth: whole` with within"),
        ({"depth": "ends", "checksum": "sidecar"}, "`depth: whole` with checksum"),
        ({"depth": "ends", "unpacked_limit": "1GB"}, "`depth: whole` with unpacked_limit"),
        ({"names": "%Y%m%d/", "holds": "tar"}, "`holds: dump` or `any`"),
        ({"names": "%Y%m%d/", "checksum": "sidecar"}, "no `checksum` where each backup is a folder"),
        ({"checksum": {"key": "sums"}}, "a key with {key} in it once"),
        ({"checksum": {"key": "{key}"}}, "a key with {key} in it once"),
        ({"depth": "middle"}, "'ends' or 'whole'"),
        ({"severity": None}, "severity"),
        ({"cronjob": "backup"}, "pattern"),
    ],
)
def test_unjudgeable_fields_are_a_policy_error(fields, error):
    with pytest.raises(ValidationError, match=error):
        content(**fields)


def test_depth_is_required():
    with pytest.raises(ValidationError, match="depth"):
        expect(BackupContent, BUCKET, names=NAMES, severity="P1")


def test_the_whole_of_it_is_given_the_time_that_the_policy_says():
    one = content(within="20m", series=["orders", "customers"])
    (query,) = [query for query in one.described() if isinstance(query, ReadContent)]

    assert 1200 == query.time_limit_s
    assert 2400 == one.extra_time_s
    assert 3600 == content().extra_time_s


def test_its_ends_are_given_no_more_time_than_any_question():
    (query,) = [query for query in content(depth="ends").described() if isinstance(query, ReadEnds)]

    assert query.time_limit_s is None
    assert 0 == content(depth="ends").extra_time_s


@pytest.mark.parametrize(
    ("checksum", "kind", "key"),
    [
        ("sidecar", ReadChecksum, "db/a.dump.sha256"),
        ({"key": "sums/{key}"}, ReadChecksum, "sums/db/a.dump"),
        ({"key": "{key}.json", "sha256": "files[0].sha256"}, ReadManifest, "db/a.dump.json"),
    ],
)
def test_the_record_of_its_sum_is_asked_next_to_it(checksum, kind, key):
    query = content(checksum=checksum).record("db/a.dump")

    assert isinstance(query, kind)
    assert key == query.key
    assert content().record("db/a.dump") is None


def test_sums_are_made_only_where_they_are_compared():
    assert [True] == [
        query.hashed for query in content(checksum="sidecar").described() if isinstance(query, ReadContent)
    ]
    assert [False] == [query.hashed for query in content().described() if isinstance(query, ReadContent)]


@pytest.mark.parametrize(
    ("names", "permissions"),
    [
        (NAMES, {"s3:ListBucket under db/", "s3:GetObject on db/*"}),
        ("%Y%m%d.dump", {"s3:ListBucket on the bucket", "s3:GetObject on *"}),
        ("db/%Y%m%d/", {"s3:ListBucket under db/", "s3:GetObject on db/*"}),
    ],
)
def test_permissions_are_known_before_any_query(names, permissions):
    found = {permission.text() for query in content(names=names).described() for permission in query.permissions()}

    assert permissions == found


@pytest.mark.parametrize("target", [BUCKET, BUCKET.model_copy(update={"endpoint_url": "http://minio:9000"}), FOLDER])
@pytest.mark.parametrize("names", ["%Y%m%d.sql.gz", "%Y%m%d.sql.zst", "%Y%m%d.dump"])
def test_the_commands_that_may_be_completed_name_what_findings_carry(target, names):
    one = content(target, names=names)
    commands = [command for remedy in one.remedies for command in remedy.commands]
    left = [command for command in commands if set(placeholders(command)) <= set(known_names(one))]

    assert not any(malformed(command) for command in commands)
    assert any("pg_dump" in command for command in left)
    assert any("aws" in command for command in left) == (target is not FOLDER)
    assert ("zstd" in one.packers) == names.endswith(".zst")


@pytest.mark.parametrize(
    ("names", "series", "within"),
    [
        ("db/%Y/%m/%d/{series}.dump", ["daily", "weekly"], None),
        ("db/%Y/%m/%d/{series}.dump", ["weekly"], None),
        ("db/{series}/%Y%m%d.dump", ["daily", "weekly"], 2 * 86400.0),
        ("db/%Y/%m/%d/weekly.dump", [], 2 * 86400.0),
    ],
)
def test_series_that_is_rarer_than_others_of_the_same_days_is_not_overlooked(names, series, within):
    """In the days that are looked at there are enough of the others, and so nobody would look further back."""
    listings = content(names=names, series=series).listings()

    assert {within} == {query.within_s for _, query in listings}
