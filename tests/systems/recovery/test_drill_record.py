"""Whether a drill has passed is the same in the drill's own process, and in the check that judges it."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from checks.recovery.test_drill import test_the_newest_backup_is_restored as check
from opscheck.core.observation import CouldNotObserve
from opscheck.systems.recovery.drill import RestoreDrill
from opscheck.systems.recovery.drill_record import (
    ASSERT,
    FETCH,
    RESTORE,
    TROUBLES,
    Asserted,
    Drill,
    Failure,
    Phase,
    reasons,
)
from opscheck.systems.stores.listing import ListBackups, Listing, StoredBackup
from opscheck.systems.stores.target import FolderTarget
from opscheck.testing import NOON, expect, judge

KEY = "db.dump"
FOLDER = FolderTarget(kind="folder", path="/mnt")
EXPECTED = expect(
    RestoreDrill,
    FOLDER,
    names=KEY,
    time_from="modified",
    scratch="embedded",
    rto={"P2": "10s", "P1": "20s"},
    age={"P2": "1h", "P0": "2h"},
    newest="SELECT max(at) FROM orders",
    assertions=[
        {"name": "orders", "sql": "SELECT 1", "at_least": 5, "at_most": 10},
        {"name": "exact", "sql": "SELECT 2", "equals": 3},
        {"name": "paid", "sql": "SELECT now()", "newest_within": "1h"},
    ],
)
LISTING = Listing(backups=(StoredBackup(key=KEY, size=1, modified=NOON),))

SECONDS = st.floats(0, 15).map(lambda seconds: round(seconds, 3))
TIMES = st.none() | st.integers(-10_000, 10_000).map(lambda seconds: NOON - timedelta(seconds=seconds))
NUMBERS = st.none() | st.integers(0, 12)


def _is_there(one):
    return one.number is not None or one.time is not None


@st.composite
def drills(draw):
    phases = tuple(Phase(name=name, seconds=draw(SECONDS)) for name in (FETCH, RESTORE, ASSERT))
    asserted = [Asserted(name=name, number=draw(NUMBERS)) for name in ("orders", "exact")]
    asserted.append(Asserted(name="paid", time=draw(TIMES)))
    answers = tuple(one if _is_there(one) else Asserted(name=one.name, problem="NULL") for one in asserted)
    newest = draw(TIMES)
    failures = st.sampled_from(TROUBLES).map(lambda one: Failure(phase=RESTORE, trouble=one, text="it is"))
    return Drill(
        drill="expectation",
        key=KEY,
        began_at=NOON,
        data_time=draw(TIMES),
        phases=phases,
        newest=newest,
        newest_problem="" if newest else "NULL",
        assertions=answers,
        amcheck=draw(st.sampled_from(["", "sound", "damaged: heap table"])),
        amcheck_missing=draw(st.sampled_from(["", "no contrib"])),
        failure=draw(st.none() | failures),
    )


@given(drills())
def test_a_drill_has_passed_exactly_where_its_check_passes(drill):
    why = reasons(drill, EXPECTED.place.limits)

    try:
        found = judge(check, EXPECTED, lambda query: LISTING if isinstance(query, ListBackups) else drill).violations
        passes = not found
    except CouldNotObserve:
        passes = False

    assert passes == (not why)


@given(drills())
def test_each_reason_names_what_was_seen(drill):
    for reason in reasons(drill, EXPECTED.place.limits):
        assert any(word in reason for word in ("<=", ">=", "NULL", "it is", "pg_amcheck", "not verified", "future"))
