"""What is told of a drill."""

from datetime import timedelta

import pytest

from checks.recovery.test_drill import test_the_newest_backup_is_restored as check
from opscheck import Severity
from opscheck.core.observation import CouldNotObserve, Problem, ProblemKind
from opscheck.systems.recovery.drill import RestoreDrill
from opscheck.systems.recovery.drill_record import (
    ASSERT,
    BROKEN,
    CLEAN,
    FETCH,
    FIND,
    NEWER,
    RESTORE,
    START,
    Asserted,
    Drill,
    Failure,
    Phase,
)
from opscheck.systems.stores.listing import ListBackups, Listing, StoredBackup
from opscheck.systems.stores.target import FolderTarget, S3Target
from opscheck.testing import NOON, expect, judge

KEY = "db/orders.dump"
FOLDER = FolderTarget(kind="folder", path="/mnt/backups")
BUCKET = S3Target(kind="s3", bucket="backups")
OWN_STORE = S3Target(kind="s3", bucket="backups", endpoint_url="https://s3.example.com")
LISTING = Listing(backups=(StoredBackup(key=KEY, size=1, modified=NOON),))
SECONDS = {FIND: 1.0, FETCH: 2.0, START: 3.0, RESTORE: 4.0, ASSERT: 1.0, CLEAN: 5.0}
ORDERS = {"name": "orders", "sql": "SELECT count(*)\n  FROM orders", "at_least": 5}


def expected(target=FOLDER, **fields):
    usual = {"names": "db/*.dump", "time_from": "modified", "scratch": "embedded", "rto": {"P2": "10s", "P0": "1m"}}
    return expect(RestoreDrill, target, **{**usual, **fields})


def done(**fields):
    phases = tuple(Phase(name=name, seconds=seconds) for name, seconds in SECONDS.items())
    usual = {
        "drill": "expectation",
        "key": KEY,
        "began_at": NOON,
        "phases": phases,
        "server": "18.4",
        "made_of": "custom",
    }
    return Drill(**{**usual, **fields})


def judged(drill, expectation=None, listing=LISTING):
    answers = {ListBackups: listing}
    return judge(check, expectation or expected(), lambda query: answers.get(type(query), drill))


def test_each_phase_and_the_time_to_recovery_are_measured():
    found = judged(done())

    measured = {one.name: (one.value, one.limit) for one in found.measurements}
    assert [] == found.violations
    assert (10.0, 10.0) == measured["recovered in"]
    assert {f"phase {name}": (seconds, None) for name, seconds in SECONDS.items()} == {
        name: value for name, value in measured.items() if name.startswith("phase")
    }


def test_a_recovery_that_takes_too_long_tells_where_the_time_went():
    slow = tuple(Phase(name=name, seconds=seconds + 1) for name, seconds in SECONDS.items())
    (finding,) = judged(done(phases=slow)).violations

    assert (Severity.P2, "<= 10s") == (finding.severity, finding.expected)
    assert "recovered in 14s (find 2s, fetch 3s, start 4s, restore 5s, assert 2s, clean 6s)" == finding.observed


def test_cleaning_and_finding_are_not_part_of_the_time_to_recovery():
    slow = tuple(Phase(name=name, seconds=99.0 if name in {FIND, CLEAN} else 1.0) for name in SECONDS)

    assert [] == judged(done(phases=slow)).violations


@pytest.mark.parametrize("field", ["data_time", "newest"])
def test_age_of_data_and_rows_counts_from_the_start_of_the_drill(field):
    asked = {"newest": "SELECT max(at) FROM orders", "age": {"P1": "1h"}}
    (finding,) = judged(done(**{field: NOON - timedelta(hours=3)}), expected(**asked)).violations

    assert (Severity.P1, NOON - timedelta(hours=3)) == (finding.severity, finding.since)
    assert finding.observed.endswith("3h")
    assert [] == judged(done(**{field: NOON - timedelta(hours=1)}), expected(**asked)).violations


@pytest.mark.parametrize("field", ["data_time", "newest"])
def test_a_time_in_the_future_is_not_a_young_one(field):
    asked = {"newest": "SELECT max(at) FROM orders", "age": {"P1": "1h"}}
    (finding,) = judged(done(**{field: NOON + timedelta(hours=3)}), expected(**asked)).violations

    assert finding.observed.endswith("in the future: 3h ahead of the drill")
    assert [] == judged(done(**{field: NOON + timedelta(minutes=10)}), expected(**asked)).violations


