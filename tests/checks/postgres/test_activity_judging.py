"""Sessions that take too long, by each clock, without a server."""

from datetime import UTC, datetime, timedelta

import pytest

from checks.postgres.test_activity import test_no_client_takes_too_long as check
from opscheck import Findings, PostgresTarget, Severity
from opscheck.core.observation import CouldNotObserve
from opscheck.systems.postgres.activity import (
    CANCEL,
    SET_IDLE_TIMEOUT,
    SET_STATEMENT_TIMEOUT,
    SET_TRANSACTION_TIMEOUT,
    SHOW_SESSION,
    SHOW_STANDBYS,
    TERMINATE,
    ActivityAnswer,
    PostgresActivity,
)
from opscheck.systems.postgres.sessions import Session, describe
from opscheck.testing import Answers, expect, judge
from tests.servers.typed_commands import commands_of

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
TARGET = PostgresTarget(kind="postgres", dsn="postgresql://h/shop")
LIMITS = {"query": {"P2": "5m", "P1": "1h"}, "transaction": {"P2": "30m"}, "idle_in_transaction": {"P1": "5m"}}


def ago(**since: float) -> datetime:
    return NOW - timedelta(**since)


def session(pid: int = 1, **fields) -> Session:
    return Session(pid=pid, **{"role": "app", "database": "shop"} | fields)


def active(pid: int = 1, **fields) -> Session:
    return session(pid, **{"state": "active", "query_start": ago(hours=2), "xact_start": ago(hours=2)} | fields)


def answer_of(*sessions: Session, total: int | None = None, version: int = 180_000, silent=()) -> ActivityAnswer:
    number = len(sessions) if total is None else total
    return ActivityAnswer(at=NOW, server_version=version, sessions=sessions, total=number, silent=silent)


def judged(*sessions: Session, total: int | None = None, version: int = 180_000, silent=(), **fields) -> Findings:
    expectation = expect(PostgresActivity, TARGET, **(fields or LIMITS))
    answer = answer_of(*sessions, total=total, version=version, silent=silent)
    return judge(check, expectation, {expectation.activity: answer})


def test_session_beyond_several_limits_is_reported_once():
    (one,) = judged(active()).violations

    assert Severity.P1 == one.severity
    assert "query 2h, transaction 2h" == one.observed
    assert "query <= 1h, transaction <= 30m" == one.expected
    assert ago(hours=2) == one.since


def test_idle_in_transaction_counts_from_the_change_of_state():
    idle = session(state="idle in transaction", xact_start=ago(minutes=20), state_change=ago(minutes=6))
    (one,) = judged(idle).violations

    assert ("idle in transaction 6m", ago(minutes=6)) == (one.observed, one.since)


def test_last_query_of_idle_session_is_not_judged():
    idle = session(state="idle in transaction", query_start=ago(hours=9), xact_start=NOW, state_change=NOW)

    assert [] == judged(idle, query={"P1": "1s"}).violations


@pytest.mark.parametrize(
    "worker",
    [{"leader_pid": 1}, {"leader_pid": None}],
    ids=["of a leader", "on PostgreSQL 12, which does not name the leader"],
)
def test_parallel_worker_counts_with_its_leader(worker):
    helping = active(2, kind="parallel worker", **worker)

    assert [1] == pids(judged(active(1), helping))


def test_parallel_worker_without_client_leader_counts_alone():
    assert 1 == len(judged(active(2, kind="parallel worker", leader_pid=7)).violations)


def test_worst_session_is_first_then_the_longest():
    found = judged(
        active(1, query_start=ago(minutes=6), xact_start=NOW),
        active(2, query_start=ago(minutes=61), xact_start=NOW),
        active(3, query_start=ago(minutes=7), xact_start=NOW),
    )

    assert [2, 3, 1] == pids(found)


def test_backward_clock_counts_as_zero_seconds():
    (longest,) = judged(active(query_start=NOW + timedelta(seconds=1)), query={"P1": "5m"}).measurements

    assert longest.value == 0


def test_allowance_ends_and_excluded_sessions_are_measured():
    entry = {"role": "etl", "at_most": "3h"}
    long, longer = active(1, role="etl"), active(2, role="etl", query_start=ago(hours=4), xact_start=ago(hours=4))
    found = judged(long, longer, query={"P1": "1h"}, allow=[entry])

    assert [2] == pids(found)
    measured = {one.name: one.value for one in found.measurements if one.subject == "allowed: role etl for 3h"}
    assert measured == {"sessions": 1, "longest": 7200}


