"""The probe's answers about sessions and locks: everything that is judged, without values of queries."""

from contextlib import closing

import msgspec
import pytest

from opscheck import PostgresTarget
from opscheck.systems.postgres.activity import Activity, ActivityAnswer
from opscheck.systems.postgres.locks import Locks
from opscheck.systems.postgres.probe import activity, open_session
from tests.servers.clients import blocked, client, idle_in_transaction, long_query

SECRET = "hunter2"


@pytest.fixture(name="ask")
def _ask(server):
    def ask(query):
        with closing(open_session(PostgresTarget(kind="postgres", dsn=server.dsn()), 10)) as session:
            return session.ask(query, 10)

    return ask


@pytest.mark.parametrize("query", [Activity("database"), Locks("database")], ids=lambda query: query.name)
def test_values_of_a_query_stay_in_the_probe(server, ask, stack, query):
    stack.enter_context(idle_in_transaction(server, f"SELECT '{SECRET}'"))
    stack.enter_context(long_query(server, f"SELECT pg_sleep(600), $${SECRET}$$, E'\\'{SECRET}' -- {SECRET}"))
    holder, _ = stack.enter_context(blocked(server))
    holder.do(f"SELECT '{SECRET}'")

    written = msgspec.json.encode(ask(query)).decode()

    assert SECRET not in written
    assert "SELECT ?" in written


def test_answer_survives_a_snapshot(server, ask, stack):
    stack.enter_context(long_query(server))
    answer = ask(Activity("database"))

    assert answer == msgspec.json.decode(msgspec.json.encode(answer), type=ActivityAnswer)


def test_oldest_sessions_are_listed_and_all_counted(server, ask, stack, monkeypatch):
    monkeypatch.setattr(activity, "_MOST_SESSIONS", 1)
    oldest = stack.enter_context(idle_in_transaction(server))
    stack.enter_context(idle_in_transaction(server))
    answer = ask(Activity("database"))

    assert ([oldest.pid], 2) == ([one.pid for one in answer.sessions], answer.total)


def test_idle_sessions_are_not_listed(server, ask, stack):
    stack.enter_context(client(server)).do("SELECT 1")

    assert ((), 0) == (ask(Activity("database")).sessions, ask(Activity("database")).total)
