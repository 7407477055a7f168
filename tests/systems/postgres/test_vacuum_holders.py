"""What a server keeps dead rows for, without a server."""

from datetime import UTC, datetime, timedelta

import pytest

from opscheck.systems.postgres.vacuum import (
    DROP_SLOT,
    END_SESSION,
    ROLL_BACK,
    WAIT_OR_END,
    HolderKind,
    XminHolder,
    describe_holder,
    ending,
    holder_of_age,
    holder_of_rows,
)

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)

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
    assert describe_holder(SESSION) == (
        "session 7 of an application without a name as app in database shop, idle in transaction, "
        "since 2026-03-01 11:00:00 UTC"
    )
    assert "prepared transaction tx in database shop, since 2026-03-01 11:00:00 UTC" == describe_holder(PREPARED)
    assert "replication slot s in database stock, nobody reads from it" == describe_holder(SLOT)
    assert "replication slot s" == describe_holder(USED_SLOT)
    assert "standby replica of replica as replicator" == describe_holder(STANDBY)


@pytest.mark.parametrize(
    ("holder", "remedies", "facts"),
    [
        (SESSION, (END_SESSION,), {"pid": 7, "began": "2026-03-01T11:00:00+00:00"}),
        (PREPARED, (ROLL_BACK,), {"gid": "tx", "gid_database": "shop"}),
        (SLOT, (DROP_SLOT,), {"slot": "s"}),
        (USED_SLOT, (WAIT_OR_END,), {}),
        (STANDBY, (WAIT_OR_END,), {}),
        (None, (), {}),
    ],
)
def test_only_what_can_be_ended_from_here_has_a_command(holder, remedies, facts):
    assert ending(holder) == (remedies, facts)
    assert WAIT_OR_END.commands == ()


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
