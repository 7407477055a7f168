"""What was found in a backup, in words and facts."""

from datetime import UTC, datetime

import pytest

from checks.backup.test_content import (
    expected_content,
    flaw_text,
    look_into,
    make_again,
    new_key,
    origin,
    recorded_sum,
)
from checks.backup.test_content import test_the_newest_backup_is_whole as check
from opscheck.systems.backup.content import BROKEN, BROKEN_PACKED, DUMP, DUMP_DATABASE, PUBLISH, BackupContent
from opscheck.systems.backup.series import Backup, Series, Suggestion
from opscheck.systems.stores.content import Checksum, Content, DumpHeader, Flaw, ManifestValue
from opscheck.systems.stores.listing import ListBackups, Listing, StoredBackup
from opscheck.systems.stores.target import FolderTarget, S3Target
from opscheck.testing import expect, judge

NOW = datetime(2026, 3, 1, 23, 30, tzinfo=UTC)
SUM = "0123456789abcdef" * 4
BUCKET = S3Target(kind="s3", bucket="backups")
MINIO = S3Target(kind="s3", bucket="backups", endpoint_url="http://minio:9000")
FOLDER = FolderTarget(kind="folder", path="/mnt/backups/")


def expectation(target=BUCKET, **fields) -> BackupContent:
    given = {"names": "db/{series}-%Y%m%d.dump", "depth": "whole", "severity": "P1"} | fields
    return expect(BackupContent, target, **given)


def backup(key: str = "db/orders-20260228.dump") -> Backup:
    return Backup(StoredBackup(key=key, size=1000, modified=NOW), NOW)


def series(name: str = "orders", template: str = "db/{series}-%Y%m%d.dump") -> Series:
    return Series(name, ListBackups("target", template), Listing(backups=()))


def content(*, packed_with: tuple[str, ...] = (), format_: str = "custom", database: str = "shop") -> Content:
    header = DumpHeader(database=database, dumped_by="18.1", dumped_from="16.2")
    return Content(size=2_000_000, read=1, packed_with=packed_with, format=format_, header=header)


@pytest.mark.parametrize(
    ("flaw", "text"),
    [
        (Flaw(trouble="cut_off", text="it ends", at=2_000_000), "it ends, after all 2MB"),
        (Flaw(trouble="damaged", text="it is damaged", at=1000), "it is damaged, after 1KB of 2MB"),
        (Flaw(trouble="cut_off", text="it ends"), "it ends"),
        (Flaw(trouble="empty", text="nothing is in it"), "nothing is in it: 2MB of zstd"),
    ],
)
def test_a_flaw_is_reported_with_the_place_where_it_was_noticed(flaw, text):
    assert text == flaw_text(content(packed_with=("zstd", "gzip")), flaw)


def test_expected_content_follows_from_the_policy():
    cut, large = Flaw(trouble="cut_off", text=""), Flaw(trouble="too_large", text="")

    assert "a whole PostgreSQL dump" == expected_content(expectation(), cut)
    assert "a whole tar" == expected_content(expectation(holds="tar"), cut)
    assert "whole, and not empty" == expected_content(expectation(holds="any"), cut)
    assert "<= 5GB" == expected_content(expectation(unpacked_limit="5GB"), large)


def test_packings_are_reported_from_the_inside_out():
    assert "format: custom, packed with gzip in zstd" == next(origin(content(packed_with=("zstd", "gzip"))))


@pytest.mark.parametrize(
    ("record", "found"),
    [
        (Checksum(sha256=SUM), SUM),
        (Checksum(there=False), ""),
        (ManifestValue(value=f" SHA256:{SUM}"), ""),
        (ManifestValue(value=f"sha256:{SUM.upper()}"), SUM),
        (ManifestValue(value=SUM[:-1]), ""),
        (ManifestValue(value=SUM[:-1] + "x"), ""),
        (ManifestValue(value=12345), ""),
        (ManifestValue(value=None), ""),
        (ManifestValue(there=False), ""),
    ],
)
def test_a_record_that_is_not_a_sha256_is_none(record, found):
    assert found == recorded_sum(record)


def test_a_new_one_is_named_as_the_policy_says_in_its_zone():
    assert "db/orders-20260301.dump" == new_key(expectation(), series(), NOW)
    assert "db/orders-20260302.dump" == new_key(expectation(time_zone="Europe/Berlin"), series(), NOW)


@pytest.mark.parametrize("names", ["db/{series}-*-%Y%m%d.dump", "db/{series}.dump"])
def test_a_name_that_cannot_be_made_up_is_that_of_the_old_one(names):
    one = expectation(names=names, time_from="modified")

    assert "" == new_key(one, series(template=names), NOW)
    found = make_again(one, series(template=names), backup(), content(), NOW)
    assert "orders-20260228.dump" == found.facts["new_dump"]


@pytest.mark.parametrize(
    ("target", "facts"),
    [
        (BUCKET, {"published": "s3://backups/db/orders-20260301.dump"}),
        (MINIO, {"published": "s3://backups/db/orders-20260301.dump"}),
        (FOLDER, {}),
    ],
)
def test_where_a_new_one_belongs_is_reported_in_the_form_of_its_store(target, facts):
    found = make_again(expectation(target), series(), backup(), content(), NOW)
    file = "/mnt/backups/db/orders-20260301.dump" if target is FOLDER else "orders-20260301.dump"

    assert facts | {"database": "shop", "new_dump": file} == found.facts
    assert [DUMP_DATABASE, *([] if target is FOLDER else [PUBLISH])] == list(found.remedies)


def test_dump_that_does_not_tell_its_database_leaves_that_to_the_person():
    found = make_again(expectation(), series(), backup(), content(database=""), NOW)

    assert (DUMP, PUBLISH) == found.remedies
    assert "new_dump" in found.facts
    assert "database" not in found.facts


@pytest.mark.parametrize(
    ("names", "packed_with", "packer"),
    [
        ("db/{series}-%Y%m%d.sql.gz", ("gzip",), "gzip"),
        ("db/{series}-%Y%m%d.sql.gz", (), "gzip"),
        ("db/{series}-%Y%m%d.bin", ("zstd",), "zstd"),
        ("db/{series}-%Y%m%d.bin", (), ""),
        ("db/{series}-%Y%m%d.sql", ("zstd",), ""),
        ("db/{series}-%Y%m%d.sql.gz", ("zstd",), ""),
    ],
)
def test_the_program_that_packs_is_that_of_the_name_and_of_the_bytes(names, packed_with, packer):
    """Where the two disagree no command is right."""
    one = expectation(names=names)
    found = look_into(one, backup(), content(packed_with=packed_with, format_="plain"))

    assert (BROKEN_PACKED[packer] if packer else BROKEN,) == found.remedies
    assert ({"url": "s3://backups/db/orders-20260228.dump"} if packer else {}) == found.facts


def test_where_there_is_none_the_folder_of_them_is_named():
    def facts(target):
        (finding,) = judge(check, expectation(target, series=["orders"]), lambda _: Listing(backups=())).violations
        return finding.facts

    assert {"location": "s3://backups/db/"} == facts(BUCKET)
    assert {"folder": "/mnt/backups/db"} == facts(FOLDER)


def test_no_new_dump_is_made_of_what_is_not_a_dump():
    assert Suggestion() == make_again(expectation(holds="any"), series(), backup(), content(), NOW)
