"""What a policy may say of backups in stores, and what it is told when it may not."""

from datetime import timedelta

import pytest
from pydantic import ValidationError

from opscheck import FolderTarget, S3Target
from opscheck.core.units import Severity
from opscheck.systems.backup.bucket import BackupBucket
from opscheck.systems.backup.objects import BackupObjects
from opscheck.systems.stores.content import ReadManifest
from opscheck.systems.stores.listing import ListBackups, Listing, ListUploads
from opscheck.testing import expect

BUCKET = S3Target(kind="s3", bucket="backups")
FOLDER = FolderTarget(kind="folder", path="/mnt/backups")
AGE = {"P2": "26h", "P1": "2d"}


def objects(target=BUCKET, **fields) -> BackupObjects:
    return expect(BackupObjects, target, **{"names": "db/%Y%m%d.dump", "age": AGE, **fields})


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"names": "db/*.dump"}, "`time_from: modified`"),
        ({"names": "db/%d-%H.dump"}, "`time_from: modified`"),
        ({"names": "/db/%Y%m%d"}, "a key that begins without a slash"),
        ({"names": "db/%Q"}, "%Q is not known"),
        ({"names": "{series}/{series}/%Y%m%d"}, "{series} can stand there once"),
        ({"series": ["orders"]}, "{series} in `names`"),
        ({"names": "{series}/%Y%m%d", "series": ["a", "a"]}, "each series once"),
        ({"names": "{series}/%Y%m%d", "series": ["a/b"]}, "a word of the names"),
        ({"time_zone": "Europe/Atlantis"}, "the name of a time zone"),
        ({"manifest": {"key": "manifest.json", "time": "start"}}, "a key with {key} in it once"),
        ({"manifest": {"key": "{key}", "time": "start"}}, "a key with {key} in it once"),
        ({"manifest": {"key": "{key}.json", "time": "start["}}, "a JMESPath expression"),
        ({"kept_for": "30d"}, "`count` with kept_for"),
        ({"kept_for": "0s", "count": {"P2": 1}}, "a duration longer than 0s"),
        ({"count": {"P2": 0}}, "more than 0"),
        ({"size_floor": {"P2": "0B"}}, "more than 0"),
        ({"size_share": {"P2": "0%"}}, "more than 0%"),
        ({"versions": True, "names": "db/%Y%m%d/"}, "`names` of objects"),
        ({"versions": True, "manifest": {"key": "{key}.json", "time": "a"}}, "no `manifest` with versions"),
        ({"cronjob": "dump"}, "String should match pattern"),
        ({"age": None}, "at least one limit"),
    ],
)
def test_unjudgeable_fields_are_rejected_with_advice(fields, text):
    with pytest.raises(ValidationError, match=r"(?s).*") as raised:
        objects(**fields)

    assert text in str(raised.value)


@pytest.mark.parametrize("fields", [{"unfinished_uploads": {"P3": "7d"}}, {"versions": True}])
def test_a_folder_has_neither_uploads_nor_versions(fields):
    with pytest.raises(ValidationError, match="a target of kind s3"):
        objects(FOLDER, **fields)


def test_names_without_a_date_are_allowed_where_something_else_tells_the_time():
    objects(names="db/*.dump", time_from="modified")
    objects(names="db/*.dump", manifest={"key": "{key}.json", "time": "start"})


@pytest.mark.parametrize(
    ("fields", "within"),
    [
        ({}, timedelta(days=2, minutes=15)),
        ({"count": {"P2": 7}, "kept_for": "30d"}, timedelta(days=30, minutes=15)),
        ({"count": {"P2": 7}}, None),
        ({"age": None, "size_floor": {"P2": "1KB"}}, timedelta(days=1, minutes=15)),
        ({"time_from": "modified"}, None),
        ({"names": "{series}/%Y%m%d"}, None),
        ({"names": "%Y%m%d/{series}", "series": ["a", "b"]}, timedelta(days=2, minutes=15)),
        ({"names": "%Y%m%d/{series}", "series": ["a", "b"], "age": None, "size_floor": {"P2": "1KB"}}, None),
    ],
)
def test_it_looks_back_as_far_as_its_limits_reach(fields, within):
    (listing,) = objects(**fields).queries()

    assert (within and within.total_seconds()) == listing.within_s


def test_each_series_that_is_named_is_asked_about_where_that_finds_less():
    before = objects(names="db/{series}/%Y%m%d.dump", series=["a", "b%"])
    after = objects(names="db/%Y%m%d/{series}.dump", series=["a", "b"])

    assert ["db/a/%Y%m%d.dump", "db/b%%/%Y%m%d.dump"] == [one.template for one in before.queries()]
    assert ["db/%Y%m%d/{series}.dump"] == [one.template for one in after.queries()]
    assert [1, 1, 2] == [one.least for one in (*before.queries(), *after.queries())]


def test_as_many_are_asked_for_as_the_size_is_compared_with():
    (listing,) = objects(size_share={"P2": "80%"}, compared_with=5).queries()

    assert 6 == listing.least


def test_queries_and_permissions_are_known_before_the_run():
    expectation = objects(
        names="db/%Y%m%d.dump",
        manifest={"key": "{key}.json", "time": "start"},
        unfinished_uploads={"P3": "7d"},
    )

    described = list(expectation.described())

    assert [ListBackups, ListUploads, ReadManifest] == [type(one) for one in described]
    assert ["s3:ListBucket under db/", "s3:ListBucketMultipartUploads on the bucket", "s3:GetObject on db/*"] == [
        permission.text() for query in described for permission in query.permissions()
    ]


def test_without_a_manifest_nothing_further_is_asked():
    def nothing(query):
        raise AssertionError(query)

    assert [] == list(objects().follow_up_queries(nothing))
    with_manifest = objects(manifest={"key": "{key}.json", "time": "a"})
    assert [] == list(with_manifest.follow_up_queries(lambda _: Listing(backups=())))


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({}, "at least one limit"),
        ({"versioning": False}, "at least one limit"),
        ({"versioning": True, "object_lock_mode": "compliance"}, "with object_lock_mode"),
        ({"versioning": True, "encrypted_with": "aws:kms"}, "`encryption: true` with encrypted_with"),
        ({"versioning": True, "severity": None}, "`severity`"),
    ],
)
def test_a_bucket_must_be_held_to_something(fields, text):
    with pytest.raises(ValidationError) as raised:
        expect(BackupBucket, BUCKET, **{"severity": "P2", **fields})

    assert text in str(raised.value)


def test_a_folder_is_not_a_bucket():
    with pytest.raises(ValidationError, match="a target of kind s3"):
        expect(BackupBucket, FOLDER, severity="P2", versioning=True)


def test_a_severity_of_its_own_counts_as_its_worst():
    assert Severity.P0 == expect(BackupBucket, BUCKET, severity="P2", policy_not_public="P0").worst_severity
