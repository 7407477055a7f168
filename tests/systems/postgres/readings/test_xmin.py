"""Who keeps dead rows, without a server."""

from datetime import UTC, datetime, timedelta

import pytest

from opscheck import PostgresTarget
from opscheck.systems.postgres.readings.vacuum import database_ages
from opscheck.systems.postgres.readings.xmin import held_back, holder_facts, holder_of_age, holder_of_rows, told
from opscheck.systems.postgres.vacuum import Ages, DatabaseAge, HolderKind, PostgresVacuum, XminHolder, XminHolders
from opscheck.testing import expect

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
TARGET = PostgresTarget(kind="postgres", dsn="postgresql://h/shop")

SESSION = XminHolder(
    kind=HolderKind.SESSION,
    name="",
    age=10,
    database="shop",
    role="app",
    pid=7,
    state="idle in transaction",
    since=NOON - HOUR,
)
PREPARED = XminHolder(kind=HolderKind.PREPARED, name="tx", age=20, database="shop", since=NOON - HOUR)
SLOT = XminHolder(kind=HolderKind.SLOT, name="s", age=30, database="stock", active=False)
USED_SLOT = XminHolder(kind=HolderKind.SLOT, name="s", age=30, pid=8)
CATALOG = XminHolder(kind=HolderKind.SLOT, name="c", age=5_000_000, active=False, catalog_only=True)
STANDBY = XminHolder(kind=HolderKind.STANDBY, name="replica", age=40, role="replicator", pid=9)


def test_who_it_is_stands_in_a_line():
    assert told(SESSION) == (
        "session 7 of an application without a name as app in database shop, idle in transaction, "
        "since 2026-03-01 11:00:00 UTC"
    )
    assert "prepared transaction tx in database shop, since 2026-03-01 11:00:00 UTC" == told(PREPARED)
    assert "replication slot s in database stock, nobody reads from it" == told(SLOT)
    assert "replication slot s" == told(USED_SLOT)
    assert "standby replica of replica as replicator" == told(STANDBY)


@pytest.mark.parametrize(
    ("holder", "facts"),
    [
        (SESSION, {"holder_pid": "7", "holder_since": "2026-03-01T11:00:00+00:00"}),
        (PREPARED, {"holder_gid": "tx", "holder_database": "shop"}),
        (SLOT, {"holder_slot": "s"}),
        (USED_SLOT, {}),
        (STANDBY, {}),
        (None, {}),
    ],
)
def test_only_what_can_be_ended_from_here_is_a_fact(holder, facts):
    assert facts == holder_facts(holder)


@pytest.mark.parametrize("holder", [SESSION, PREPARED])
def test_a_vacuum_after_it_began_had_to_leave_what_it_keeps(holder):
    assert holder == holder_of_rows((holder,), "shop", NOON)
    assert holder_of_rows((holder,), "shop", NOON - 2 * HOUR) is None
    assert holder_of_rows((holder,), "shop", None) is None


def test_a_session_keeps_the_rows_of_its_own_database_alone():
    assert holder_of_rows((SESSION,), "stock", NOON) is None


def test_a_slot_that_keeps_catalogs_keeps_no_rows_of_tables():
    assert holder_of_rows((CATALOG,), "shop", NOON) is None


def test_who_is_much_younger_than_a_database_does_not_hold_it():
    assert STANDBY == holder_of_age((STANDBY,), "shop", 80)
    assert holder_of_age((STANDBY,), "shop", 81) is None


def test_time_is_judged_where_it_is_known():
    expectation = expect(PostgresVacuum, TARGET, oldest_xmin={"P3": 35}, oldest_xmin_held={"P2": "30m"})
    found = list(held_back(expectation, XminHolders(holders=(STANDBY, PREPARED, SESSION), clock=NOON)))

    assert [
        ("transactions kept", "standby replica"),
        ("time kept", "prepared transaction tx"),
        ("time kept", "session 7"),
    ] == [(one.name, one.subject) for one in found]


def test_a_database_that_nobody_may_connect_to_leads_to_no_command():
    template = DatabaseAge(name="template0", xid_age=2**30, multixact_age=0, connectable=False)
    ages = Ages(databases=(template,), freeze_max_age=10, multixact_freeze_max_age=10)
    (number,) = database_ages(expect(PostgresVacuum, TARGET, xid_age={"P2": "40%"}), ages, ())

    assert 50 == number.observed
    assert {} == number.facts
    assert ("nobody may connect there: only autovacuum freezes it",) == number.evidence


def test_other_databases_beyond_the_limit_are_told_beside_the_oldest():
    databases = tuple(
        DatabaseAge(name=f"d{number}", xid_age=2**30 + number, multixact_age=2**29, connectable=True)
        for number in range(8)
    )
    ages = Ages(databases=databases, freeze_max_age=10, multixact_freeze_max_age=10)
    limits = {"xid_age": {"P2": "40%"}, "multixact_age": {"P2": "40%"}}
    xid, multixact = database_ages(expect(PostgresVacuum, TARGET, **limits), ages, (STANDBY,))

    assert ("database d7", {"freeze_database": "d7"}) == (xid.subject, xid.facts)
    assert ("also beyond: d6 50%, d5 50%, d4 50%, d3 50%, d2 50% and 2 more",) == xid.evidence
    assert () == multixact.evidence
