"""What the names of backups say, and what of them can be listed by time."""

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opscheck.systems.stores.names import NameTemplate

NIGHT = datetime(2026, 11, 29, 2, 0, tzinfo=UTC)
DAILY = NameTemplate("database/backup-%Y%m%d-%H%M%S.sql.gz")
BY_DAY = NameTemplate("db/%Y/%m/%d/backup-%Y%m%d-%H%M%S.dump")


def test_time_zone_of_a_name_comes_from_the_policy():
    named = DAILY.read("database/backup-20261129-020000.sql.gz")

    assert NIGHT == named.in_zone(UTC)
    assert NIGHT - timedelta(hours=1) == named.in_zone(ZoneInfo("Europe/Berlin"))


@pytest.mark.parametrize(
    ("template", "name", "at"),
    [
        ("a-%Y-%m-%dT%H:%M:%S%z", "a-2026-11-29T02:00:00Z", NIGHT),
        ("a-%Y-%m-%dT%H:%M:%S%z", "a-2026-11-29T03:00:00+01:00", NIGHT),
        ("a-%Y-%m-%dT%H:%M:%S%z", "a-2026-11-28T2130-0430", None),
        ("a-%s.dump", f"a-{int(NIGHT.timestamp())}.dump", NIGHT),
        ("a-%y%m%d", "a-261129", NIGHT.replace(hour=0)),
        ("a-%Y.%j", "a-2026.333", NIGHT.replace(hour=0)),
        ("a-%Y%m%d%%", "a-20261129%", NIGHT.replace(hour=0)),
    ],
)
def test_directives_are_those_of_date(template, name, at):
    named = NameTemplate(template).read(name)

    assert at == (named and named.in_zone(UTC))


def test_a_zone_in_the_name_goes_before_the_policys():
    named = NameTemplate("a-%Y%m%dT%H%M%S%z").read("a-20261129T020000+0200")

    assert timezone(timedelta(hours=2)) == named.in_zone(UTC).tzinfo


@pytest.mark.parametrize(
    "name",
    [
        "database/backup-20260231-020000.sql.gz",
        "database/backup-20261329-020000.sql.gz",
        "database/backup-20261129-250000.sql.gz",
        "database/backup-20261129-020000.sql.gz.tmp",
        "old/database/backup-20261129-020000.sql.gz",
        "database/backup-20261129-020000.sqlxgz",
        "",
    ],
)
def test_name_that_does_not_fit_or_a_day_that_there_is_not_is_not_a_backup(name):
    assert DAILY.read(name) is None


def test_of_a_directive_that_stands_twice_the_last_place_counts():
    """A script that asks for the date twice may have begun the file after midnight in yesterday's folder."""
    named = BY_DAY.read("db/2026/11/28/backup-20261129-000001.dump")

    assert datetime(2026, 11, 29, 0, 0, 1, tzinfo=UTC) == named.in_zone(UTC)


def test_a_series_is_read_out_of_the_name():
    template = NameTemplate("dumps/{series}/%Y%m%d.dump")

    assert "orders" == template.read("dumps/orders/20261129.dump").series
    assert template.has_series
    assert "dumps/orders/" == template.of_series("orders").prefix


def test_a_star_stays_in_its_folder_and_two_do_not():
    assert NameTemplate("a/*-%Y%m%d").read("a/x/y-20261129") is None
    assert NameTemplate("a/**-%Y%m%d").read("a/x/y-20261129") is not None


def test_a_template_that_ends_with_a_slash_is_that_of_folders():
    template = NameTemplate("db/%Y%m%d/")

    assert template.is_folder
    assert "db/20261129/" == template.folder_of("db/20261129/toc.dat")
    assert template.folder_of("db/toc.dat") is None


@pytest.mark.parametrize(
    ("template", "start"),
    [
        ("db/backup-%Y%m%d-%H%M%S.dump", "db/backup-20261128-"),
        ("db/%Y/%m/%d/backup-%Y%m%d-%H%M%S.dump", "db/2026/11/28/backup-20261128-"),
        ("db/%Y-%m.dump", "db/2026-11.dump"),
        ("db/%d.%m.%Y.dump", ""),
        ("db/{series}/%Y%m%d.dump", ""),
        ("db/*-%Y%m%d.dump", ""),
        ("db/%s.dump", ""),
    ],
)
def test_names_are_listed_from_a_time_on_only_where_they_sort_by_it(template, start):
    assert start == NameTemplate(template).from_moment(NIGHT)


@given(st.integers(0, 4_000_000_000), st.integers(0, 400_000_000))
def test_no_backup_since_a_moment_sorts_before_its_start(moment, later):
    since, at = (datetime.fromtimestamp(seconds, UTC) for seconds in (moment, moment + later))
    for template in (DAILY, BY_DAY):
        assert template.from_moment(since) <= at.strftime(template.text)


@pytest.mark.parametrize(
    ("template", "told"),
    [
        ("a-%Q", "%Q"),
        ("a-{name}", "{name}"),
        ("{series}-{series}", "once"),
        ("/a", "slash"),
        ("", "slash"),
        ("a%", "%"),
    ],
)
def test_invalid_template_is_rejected_with_the_reason(template, told):
    with pytest.raises(ValueError, match=told):
        NameTemplate(template)


@pytest.mark.parametrize(("template", "says"), [("latest.dump", False), ("%H%M", False), ("%Y%m", False), ("%s", True)])
def test_a_template_knows_whether_its_names_say_the_day(template, says):
    assert says == NameTemplate(template).says_when


@given(st.text(max_size=40))
def test_any_text_is_read_or_is_not_a_backup(name):
    for template in (DAILY, BY_DAY, NameTemplate("{series}/**%s")):
        assert template.read(name) is None or template.prefix == name[: len(template.prefix)]
