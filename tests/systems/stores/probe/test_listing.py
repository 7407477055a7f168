"""Which backups a store tells of; the same on both S3 servers and in a folder."""

from datetime import UTC, datetime, timedelta

import pytest

from opscheck.core.observation import ProblemKind
from opscheck.systems.stores.listing import ListBackups
from tests.servers.s3 import FolderPlace, keep_versions

NOW = datetime.now(UTC)
DAILY = "db/backup-%Y%m%d-%H%M%S.dump"


def daily(store, days: range, size: int = 100) -> list[str]:
    """A backup of each of these days ago."""
    keys = []
    for ago in days:
        at = NOW - timedelta(days=ago)
        keys.append(f"db/backup-{at:%Y%m%d-%H%M%S}.dump")
        store.put(keys[-1], b"x" * size, modified=at)
    return keys


def test_matching_objects_have_size_and_time(store):
    at = datetime(2026, 3, 1, 2, 0, 5, tzinfo=UTC)
    store.put("db/backup-20260301-020000.dump", b"x" * 5000, modified=at)
    store.put("db/backup-notes.txt")

    listing = store.ask(ListBackups("target", DAILY))

    (found,) = listing.backups
    assert ("db/backup-20260301-020000.dump", 5000, at) == (found.key, found.size, found.modified)
    assert (1, ("db/backup-notes.txt",)) == (listing.others, listing.examples)


def test_unfinished_files_and_folder_markers_are_not_backups(store):
    for key in ("db/a.tmp", "db/a.part", "db/a.partial"):
        store.put(key)

    listing = store.ask(ListBackups("target", "db/*"))

    assert ((), 0) == (listing.backups, listing.others)


def test_a_marker_of_a_folder_is_none(moto_bucket):
    moto_bucket.put("db/", b"")

    assert () == moto_bucket.ask(ListBackups("target", "db/**")).backups


def test_more_than_a_page_is_listed_whole(paged_bucket):
    for number in range(13):
        paged_bucket.put(f"db/{number:04}.dump", b"x")

    listing = paged_bucket.ask(ListBackups("target", "db/*.dump"))

    assert [f"db/{number:04}.dump" for number in range(13)] == [one.key for one in listing.backups]
    assert 3 == listing.requests


@pytest.mark.parametrize("kind", ["rclone", "folder"])
def test_a_thousand_and_more_are_listed_whole(kind, open_bucket, tmp_path):
    place = FolderPlace(tmp_path) if kind == "folder" else open_bucket(kind)
    for number in range(1003):
        place.put(f"db/{number:04}.dump", b"x")

    listing = place.ask(ListBackups("target", "db/*.dump"))

    assert [f"db/{number:04}.dump" for number in range(1003)] == [one.key for one in listing.backups]
    assert 2 == listing.requests


def test_only_the_last_days_are_listed_where_names_begin_with_their_time(store):
    keys = daily(store, range(40))

    listing = store.ask(ListBackups("target", DAILY, within_s=2 * 86400))

    assert sorted(keys[:4]) == [one.key for one in listing.backups]
    assert (1, f"db/backup-{NOW - timedelta(days=3):%Y%m%d}-") == (listing.requests, listing.since)


def test_where_the_last_days_hold_nothing_it_is_looked_further_back(store):
    (key,) = daily(store, range(300, 301))

    listing = store.ask(ListBackups("target", DAILY, within_s=2 * 86400))

    assert [key] == [one.key for one in listing.backups]
    assert listing.requests <= 3


def test_as_many_are_looked_for_as_are_asked_for(store):
    keys = daily(store, range(0, 80, 10))

    listing = store.ask(ListBackups("target", DAILY, within_s=2 * 86400, least=8))

    assert sorted(keys) == [one.key for one in listing.backups]


def test_one_of_the_future_is_seen(store):
    keys = daily(store, range(-400, -399))

    assert keys == [one.key for one in store.ask(ListBackups("target", DAILY, within_s=86400)).backups]


def test_other_objects_are_reported_when_no_name_matches(store):
    store.put("logs/today.txt")
    store.put("readme")

    listing = store.ask(ListBackups("target", DAILY, within_s=86400))

    assert ((), ("logs/", "readme")) == (listing.backups, listing.elsewhere)


def test_a_folder_can_be_one_backup(store):
    for number, size in enumerate((10, 20, 30)):
        at = datetime(2026, 3, 1, 2, number, tzinfo=UTC)
        store.put(f"base/20260301/part-{number}", b"x" * size, modified=at)
    store.put("base/20260302/part-0", b"x", modified=datetime(2026, 3, 2, tzinfo=UTC))

    first, second = store.ask(ListBackups("target", "base/%Y%m%d/")).backups

    assert ("base/20260301/", 60, 3, datetime(2026, 3, 1, 2, 2, tzinfo=UTC)) == (
        first.key,
        first.size,
        first.objects,
        first.modified,
    )
    assert "base/20260302/" == second.key


def test_odd_names_are_listed_as_they_are(store):
    keys = ["db/a b.dump", "db/ä+&.dump", "db/%20.dump"]
    for key in keys:
        store.put(key)

    assert sorted(keys) == [one.key for one in store.ask(ListBackups("target", "db/*.dump")).backups]


def test_versions_and_what_was_deleted_are_reported_newest_first(moto_bucket):
    keep_versions(moto_bucket)
    moto_bucket.put("latest.dump", b"x")
    moto_bucket.put("latest.dump", b"xx")
    moto_bucket.client.delete_object(Bucket=moto_bucket.bucket, Key="latest.dump")

    listing = moto_bucket.ask(ListBackups("target", "latest.dump", versions=True))

    assert [(True, 0), (False, 2), (False, 1)] == [(one.deleted, one.size) for one in listing.backups]
    assert 3 == len({one.version for one in listing.backups})


def test_versions_on_more_than_a_page_are_reported_once_each(paged_bucket):
    keep_versions(paged_bucket)
    for number in range(23):
        paged_bucket.put(f"{number % 3}", b"x")

    listing = paged_bucket.ask(ListBackups("target", "*", versions=True))

    assert 23 == len({(one.key, one.version) for one in listing.backups}) == len(listing.backups)


def test_a_folder_has_no_versions(tmp_path):
    problem = FolderPlace(tmp_path).ask(ListBackups("target", "*", versions=True))

    assert ProblemKind.UNSUPPORTED == problem.kind
