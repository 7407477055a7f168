"""The description of a session."""

from datetime import UTC, datetime, timedelta

import pytest

from opscheck.systems.postgres.sessions import Session, current_state, describe, statement

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"application": "shop", "role": "app", "database": "orders"}, "pid 7 of shop as app on orders"),
        ({}, "pid 7"),
        ({"kind": "autovacuum worker", "database": "orders"}, "pid 7 (autovacuum worker) on orders"),
    ],
)
def test_session_is_described_by_pid_and_application(fields, words):
    assert words == describe(Session(pid=7, **fields))


def test_session_state_is_described():
    waiting = {"state": "active", "state_change": NOW - timedelta(minutes=5), "wait": "Lock: relation"}

    assert "active for 5m, waits for Lock: relation, from 10.0.0.7" == current_state(
        Session(pid=7, client="10.0.0.7", **waiting), NOW
    )
    assert "state unknown, does not wait, from a Unix socket" == current_state(Session(pid=7), NOW)
    assert "state unknown, does not wait" == current_state(Session(pid=7, kind="startup"), NOW)


@pytest.mark.parametrize(
    ("state", "query", "words"),
    [
        ("active", "SELECT ?", "query: SELECT ?"),
        ("idle in transaction", "SELECT ?", "last query: SELECT ?"),
        ("idle", "", "last query: not shown"),
    ],
)
def test_session_statement_is_described(state, query, words):
    assert words == statement(Session(pid=7, state=state, query=query))
