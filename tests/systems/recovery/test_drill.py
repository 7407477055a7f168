"""What a policy may say of restore drills."""

import pytest
from pydantic import ValidationError

from opscheck.core.remedy import Former
from opscheck.core.templates import malformed, unknown_names
from opscheck.systems.backup.series import Backup
from opscheck.systems.postgres.target import PostgresTarget
from opscheck.systems.recovery.drill import RestoreDrill
from opscheck.systems.recovery.drill_record import DRILLS, LastDrill, PerformDrill
from opscheck.systems.recovery.drilled import FAILED, OVERDUE, Drilled
from opscheck.systems.recovery.target import AssertionLimits
from opscheck.systems.stores.listing import ListBackups, Listing, StoredBackup
from opscheck.systems.stores.target import FolderTarget, S3Target
from opscheck.testing import NOON

FOLDER = FolderTarget(kind="folder", path="/mnt/backups").named("target")
BUCKET = S3Target(kind="s3", bucket="backups", endpoint_url="https://s3.example.com").named("target")
SCRATCH = PostgresTarget(kind="postgres", dsn="postgresql://u:p@h/scratch", scratch=True).named("scratch")
OTHER = PostgresTarget(kind="postgres", dsn="postgresql://u:p@h/orders").named("orders")
TARGETS = {"target": FOLDER, "bucket": BUCKET, "scratch": SCRATCH, "orders": OTHER}
COUNT = {"name": "orders", "sql": "SELECT count(*) FROM orders"}


def drill(**fields):
    usual = {"id": "restore", "check": "recovery.drill", "target": "target", "names": "db-%Y%m%d-%H.dump"}
    given = {**usual, "scratch": "embedded", "severity": "P1", **fields}
    return RestoreDrill.model_validate(given, context={"targets": TARGETS})


def drilled(**fields):
    given = {"id": "practised", "check": "recovery.drilled", "drill": "restore", "age": {"P2": "30d"}, **fields}
    return Drilled.model_validate(given, context={"targets": TARGETS})


@pytest.mark.parametrize("target", ["target", "bucket"])
def test_the_advice_is_well_formed_and_names_what_there_is(target):
    for expectation in (drill(target=target), drilled()):
        for command in (one for remedy in expectation.remedies for one in remedy.commands):
            assert [] == malformed(command)
            assert {name for name, _ in unknown_names(command, expectation)} <= {"endpoint_option"}


def test_former_names_of_facts_stand_for_todays():
    assert {"location", "url", "file"} == {former.fact for former in RestoreDrill.former_fact_names.values()}
    assert {"overdue": Former("drill", OVERDUE), "failed": Former("drill", FAILED)} == Drilled.former_fact_names


def test_it_writes_and_looking_back_does_not():
    assert (True, False) == (RestoreDrill.changes_its_target, Drilled.changes_its_target)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"scratch": "orders"}, "scratch: true"),
        ({"scratch": "target"}, "kind postgres"),
        ({"scratch": "nowhere"}, "the name of a target"),
        ({"scratch": 3}, "embedded"),
        ({"names": "{series}-%Y%m%d.dump"}, "one series"),
        ({"names": "{series}-%Y%m%d.dump", "series": ["a", "b"]}, "one series"),
        ({"newest": "SELECT max(at) FROM orders"}, "`age` with `newest`"),
        ({"rto": {"P1": "30m"}, "within": "20m"}, "at least as long as"),
        ({"assertions": [COUNT]}, "`at_least` and `at_most`"),
        ({"assertions": [COUNT | {"at_least": 1, "equals": 1}]}, "`at_least` and `at_most`"),
        ({"assertions": [COUNT | {"at_least": 1, "newest_within": "1h"}]}, "`at_least` and `at_most`"),
        ({"assertions": [COUNT | {"at_least": 2, "at_most": 1}]}, "no more than"),
        ({"assertions": [COUNT | {"equals": 1}, COUNT | {"equals": 1}]}, "a name of its own"),
        ({"assertions": [{"name": "x", "sql": "DELETE FROM orders", "equals": 1}]}, "begins with SELECT"),
        ({"severity": None}, "severity"),
    ],
)
def test_contradictory_fields_are_rejected(fields, words):
    with pytest.raises(ValidationError, match=words):
        drill(**fields)


def test_a_scratch_server_is_the_target_of_that_name():
    assert SCRATCH == drill(scratch="scratch").place.scratch
    assert drill().place.scratch is None


def test_it_is_given_up_after_twice_the_time_that_recovery_may_take():
    assert 7200.0 == drill(rto={"P2": "30m", "P1": "1h"}).within_s
    assert 3600.0 == drill().within_s
    assert 120.0 == drill(within="2m").within_s
    assert drill(within="2m").extra_time_s > 120.0


def test_the_newest_by_the_time_of_its_data_is_restored():
    stored = [
        StoredBackup(key="db-20260227-02.dump", size=9, modified=NOON),
        StoredBackup(key="db-20260228-02.dump", size=9, modified=NOON.replace(hour=3)),
    ]
    (query,) = drill().follow_up_queries(lambda _: Listing(backups=tuple(stored)))

    assert isinstance(query, PerformDrill)
    assert ("db-20260228-02.dump", 28) == (query.key, query.data_time.day)
    assert [] == drill().follow_up_queries(lambda _: Listing(backups=()))


def test_queries_are_shown_before_the_newest_backup_is_known():
    listing, performed = drill(target="bucket", scratch="scratch").described()

    assert isinstance(listing, ListBackups)
    assert [("target", "s3:GetObject on db-*"), ("scratch", "CREATEDB")] == [
        (target, permission.text().partition(":")[0] if "CREATEDB" in permission.text() else permission.text())
        for target, permission in performed.permissions_by_target()
    ]


def test_the_mildest_limits_are_those_that_a_drill_must_keep():
    limits = drill(
        rto={"P2": "30m", "P1": "1h"},
        age={"P3": "1h", "P0": "1d"},
        assertions=[COUNT | {"at_least": 1}, {"name": "paid", "sql": "SELECT max(at) FROM p", "newest_within": "1h"}],
    ).place.limits

    assert (1800.0, 3600.0) == (limits.recovered_within_s, limits.newest_within_s)
    assert AssertionLimits(at_least=1) == limits.assertions["orders"]
    assert AssertionLimits(newest_within_s=3600) == limits.assertions["paid"]


def test_query_has_no_limits_so_a_snapshot_fits_other_limits():
    def asked(**limits):
        backup = Backup(StoredBackup(key="k", size=1, modified=NOON), NOON)
        return drill(within="2h", **limits).drill_of(backup)

    one, other = (
        asked(rto={"P1": rto}, assertions=[COUNT | {"at_least": least}]) for rto, least in (("1m", 1), ("2m", 9))
    )
    assert one == other


def test_drills_are_kept_under_the_expectation_any_backup_it_was():
    kept = drill().drill_of(Backup(StoredBackup(key="k", size=1, modified=NOON), NOON)).remembered_as

    assert (
        LastDrill(DRILLS, "restore")
        == kept
        == drilled().last.remembered_as
        == drilled(record="r.json").last.remembered_as
    )
    assert drilled(record="r.json").last != kept


def test_every_target_that_is_asked_or_remembered_is_named():
    for expectation in (drill(), drilled(), drilled(record="drill.json")):
        names = {target.name for target in expectation.systems}
        queries = [query for query in expectation.described() if isinstance(query, PerformDrill | LastDrill)]
        assert {name for query in queries for name in (query.target, query.remembered_as.target)} <= names
