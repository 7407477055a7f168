"""The PostgreSQL probe against real servers of two versions."""

import os
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic

import psycopg
import pytest

from opscheck import PostgresTarget, Query
from opscheck.core.observation import ProbeError, Problem, ProblemKind
from opscheck.systems.postgres.connections import Holder, Occupancy, Refusal, RefusedBy, Sessions, SessionsAnswer, Share
from opscheck.systems.postgres.probe import PostgresSession, open_session
from opscheck.systems.postgres.probe.session import _problem

SESSIONS = Sessions("database")

Open = Callable[[str], PostgresSession]


@dataclass(frozen=True)
class Unheard(Query[int], name="tests.unheard"):
    """A query that no probe answers."""


@pytest.fixture(name="session")
def _session(stack) -> Open:
    def open_one(dsn: str) -> PostgresSession:
        session = open_session(PostgresTarget(kind="postgres", dsn=dsn), 10)
        stack.callback(session.close)
        return session

    return open_one


def occupancy(answer: SessionsAnswer) -> Occupancy:
    assert answer.occupancy is not None
    return answer.occupancy


def problem_of(session: PostgresSession, query: Query[object], timeout_s: float = 5) -> Problem:
    with pytest.raises(ProbeError) as raised:
        session.ask(query, timeout_s)
    return raised.value.problem


def test_own_session_is_not_counted(server, session, stack):
    opened = session(server.dsn())
    for _ in range(2):
        stack.enter_context(psycopg.connect(server.dsn("app"), application_name="shop"))

    seen = occupancy(opened.ask(SESSIONS, 5))

    assert 2 == seen.used
    assert (
        Holder(application="shop", role="app", database="integration_db", client="127.0.0.1", state="idle", count=2),
    ) == (seen.holders)


def test_reserved_connections_are_read(server, session):
    seen = occupancy(session(server.dsn()).ask(SESSIONS, 5))

    reserved = (3, 2) if server.major >= 16 else (5, 0)
    assert (30, *reserved, 25) == (seen.max_connections, seen.superuser_reserved, seen.reserved, seen.usable)


def test_walsenders_are_not_clients(server, session, stack):
    stack.enter_context(psycopg.connect(server.dsn("postgres"), replication="yes", autocommit=True))

    assert 0 == occupancy(session(server.dsn()).ask(SESSIONS, 5)).used


def test_limits_of_roles_and_databases_are_read_with_use(server, session, limit, stack):
    limit("ROLE app", 5)
    limit("DATABASE integration_db", 8)
    stack.enter_context(psycopg.connect(server.dsn("postgres")))
    stack.enter_context(psycopg.connect(server.dsn("app")))

    seen = occupancy(session(server.dsn()).ask(SESSIONS, 5))

    assert (Share(name="app", used=1, limit=5),) == seen.roles
    # The superuser's connection counts as well.
    assert (Share(name="integration_db", used=2, limit=8),) == seen.databases


def test_limit_of_a_superuser_is_ignored(server, session, limit, stack):
    limit("ROLE postgres", 1)
    stack.enter_context(psycopg.connect(server.dsn("postgres")))

    seen = occupancy(session(server.dsn()).ask(Sessions("database", role="postgres"), 5))

    assert (Share(name="postgres", used=1, limit=None),) == seen.roles


def test_named_role_and_database_are_counted_without_limit(server, session):
    asked = Sessions("database", role="app", database="integration_db")
    seen = occupancy(session(server.dsn()).ask(asked, 5))

    assert (Share(name="app", used=0, limit=None),) == seen.roles
    assert (Share(name="integration_db", used=0, limit=None),) == seen.databases


def test_role_without_grant_is_denied(server, session):
    problem = problem_of(session(server.dsn("app")), SESSIONS)

    assert ProblemKind.DENIED == problem.kind
    assert problem.text.startswith("role app is not a member of pg_read_all_stats: the activity of other roles")
    assert 'GRANT pg_read_all_stats TO "app"' == problem.advice


def test_server_full_for_this_role_is_an_answer(server, session):
    server.fill_connections()
    try:
        refused = session(server.dsn("app")).ask(SESSIONS, 5)
    finally:
        server.release_connections()

    assert refused.occupancy is None
    assert RefusedBy.SERVER == refused.refusal.by
    assert "reserved" in refused.refusal.text


def test_server_full_for_all_roles_is_an_answer(server, session, stack):
    for _ in range(server.max_connections):
        stack.enter_context(psycopg.connect(server.dsn("postgres")))

    refused = session(server.dsn()).ask(SESSIONS, 5)

    expected = Refusal(
        text="sorry, too many clients already", by=RefusedBy.SERVER, role="opscheck", database="integration_db"
    )
    assert SessionsAnswer(refusal=expected) == refused


