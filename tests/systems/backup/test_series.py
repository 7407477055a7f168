"""Which backup is the newest of each series, in whatever order a store lists them."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from opscheck import S3Target
from opscheck.systems.backup.series import OfSeries
from opscheck.systems.stores.listing import Listing, StoredBackup
from opscheck.testing import NOON, expect

TARGET = S3Target(kind="s3", bucket="backups")


class Kept(OfSeries, check="tests.kept"):
    """Stands for every expectation of backups in a store."""


def series_of(*backups: StoredBackup, **fields):
    expectation = expect(Kept, TARGET, severity="P1", **fields)
    return expectation.each_series(lambda _: Listing(backups=backups))


def stored(key: str, modified: datetime = NOON, **fields) -> StoredBackup:
    return StoredBackup(key=key, size=1, modified=modified, **fields)


@given(st.permutations(range(12)))
def test_the_newest_is_that_of_the_latest_time_in_any_order_they_come(order):
    moments = [NOON - timedelta(hours=hours) for hours in order]
    backups = [stored(f"{at:db/%d-%m-%Y-%H%M%S}.dump", NOON + timedelta(minutes=n)) for n, at in enumerate(moments)]

    (series,) = series_of(*backups, names="db/%d-%m-%Y-%H%M%S.dump")

    assert sorted(moments, reverse=True) == [one.at for one in series.backups]
    assert NOON == series.newest.at


@given(st.sets(st.sampled_from("abcdef")), st.sets(st.sampled_from("abcdef")))
def test_each_expected_series_is_there_once_and_no_other(expected, there):
    backups = [stored(f"%Y/{name}".replace("%Y", "20260301")) for name in sorted(there)]

    found = series_of(*backups, names="%Y%m%d/{series}", series=sorted(expected))

    assert sorted(expected or there or {""}) == [one.name for one in found]
    assert (expected or there) & there == {one.name for one in found if one.newest}


def test_a_time_with_its_own_zone_needs_no_other():
    (series,) = series_of(stored("db-20260301T020000+0200"), names="db-%Y%m%dT%H%M%S%z", time_zone="Asia/Tokyo")

    assert datetime(2026, 3, 1, 0, tzinfo=UTC) == series.newest.at


def test_an_hour_that_comes_twice_is_the_earlier_one():
    # At the end of summer time; the earlier one makes the backup older, and no limit is kept by mistake.
    (series,) = series_of(stored("db-20251026-023000"), names="db-%Y%m%d-%H%M%S", time_zone="Europe/Berlin")

    assert datetime(2025, 10, 26, 0, 30, tzinfo=UTC) == series.newest.at


def test_a_name_of_the_first_or_the_last_day_of_all_is_a_time():
    names = {"names": "%Y%m%d-%H%M%S"}

    (first,) = series_of(stored("00010101-000000"), time_zone="Asia/Tokyo", **names)
    (last,) = series_of(stored("99991231-235959"), time_zone="America/New_York", **names)

    assert (1, 9999) == (first.newest.at.year, last.newest.at.year)


def test_of_two_with_one_time_the_newest_is_that_which_was_written_last():
    (series,) = series_of(stored("20260301-a", NOON), stored("20260301-b", NOON + timedelta(days=9)), names="%Y%m%d-*")

    assert ["20260301-a", "20260301-b"] == [one.key for one in series.backups]

    (series,) = series_of(
        stored("20260301-000000-b", NOON), stored("20260301-000000-a", NOON + timedelta(1)), names="%Y%m%d-%H%M%S-*"
    )
    assert "20260301-000000-a" == series.newest.key


def test_a_delete_marker_is_not_a_backup():
    marker = stored("20260301", deleted=True)

    (series,) = series_of(marker, names="%Y%m%d")

    assert (None, (marker,)) == (series.newest, series.markers)


def test_a_series_is_called_as_the_policy_would_write_it():
    (series,) = series_of(stored("db/50%/20260301"), names="db/{series}/%Y%m%d")

    assert ("50%", "db/50%%/%Y%m%d", "db/50%/") == (series.name, series.template, series.prefix)
