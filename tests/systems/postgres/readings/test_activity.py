"""Who takes too long, and by which clock, without a server."""

from datetime import UTC, datetime, timedelta

import pytest

from opscheck import PostgresTarget, Severity
from opscheck.core.observation import CouldNotObserve
from opscheck.systems.postgres.activity import ActivityAnswer, PostgresActivity
from opscheck.systems.postgres.readings.activity import Judged
from opscheck.systems.postgres.sessions import Session, told
from opscheck.testing import expect

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
LIMITS = {"query": {"P2": "5m", "P1": "1h"}, "transaction": {"P2": "30m"}, "idle_in_transaction": {"P1": "5m"}}


def ago(**since: float) -> datetime:
    return NOW - timedelta(**since)


def session(pid: int = 1, **fields) -> Session:
    return Session(pid=pid, **{"role": "app", "database": "shop"} | fields)


def active(pid: int = 1, **fields) -> Session:
    return session(pid, **{"state": "active", "query_start": ago(hours=2), "xact_start": ago(hours=2)} | fields)


def judged(*sessions: Session, total: int | None = None, version: int = 180_000, silent=(), **fields) -> Judged:
    answer = ActivityAnswer(
        at=NOW,
        server_version=version,
        sessions=sessions,
        total=len(sessions) if total is None else total,
        silent=silent,
    )
    target = PostgresTarget(kind="postgres", dsn="postgresql://h/shop")
    return Judged(expect(PostgresActivity, target, **(fields or LIMITS)), answer)


def test_a_session_that_breaks_several_limits_is_told_of_once_the_worst_first():
    (one,) = judged(active()).overdue()

    assert Severity.P1 == one.breach.severity
    assert "query 2h, transaction 2h" == one.breach.observed
    assert "query at most 1h, transaction at most 30m" == one.breach.expected
    assert ago(hours=2) == one.since


def test_idle_in_transaction_counts_from_the_change_of_state():
    idle = session(state="idle in transaction", xact_start=ago(minutes=20), state_change=ago(minutes=6))
    (one,) = judged(idle).overdue()

    assert ("idle in transaction 6m", ago(minutes=6)) == (one.breach.observed, one.since)


def test_the_last_query_of_an_idle_session_is_not_running():
    idle = session(state="idle in transaction", query_start=ago(hours=9), xact_start=NOW, state_change=NOW)

    assert [] == judged(idle, query={"P1": "1s"}).overdue()


@pytest.mark.parametrize(
    "worker",
    [{"leader_pid": 1}, {"leader_pid": None}],
    ids=["of a leader", "on PostgreSQL 12, which does not name the leader"],
)
def test_a_parallel_worker_counts_with_its_leader(worker):
    helping = active(2, kind="parallel worker", **worker)

    assert [1] == [one.session.pid for one in judged(active(1), helping).overdue()]


def test_a_parallel_worker_whose_leader_is_no_client_counts_for_itself():
    assert 1 == len(judged(active(2, kind="parallel worker", leader_pid=7)).overdue())


def test_the_worst_comes_first_and_then_the_longest():
    found = judged(
        active(1, query_start=ago(minutes=6), xact_start=NOW),
        active(2, query_start=ago(minutes=61), xact_start=NOW),
        active(3, query_start=ago(minutes=7), xact_start=NOW),
    ).overdue()

    assert [2, 3, 1] == [one.session.pid for one in found]


def test_a_clock_that_seems_to_run_backwards_says_nothing_has_passed():
    (longest,) = judged(active(query_start=NOW + timedelta(seconds=1)), query={"P1": "5m"}).longest()

    assert 0 == longest.seconds


def test_an_entry_that_allows_a_while_stops_to_and_measures_what_it_leaves_out():
    entry = {"role": "etl", "at_most": "3h"}
    long, longer = active(1, role="etl"), active(2, role="etl", query_start=ago(hours=4), xact_start=ago(hours=4))
    found = judged(long, longer, query={"P1": "1h"}, allow=[entry])

    assert [2] == [one.session.pid for one in found.overdue()]
    assert [("role etl for 3h", 1, 7200)] == [(str(one.entry), one.sessions, one.longest) for one in found.left_out()]


@pytest.mark.parametrize(
    ("session", "facts"),
    [
        (active(application="shop"), {"pid", "application", "role", "database", "running_pid", "running_role"}),
        (session(state="idle in transaction", state_change=ago(hours=1)), {"pid", "role", "database", "idle_pid"}),
    ],
)
def test_each_trouble_has_facts_of_its_own(session, facts):
    (one,) = judged(session).overdue()

    assert facts <= set(one.facts)
    assert session.is_idle is ("idle_role" in one.facts)
    assert session.is_active is ("running_pid" in one.facts)


@pytest.mark.parametrize(("version", "named"), [(160_009, False), (170_000, True)])
def test_transaction_timeout_is_suggested_where_there_is_one(version, named):
    (one,) = judged(active(), version=version, transaction={"P1": "5m"}).overdue()

    assert named is ("transaction_role" in one.facts)
    assert "running_role" not in one.facts


def test_who_says_nothing_of_itself_is_told_all_the_same():
    assert "pid 1" == told(session(role="", database=""))
    assert "pid 2 (autovacuum worker) on shop" == told(session(2, kind="autovacuum worker", role=""))


def test_sessions_beyond_the_list_are_unknown_when_they_may_take_too_long():
    found = judged(active(), total=3)

    assert 1 == len(found.overdue())
    with pytest.raises(CouldNotObserve, match="2 more sessions were not looked at"):
        found.require_all()


def test_sessions_beyond_the_list_are_younger_and_keep_limits_that_the_youngest_keeps():
    judged(active(query_start=NOW, xact_start=NOW), total=3).require_all()


def test_a_role_that_does_not_tell_what_it_does_is_unknown():
    with pytest.raises(CouldNotObserve, match="what the sessions of app, etl do is not told"):
        judged(silent=("app", "etl")).require_all()