def test_limit_of_a_role_differs_from_the_servers(server, session, limit, stack):
    limit("ROLE app", 1)
    stack.enter_context(psycopg.connect(server.dsn("app")))

    assert RefusedBy.ROLE == session(server.dsn("app")).ask(SESSIONS, 5).refusal.by


def test_limit_of_a_database_differs_from_the_servers(server, session, limit, stack):
    limit("DATABASE integration_db", 1)
    stack.enter_context(psycopg.connect(server.dsn("app")))

    assert RefusedBy.DATABASE == session(server.dsn("app")).ask(SESSIONS, 5).refusal.by


def test_other_queries_to_a_full_server_are_unreachable(server, session):
    server.fill_connections()
    try:
        opened = session(server.dsn("app"))
    finally:
        server.release_connections()

    problem = problem_of(opened, Unheard("database"))

    assert (ProblemKind.UNREACHABLE, True) == (problem.kind, problem.target_down)
    assert problem.text.startswith("the server has no connection left: ")


def test_query_of_another_system_is_not_supported(server, session):
    problem = problem_of(session(server.dsn()), Unheard("database"))

    assert ProblemKind.UNSUPPORTED == problem.kind
    assert "the PostgreSQL probe does not answer tests.unheard" == problem.text


def test_all_queries_share_one_named_connection(server, session, admin):
    opened = session(server.dsn() + "?application_name=shop")
    threads = [threading.Thread(target=opened.ask, args=(SESSIONS, 5)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)

    shown = admin.execute("SELECT application_name FROM pg_stat_activity WHERE usename = 'opscheck'").fetchall()

    assert [("opscheck",)] == shown


def test_no_setting_stays_on_a_pooled_session(server, session):
    opened = session(server.dsn())
    opened.ask(SESSIONS, 5)

    names = ("default_transaction_read_only", "statement_timeout", "lock_timeout", "jit")
    shown = [opened._home.connection.execute(f"SHOW {name}").fetchone()[0] for name in names]

    assert ["off", "0", "0", "on"] == shown


def test_query_cannot_write(server, session):
    opened = session(server.dsn("postgres"))

    def write(connection, query):
        connection.execute("CREATE TABLE written (a int)")

    with pytest.raises(ProbeError) as raised:
        opened.read(SESSIONS, write, 5)

    assert "read-only" in raised.value.problem.text


def test_lock_wait_ends_at_the_deadline_of_the_query(server, session, stack):
    opened = session(server.dsn())
    blocker = stack.enter_context(psycopg.connect(server.dsn("postgres")))
    blocker.execute("LOCK pg_database IN ACCESS EXCLUSIVE MODE")
    problem = problem_of(opened, SESSIONS, 0.5)
    blocker.rollback()

    assert (ProblemKind.LATE, False) == (problem.kind, problem.target_down)
    assert opened.ask(SESSIONS, 5).occupancy


def test_silent_server_is_late_and_the_thread_ends(server, session):
    opened = session(server.dsn())
    backend = opened._home.connection.info.backend_pid
    os.kill(backend, signal.SIGSTOP)
    try:
        began = monotonic()
        problem = problem_of(opened, SESSIONS, 0.5)
    finally:
        os.kill(backend, signal.SIGCONT)

    assert (ProblemKind.LATE, "no answer in 0.5 s", True) == (problem.kind, problem.text, problem.target_down)
    assert monotonic() - began < 5
    assert opened.ask(SESSIONS, 5).occupancy


def test_query_that_waits_for_another_ends_in_time(server, session):
    opened = session(server.dsn())
    with opened._home.turns:
        problem = problem_of(opened, SESSIONS, 0.2)

    assert ProblemKind.LATE == problem.kind


def test_closed_connection_is_reopened(server, session, admin):
    opened = session(server.dsn())
    admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'opscheck'")

    assert opened.ask(SESSIONS, 5).occupancy


def test_server_stopped_during_the_run_is_unreachable(own_server, session):
    opened = session(own_server.dsn())
    own_server.close()

    problem = problem_of(opened, SESSIONS)

    assert (ProblemKind.UNREACHABLE, True) == (problem.kind, problem.target_down)
    assert "Connection refused" in problem.text


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (psycopg.errors.InsufficientPrivilege, ProblemKind.DENIED),
        (psycopg.errors.UndefinedColumn, ProblemKind.UNSUPPORTED),
        (psycopg.errors.DivisionByZero, ProblemKind.UNREADABLE),
        (psycopg.errors.QueryCanceled, ProblemKind.LATE),
        (psycopg.errors.AdminShutdown, ProblemKind.UNREACHABLE),
        (psycopg.errors.ConnectionFailure, ProblemKind.UNREACHABLE),
        (psycopg.errors.ProtocolViolation, ProblemKind.UNREADABLE),  # PgBouncer: no transactions in statement mode
    ],
)
def test_errors_are_mapped_by_sqlstate(error, kind):
    assert kind == _problem(error("eine Meldung"), 5).problem.kind
