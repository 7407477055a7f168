"""The holders of dead rows, without a server."""

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


def test_holder_is_described_in_one_line():
    assert describe_holder(SESSION) == (
        "session 7 of an unnamed application as app in database shop, idle in transaction, "
        "since 2026-03-01 11:00:00 UTC"
    )
    assert "prepared transaction tx in database shop, since 2026-03-01 11:00:00 UTC" == describe_holder(PREPARED)
    assert "replication slot s in database stock, without a consumer" == describe_holder(SLOT)
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
def test_only_holders_that_can_be_ended_have_a_command(holder, remedies, facts):
    assert ending(holder) == (remedies, facts)
    assert WAIT_OR_END.commands == ()


@pytest.mark.parametrize("holder", [SESSION, PREPARED])
def test_holder_older_than_the_vacuum_keeps_rows(holder):
    assert holder == holder_of_rows((holder,), "shop", NOON)
    assert holder_of_rows((holder,), "shop", NOON - 2 * HOUR) is None
    assert holder_of_rows((holder,), "shop", None) is None


def test_session_keeps_rows_of_its_own_database_only():
    assert holder_of_rows((SESSION,), "stock", NOON) is None


def test_catalog_slot_keeps_no_table_rows():
    assert holder_of_rows((CATALOG,), "shop", NOON) is None


def test_much_younger_holder_does_not_cause_the_age():
    assert STANDBY == holder_of_age((STANDBY,), "shop", 80)
    assert holder_of_age((STANDBY,), "shop", 81) is None