@pytest.mark.parametrize(
    ("session", "facts", "remedies"),
    [
        (
            active(application="shop"),
            {"pid": "1", "application": "shop", "role": "app", "database": "shop"},
            (SHOW_SESSION, CANCEL, SET_STATEMENT_TIMEOUT, SET_TRANSACTION_TIMEOUT),
        ),
        (
            session(state="idle in transaction", state_change=ago(hours=1)),
            {"pid": "1", "role": "app", "database": "shop"},
            (SHOW_SESSION, TERMINATE, SET_IDLE_TIMEOUT),
        ),
        (active(role="", database=""), {"pid": "1"}, (SHOW_SESSION,)),
    ],
    ids=["query", "idle in transaction", "no role"],
)
def test_each_problem_has_its_own_remedies(session, facts, remedies):
    (one,) = judged(session).violations

    assert one.facts == facts
    assert one.remediation.commands == commands_of(*remedies)


@pytest.mark.parametrize(("version", "suggested"), [(160_009, False), (170_000, True)])
def test_transaction_timeout_is_suggested_from_17_on(version, suggested):
    (one,) = judged(active(), version=version, transaction={"P1": "5m"}).violations

    further = (SET_TRANSACTION_TIMEOUT,) if suggested else ()
    assert one.remediation.commands == commands_of(SHOW_SESSION, CANCEL, *further)


def test_unnamed_session_is_reported():
    assert "pid 1" == describe(session(role="", database=""))
    assert "pid 2 (autovacuum worker) on shop" == describe(session(2, kind="autovacuum worker", role=""))


def test_sessions_beyond_the_list_are_unknown_if_possibly_late():
    expectation = expect(PostgresActivity, TARGET, **LIMITS)
    findings = Findings(expectation)
    answers = Answers({expectation.activity: answer_of(active(), total=3)}, NOW)
    with pytest.raises(CouldNotObserve, match="2 more sessions not read"):
        check(expectation, observe=answers, findings=findings)

    assert len(findings.violations) == 1


def test_sessions_beyond_the_list_pass_if_the_youngest_passes():
    judged(active(query_start=NOW, xact_start=NOW), total=3)


def test_role_without_track_activities_is_unknown():
    with pytest.raises(CouldNotObserve, match="the activity of app, etl is hidden"):
        judged(silent=("app", "etl"))


def pids(findings: Findings) -> list[int]:
    return [int(one.facts["pid"]) for one in findings.violations]


@pytest.mark.parametrize(
    ("names", "required"),
    [("", 0), ("s1", 1), ("*", 1), ("s1, s2", 1), ("FIRST 2 (s1, s2)", 2), ("any 3(a, b, c)", 3), (" 2 (a, b)", 2)],
)
def test_synchronous_standby_names_give_a_number(names, required):
    answer = ActivityAnswer(at=NOW, server_version=180_000, sessions=(), total=0, synchronous_standby_names=names)

    assert answer.standbys_required == required


@pytest.mark.parametrize("connected", [1, None])
def test_commit_behind_slow_standby_is_not_to_be_cancelled(connected):
    waits = active(wait="IPC: SyncRep")
    expectation = expect(PostgresActivity, TARGET, **LIMITS)
    answer = ActivityAnswer(
        at=NOW,
        server_version=180_000,
        sessions=(waits,),
        total=1,
        synchronous_standby_names="s1",
        synchronous_standbys=connected,
    )
    (finding,) = judge(check, expectation, {expectation.activity: answer}).violations

    assert finding.subject == describe(waits)
    assert finding.remediation.commands == commands_of(SHOW_SESSION, SHOW_STANDBYS)


@pytest.mark.parametrize(("seconds", "found"), [(9, 0), (11, 1)])
def test_commit_may_wait_until_its_standby_has_reconnected(seconds, found):
    waits = active(wait="IPC: SyncRep", query_start=ago(seconds=seconds), xact_start=ago(seconds=seconds))
    expectation = expect(PostgresActivity, TARGET, **LIMITS)
    answer = ActivityAnswer(
        at=NOW,
        server_version=180_000,
        sessions=(waits,),
        total=1,
        synchronous_standby_names="s1",
        synchronous_standbys=0,
    )
    findings = judge(check, expectation, {expectation.activity: answer})

    expected = ["1 commit waits for a synchronous standby: 0 connected"] * found
    assert [one.observed for one in findings.violations] == expected
