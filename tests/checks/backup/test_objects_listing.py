"""What a listing tells of the backups of one series: nothing is lost, and nothing in the future is the newest."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.backup.test_objects import compared, dated, deleted_on_top, empty_size, kept
from opscheck import S3Target
from opscheck.systems.backup.objects import BackupObjects
from opscheck.systems.backup.series import Backup, Series
from opscheck.systems.stores.content import ManifestValue
from opscheck.systems.stores.listing import ListBackups, Listing, StoredBackup
from opscheck.testing import NOON, expect

QUERY = ListBackups("target", "db/*.dump")
EXPECTATION = expect(
    BackupObjects,
    S3Target(kind="s3", bucket="backups"),
    names="db/*.dump",
    time_from="modified",
    age={"P1": "1d"},
    size_share={"P2": "80%"},
    count={"P2": 1},
    kept_for="7d",
)


def backup(number: int, hours: float, size: int = 100) -> Backup:
    at = NOON - timedelta(hours=hours)
    return Backup(StoredBackup(key=f"db/{number}.dump", size=size, modified=at), at)


def series(*backups: Backup, **listing) -> Series:
    return Series("", QUERY, Listing(backups=tuple(one.stored for one in backups), **listing), backups)


HOURS = st.lists(st.integers(-100, 1000), max_size=10)
VALUES = st.one_of(st.none(), st.booleans(), st.floats(allow_nan=True), st.text(max_size=30), st.just("2026-03-01"))


@given(HOURS, st.lists(VALUES, max_size=3))
def test_backup_is_judged_once_and_a_future_one_is_not_newest(hours, values):
    backups = [backup(number, one) for number, one in enumerate(hours)]
    manifests = {f"db/{number}.dump": ManifestValue(value=value) for number, value in enumerate(values)}

    found = dated(EXPECTATION, series(*backups), manifests, NOON)

    told = [*found.backups, *found.future, *(one for one, _ in found.undated)]
    assert sorted(one.key for one in backups) == sorted(one.key for one in told)
    assert all(one.at <= NOON + timedelta(minutes=15) for one in found.backups)
    assert all(one.at > NOON + timedelta(minutes=15) for one in found.future)
    assert [one.at for one in found.backups] == sorted((one.at for one in found.backups), reverse=True)


def test_one_whose_manifest_was_not_read_is_never_the_newest():
    """All were copied anew a moment ago; manifests, of which the first three are read, know how old they are."""
    expectation = expect(
        BackupObjects,
        S3Target(kind="s3", bucket="backups"),
        names="db/*.dump",
        manifest={"key": "{key}.json", "time": "at"},
        age={"P1": "1d"},
    )
    copied = series(*(backup(number, number / 100) for number in range(1, 9)))
    old = (NOON - timedelta(days=30)).isoformat()

    read = {key: ManifestValue(value=old) for key in expectation.manifests(copied)}
    found = dated(expectation, copied, read, NOON)
    assert (NOON - timedelta(days=30), 8) == (found.newest.at, len(found.backups))

    silent = {key: ManifestValue(there=False) for key in expectation.manifests(copied)}
    found = dated(expectation, copied, silent, NOON)
    assert (None, 3, 5) == (found.newest, len(found.undated), len(found.backups))


@given(st.lists(st.integers(0, 10**12), min_size=1, max_size=12))
def test_whatever_the_sizes_a_share_is_a_number_or_nothing(sizes):
    backups = [backup(number, number, size) for number, size in enumerate(sizes)]

    found = compared(EXPECTATION, backups)

    assert (found is None) == (sum(size > 0 for size in sizes[1:]) < 3)


def test_empty_ones_and_old_ones_are_not_kept():
    backups = [backup(1, 1), backup(2, 2, size=0), backup(3, 7 * 24), backup(4, 7 * 24 + 1)]

    assert ["db/1.dump", "db/3.dump"] == [one.key for one in kept(EXPECTATION, backups, NOON)]


@pytest.mark.parametrize(
    ("key", "size"),
    [("db/a", 0), ("db.gz/a", 0), ("a.gz", 22), ("db/backup.sql.gz", 31), ("a.zst", 13), ("a.lz4", 15), ("a.GZ", 0)],
)
def test_an_empty_file_is_as_large_as_its_packing_makes_it(key, size):
    assert size == empty_size(key)


@pytest.mark.parametrize(
    ("listing", "text"),
    [
        ({}, "nothing under db/"),
        ({"elsewhere": ("logs/", "a")}, "nothing under db/; there are logs/, a"),
        ({"others": 3, "examples": ("db/x",)}, "no backup among 3 other objects under db/, such as db/x"),
    ],
)
def test_other_objects_are_reported(listing, text):
    assert text == series(**listing).found_instead


def test_only_the_newest_key_counts_as_deleted():
    marker = StoredBackup(key="db/2.dump", size=0, modified=NOON, deleted=True)
    one, two = backup(1, 1), backup(2, 5)
    listing = Listing(backups=(one.stored, marker, two.stored))

    assert deleted_on_top(Series("", QUERY, listing, (one, two), (marker,))) is None
    assert marker == deleted_on_top(Series("", QUERY, Listing(backups=(marker, two.stored)), (two,), (marker,)))
