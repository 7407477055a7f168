"""The evaluation of lock waits, without a server."""

from datetime import UTC, datetime, timedelta

import pytest

from checks.postgres.test_locks import largest_holders, share
from checks.postgres.test_locks import test_lock_waits_are_within_the_limit as check
from opscheck import PostgresTarget, Severity
from opscheck.core.findings import Findings
from opscheck.systems.postgres.locks import (
    CANCEL,
    SET_IDLE_TIMEOUT,
    SHOW_WAITS,
    TERMINATE,
    LockHolder,
    LocksAnswer,
    LockTable,
    PostgresLocks,
    PreparedTransaction,
    Waiter,
)
from opscheck.systems.postgres.sessions import Session
from opscheck.testing import expect, judge
from tests.servers.typed_commands import commands_of

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
TARGET = PostgresTarget(kind="postgres", dsn="postgresql://h/shop")
HOLDER = Session(pid=1, role="app", state="idle in transaction", state_change=NOW - timedelta(hours=1))


def waiter(pid: int, *blockers: int, minutes: float | None = 5, **fields) -> Waiter:
    since = None if minutes is None else NOW - timedelta(minutes=minutes)
    given = {"is_exact": True, "mode": "ShareLock", "locktype": "transactionid"} | fields
    return Waiter(pid=pid, since=since, blockers=blockers, **given)


def table(**fields) -> LockTable:
    slots = {"max_locks_per_transaction": 10, "max_connections": 8, "max_prepared_transactions": 2}
    return LockTable(**{"objects": 10, "pairs": 10} | slots | fields)


def answer(*waiters: Waiter, **fields) -> LocksAnswer:
    given = {"sessions": (HOLDER,), "waiting": len(waiters), "prepared": (), "prepared_total": 0, "table": table()}
    return LocksAnswer(at=NOW, waiters=waiters, **given | fields)


def judged(found: LocksAnswer, **fields) -> Findings:
    expectation = expect(PostgresLocks, TARGET, **fields or {"waiting": {"P2": "1m", "P1": "10m"}})
    return judge(check, expectation, {expectation.locks: found})


def test_worst_root_is_first():
    found = judged(answer(waiter(2, 1), waiter(4, 3, minutes=11)))

    assert [(Severity.P1, "pid 3"), (Severity.P2, "pid 1 as app")] == [
        (one.severity, one.subject) for one in found.violations
    ]


def test_inexact_wait_is_reported_as_upper_bound():
    (finding,) = judged(answer(waiter(2, 1, is_exact=False))).violations

    assert "longest wait at most 5m" == finding.observed
    assert finding.since is None
    assert "pid 2 waits at most 5m for ShareLock on a transaction" == finding.evidence[-1]


def test_wait_without_start_counts_as_zero():
    assert [] == judged(answer(waiter(2, 1, minutes=None)), waiting={"P1": "0s"}).violations


def test_finished_wait_has_no_root():
    assert [] == judged(answer(waiter(2)), waiting={"P1": "0s"}).violations


def test_parallel_workers_count_as_one_waiter():
    found = answer(waiter(5, 1, leader_pid=4), waiter(6, 1, leader_pid=4), waiter(4, 5, 6))

    (finding,) = judged(found, waiters={"P1": 0}).violations

    assert ("pid 1 as app", "sessions waiting 1") == (finding.subject, finding.observed)


def test_unlisted_waiters_count_for_the_largest_root():
    found = answer(waiter(2, 1), waiter(4, 3), waiter(5, 3), waiting=12)
    (finding,) = judged(found, waiters={"P1": 3}).violations

    assert "pid 3" == finding.subject
    assert "sessions waiting 11 (9 of them not listed)" == finding.observed
    assert "and 6 more waiting" == finding.evidence[-1]


def test_vanished_prepared_transaction_has_no_command():
    (finding,) = judged(answer(waiter(2, 0))).violations

    assert ("a prepared transaction", {"waiter": "2"}) == (finding.subject, finding.facts)
    assert finding.remediation.commands == commands_of(SHOW_WAITS)


@pytest.mark.parametrize(
    ("holder", "facts", "remedies"),
    [
        (HOLDER, {"role": "app"}, (TERMINATE, SET_IDLE_TIMEOUT)),
        (Session(pid=1, role="app", state="idle"), {"role": "app"}, (TERMINATE,)),
        (Session(pid=1, role="app", state="active"), {"role": "app"}, (CANCEL,)),
        (Session(pid=1, kind="startup"), {}, ()),
        (Session(pid=7), {}, ()),
    ],
    ids=["idle in transaction", "idle", "active", "no client", "gone"],
)
def test_remedies_depend_on_the_state_of_the_root(holder, facts, remedies):
    (finding,) = judged(answer(waiter(2, 1), sessions=(holder,))).violations

    assert {"pid": "1", "waiter": "2"} | facts == finding.facts
    assert finding.remediation.commands == commands_of(SHOW_WAITS, *remedies)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"locktype": "relation", "relation": "orders"}, "on orders"),
        ({"locktype": "tuple", "relation": "orders"}, "on a tuple of orders"),
        ({"locktype": "relation"}, "on a table of another database"),
        ({"locktype": "advisory"}, "on advisory"),
    ],
)
def test_awaited_lock_is_reported(fields, words):
    (finding,) = judged(answer(waiter(2, 1, **fields))).violations

    assert finding.evidence[-1].endswith(f"ShareLock {words}")


def test_roots_beyond_the_list_are_counted():
    found = judged(answer(*(waiter(100 + number, number) for number in range(1, 31))))

    assert 20 == len(found.violations)
    assert "10 more roots" == found.violations[0].evidence[-1]


def test_prepared_transactions_beyond_the_list_are_counted():
    one = PreparedTransaction(gid="g", prepared=NOW - timedelta(hours=1), owner="app", database="shop")
    found = judged(answer(prepared=(one,) * 25, prepared_total=40), prepared={"P2": "5m"})

    assert 20 == len(found.violations)
    assert ("prepared 1h (by app in shop)", "20 more prepared transactions") == (
        found.violations[0].observed,
        found.violations[0].evidence[-1],
    )


@pytest.mark.parametrize(
    ("fields", "used"),
    [({}, 10), ({"objects": 80, "pairs": 80}, 80), ({"objects": 5, "pairs": 150}, 75), ({"max_connections": -2}, 100)],
    ids=["few", "many objects", "one object that many hold", "no room"],
)
def test_lock_table_share_is_the_larger_of_two(fields, used):
    assert used == share(table(**fields))


def test_holders_of_the_lock_table_are_reported():
    largest = (LockHolder(pid=1, locks=50), LockHolder(pid=None, locks=20), LockHolder(pid=9, locks=1))

    assert ["50 by pid 1 as app", "20 by prepared transactions", "1 by pid 9"] == list(
        largest_holders(answer(table=table(largest=largest)))
    )