def test_data_of_the_future_is_reported_where_no_age_is_asked():
    assert judged(done(data_time=NOON + timedelta(days=1))).violations


def test_an_assertion_whose_time_is_in_the_future_does_not_hold():
    paid = {"name": "paid", "sql": "SELECT max(at) FROM payments", "newest_within": "1h"}
    drill = done(assertions=(Asserted(name="paid", time=NOON + timedelta(days=2)),))

    (finding,) = judged(drill, expected(assertions=[paid])).violations

    assert "in the future: 2d ahead of the drill" == finding.observed


def test_an_assertion_without_an_answer_does_not_hold():
    (finding,) = judged(done(), expected(assertions=[ORDERS])).violations

    assert "it was not queried" == finding.observed


@pytest.mark.parametrize(
    ("target", "facts"),
    [
        (FOLDER, {"file": "/mnt/backups/db/orders.dump"}),
        (BUCKET, {"url": "s3://backups/db/orders.dump"}),
        (OWN_STORE, {"url": "s3://backups/db/orders.dump"}),
    ],
)
def test_backup_that_breaks_is_reported_with_its_phase_and_its_place(target, facts):
    drill = done(failure=Failure(phase=RESTORE, trouble=BROKEN, text="it is cut off"), missing=("role app",))
    (finding,) = judged(drill, expected(target)).violations

    assert (KEY, "restore: it is cut off", facts) == (finding.subject, finding.observed, finding.facts)
    assert "left out, as the scratch server lacks it: role app" in finding.evidence
    assert any("phases: find 1s" in line for line in finding.evidence)


def test_a_newer_backup_is_reported_with_the_version_to_install():
    drill = done(failure=Failure(phase=RESTORE, trouble=NEWER, text="dumped from 18"), dumped_from="18.4")

    assert {"newer": "18.4"} == judged(drill).violations[0].facts


def test_no_backup_is_a_violation_that_says_what_is_there_instead():
    seen = Listing(backups=(), others=2, examples=("db/orders.dump.old",))
    (finding,) = judged(None, listing=seen).violations

    assert "no backup is there; there are others, such as db/orders.dump.old" == finding.observed
    assert {"folder": "/mnt/backups/db"} == finding.facts


@pytest.mark.parametrize(
    ("assertion", "answer", "observed", "limit"),
    [
        (ORDERS, Asserted(name="orders", number=4), "4", ">= 5"),
        (ORDERS, Asserted(name="orders", problem="NULL"), "NULL", ">= 5"),
        ({**ORDERS, "at_least": None, "equals": 7}, Asserted(name="orders", number=8), "8", "equals 7"),
        (
            {**ORDERS, "at_least": None, "newest_within": "1h"},
            Asserted(name="orders", time=NOON - timedelta(hours=2)),
            "2h old",
            "newest within 1h",
        ),
    ],
)
def test_assertion_that_does_not_hold_is_reported_with_its_question(assertion, answer, observed, limit):
    asked = expected(assertions=[{name: value for name, value in assertion.items() if value is not None}])
    (finding,) = judged(done(assertions=(answer,)), asked).violations

    assert (f"{KEY}: orders", observed, limit) == (finding.subject, finding.observed, finding.expected)
    assert {"question": "SELECT count(*) FROM orders"} == finding.facts


def test_numbers_and_ages_of_assertions_are_measured_also_when_they_hold():
    found = judged(done(assertions=(Asserted(name="orders", number=6),)), expected(assertions=[ORDERS]))

    assert (6.0, []) == ({one.name: one.value for one in found.measurements}["orders"], found.violations)


def test_damage_that_amcheck_finds_is_a_violation():
    (finding,) = judged(done(amcheck='damaged: btree index "a"')).violations

    assert 'pg_amcheck: damaged: btree index "a"' == finding.observed


def test_unverified_backup_is_unknown_with_a_reason():
    with pytest.raises(CouldNotObserve, match="not verified: no contrib"):
        judged(done(amcheck_missing="no contrib"), expected(amcheck=True))


def test_a_drill_that_could_not_be_done_is_unknown():
    problem = Problem(kind=ProblemKind.UNSUPPORTED, text="no PostgreSQL is installed here")
    with pytest.raises(CouldNotObserve, match="no PostgreSQL"):
        judged(problem)
