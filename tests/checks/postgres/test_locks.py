"""`postgres.locks` on real servers: chains of waiting sessions, prepared transactions, a lock table that fills up."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from psycopg import sql

from checks.postgres.test_locks import test_lock_waits_are_within_the_limit as check
from opscheck import PostgresTarget, Severity
from opscheck.core.findings import Findings
from opscheck.core.observation import ProblemKind
from opscheck.demo.postgres import PostgreSQL
from opscheck.systems.postgres.locks import (
    CANCEL,
    RAISE_MAX_LOCKS,
    ROLL_BACK,
    SET_IDLE_TIMEOUT,
    SHOW_LOCKS,
    SHOW_WAITS,
    TERMINATE,
    PostgresLocks,
)
from opscheck.transport.processes import wait_until
from tests.servers.clients import Client, blocked, client, idle_in_transaction, long_query, state, superuser
from tests.servers.looking import look, missing
from tests.servers.typed_commands import commands_of, type_in

NOTHING = {"P1": "0s"}
LONG = {"P1": "1h"}
ODD_DATABASE = 'it\'s "odd"'
ODD_GID = 'it\'s "odd"; \\q $HOME'

Judged = Callable[..., Findings]


def judge(server: PostgreSQL, as_role: str = "opscheck", **fields: Any) -> Findings:
    return look(check, PostgresLocks, PostgresTarget(kind="postgres", dsn=server.dsn(as_role)), **fields)


@pytest.fixture(name="judged")
def _judged(server) -> Judged:
    return lambda as_role="opscheck", /, **fields: judge(server, as_role, **fields)


@pytest.fixture(name="two_phases", scope="module")
def _two_phases(installation):
    with PostgreSQL(
        programs=installation, max_connections=15, max_prepared_transactions="5", max_locks_per_transaction="10"
    ) as server:
        with psycopg.connect(server.dsn("app"), autocommit=True) as connection:
            connection.execute("CREATE TABLE orders (id int PRIMARY KEY, paid bool)")
            connection.execute("INSERT INTO orders VALUES (1, false)")
        yield server


@pytest.fixture(name="prepared")
def _prepared(two_phases):
    """A prepared transaction that does not end."""
    with psycopg.connect(two_phases.dsn("app"), autocommit=True) as connection:
        connection.execute("BEGIN")
        connection.execute("UPDATE orders SET paid = true")
        connection.execute(_two_phase("PREPARE TRANSACTION"))
    yield two_phases
    with psycopg.connect(two_phases.dsn("postgres"), autocommit=True) as connection:
        if connection.execute("SELECT FROM pg_prepared_xacts").fetchone() is not None:
            connection.execute(_two_phase("ROLLBACK PREPARED"))


def _two_phase(command: str) -> sql.Composed:
    return sql.SQL(command + " {}").format(sql.Literal(ODD_GID))


def measured(findings: Findings) -> dict[str, float]:
    return {one.name: one.value for one in findings.measurements}


def test_server_without_waits_passes_and_is_measured(judged):
    findings = judged(waiting=NOTHING, waiters={"P1": 0}, lock_table={"P1": "20%"}, prepared=NOTHING)

    assert [] == findings.violations
    assert {"sessions waiting": 0, "longest wait": 0, "transactions prepared": 0} == {
        name: value for name, value in measured(findings).items() if name != "lock table used"
    }
    assert measured(findings)["lock table used"] < 20


def test_wait_within_the_limit_passes(server, judged, stack):
    stack.enter_context(blocked(server, 2))
    findings = judged(waiting=LONG, waiters={"P1": 2})

    assert [] == findings.violations
    assert 2 == measured(findings)["sessions waiting"]
    assert measured(findings)["longest wait"] > 0


def test_root_of_a_chain_is_reported(server, judged, stack):
    holder, (first, second) = stack.enter_context(blocked(server, 2, chain=True))
    (finding,) = judged(waiting=NOTHING, waiters={"P2": 1}).violations

    assert (Severity.P1, f"pid {holder.pid} of holder as app on integration_db") == (finding.severity, finding.subject)
    assert finding.observed.startswith("longest wait ")
    assert finding.observed.endswith(", sessions waiting 2")
    assert "longest wait <= 0s, sessions waiting <= 1" == finding.expected
    root, front, behind = finding.evidence
    assert root.startswith(f"pid {holder.pid}: idle in transaction for ")
    assert root.endswith("from 127.0.0.1; last query: UPDATE accounts SET balance = balance + ? WHERE id = ?")
    assert front.startswith(f"pid {first.pid} of waiter-1 as app on integration_db waits ")
    assert " for ShareLock on a transaction: UPDATE accounts SET balance" in front
    assert behind.startswith(f"pid {second.pid} of waiter-2 ")
    assert {
        "pid": str(holder.pid),
        "role": "app",
        "waiter": str(first.pid),
    } == finding.facts
    assert finding.remediation.commands == commands_of(SHOW_WAITS, TERMINATE, SET_IDLE_TIMEOUT)


def test_waiters_for_one_row_have_one_root(server, judged, stack):
    holder, waiting = stack.enter_context(blocked(server, 4))
    (finding,) = judged(waiters={"P2": 1, "P1": 4}).violations

    assert (Severity.P2, "sessions waiting 4") == (finding.severity, finding.observed)
    assert str(holder.pid) == finding.facts["pid"]
    assert str(waiting[0].pid) == finding.facts["waiter"]


def test_wait_time_is_not_query_time(server, judged, stack, admin):
    stack.enter_context(idle_in_transaction(server, "SELECT pg_advisory_lock(1)"))
    late = stack.enter_context(client(server))
    late.begin_to("DO $$ BEGIN PERFORM pg_sleep(1); PERFORM pg_advisory_lock(1); END $$")
    wait_until(lambda: state(admin, late.pid) == ("active", "Lock"), 20, "it does not wait")
    (finding,) = judged(waiting=NOTHING).violations
    began = f"SELECT query_start FROM pg_stat_activity WHERE pid = {late.pid}"  # noqa: S608 -- a number
    (began,) = admin.execute(began).fetchone()

    if server.major >= 14:
        assert (finding.since - began).total_seconds() >= 1
    else:
        assert finding.observed.startswith("longest wait at most ")
        assert finding.since is None


def test_blocked_table_change_blocks_later_sessions(server, judged, stack, admin):
    changing, *_ = opened = [stack.enter_context(client(server)) for _ in range(2)]
    stack.enter_context(table(server, "orders"))
    first, second = (stack.enter_context(idle_in_transaction(server, "TABLE orders")) for _ in range(2))
    for one, statement in zip(opened, ("ALTER TABLE orders ADD COLUMN paid bool", "TABLE orders"), strict=True):
        one.begin_to(statement)
        wait_until(lambda one=one: state(admin, one.pid) == ("active", "Lock"), 20, "it does not wait")
    (finding,) = judged(waiters={"P2": 1}).violations

    oldest = min(first.pid, second.pid)
    assert f"pid {oldest} of leaking-worker as app on integration_db and 1 more" == finding.subject
    assert any(" for AccessExclusiveLock on orders: ALTER TABLE orders" in line for line in finding.evidence)
    assert any(" for AccessShareLock on orders: TABLE orders" in line for line in finding.evidence)
    assert {"waiter": str(changing.pid)} == finding.facts
    assert finding.remediation.commands == commands_of(SHOW_WAITS)


def test_table_of_another_database_has_no_name(server, judged, stack, admin):
    # Not a table with a system cache: a new session that rebuilds its catalog cache would wait for the lock, too.
    stack.enter_context(client(server, "postgres", database="postgres")).do("BEGIN", "LOCK TABLE pg_description")
    waiting = stack.enter_context(client(server, "postgres", database="postgres"))
    waiting.do("BEGIN")
    waiting.begin_to("LOCK TABLE pg_description")
    wait_until(lambda: state(admin, waiting.pid) == ("active", "Lock"), 20, "it does not wait")
    (finding,) = judged(waiting=NOTHING).violations

    assert " for AccessExclusiveLock on a table of another database: LOCK TABLE" in finding.evidence[-1]


def test_deadlock_is_reported_as_one_root(server, judged, stack, admin):
    pair = [stack.enter_context(client(server, "postgres")) for _ in range(2)]
    for number, one in enumerate(pair):
        one.do("SET deadlock_timeout = '10min'", f"SELECT pg_advisory_lock({number})")
    for number, one in enumerate(pair):
        one.begin_to(f"SELECT pg_advisory_lock({1 - number})")
        wait_until(lambda one=one: state(admin, one.pid) == ("active", "Lock"), 20, "it does not wait")
    (finding,) = judged(waiters=NOTHING | {"P1": 1}).violations

    first, second = sorted(one.pid for one in pair)
    assert f"pid {first} and pid {second}, which wait for each other" == finding.subject


def test_session_after_lock_timeout_does_not_wait(server, judged, stack):
    stack.enter_context(idle_in_transaction(server, "SELECT pg_advisory_lock(1)"))
    with psycopg.connect(server.dsn("app"), autocommit=True) as impatient:
        impatient.execute("SET lock_timeout = '10ms'")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            impatient.execute("SELECT pg_advisory_lock(1)")
        assert [] == judged(waiting=NOTHING).violations


@pytest.mark.parametrize("as_role", ["app"])
def test_missing_pg_read_all_stats_is_unknown_with_grant(server, judged, stack, as_role):
    stack.enter_context(blocked(server))
    problem = missing(lambda: judged(as_role, waiting=NOTHING))

    assert (ProblemKind.DENIED, 'GRANT pg_read_all_stats TO "app"') == (problem.kind, problem.advice)


def test_old_prepared_transaction_is_reported_with_its_owner(prepared):
    (finding,) = judge(prepared, prepared=NOTHING).violations

    assert f"prepared transaction {ODD_GID}" == finding.subject
    assert finding.observed.endswith(" (by app in integration_db)")
    assert "<= 0s" == finding.expected
    assert finding.since is not None
    assert {"gid": ODD_GID, "database": "integration_db"} == finding.facts
    assert finding.remediation.commands == commands_of(ROLL_BACK)


def test_new_prepared_transaction_passes(prepared):
    findings = judge(prepared, prepared=LONG)

    assert [] == findings.violations
    assert 1 == measured(findings)["transactions prepared"]


def test_prepared_transaction_that_blocks_is_reported(prepared, stack):
    waiting = stack.enter_context(waiting_for_orders(prepared))
    (finding,) = judge(prepared, waiting=NOTHING).violations

    assert f"prepared transaction {ODD_GID}" == finding.subject
    assert {"waiter": str(waiting.pid), "gid": ODD_GID, "database": "integration_db"} == finding.facts
    assert finding.remediation.commands == commands_of(SHOW_WAITS, ROLL_BACK)


def test_prepared_transaction_keeps_locks_after_a_restart(prepared, stack):
    prepared.restart()
    stack.enter_context(waiting_for_orders(prepared))
    (finding,) = judge(prepared, waiters={"P1": 0}).violations

    assert f"prepared transaction {ODD_GID}" == finding.subject


def test_suggested_command_rolls_back_in_its_database(prepared, stack):
    waiting = stack.enter_context(waiting_for_orders(prepared))
    (finding,) = judge(prepared, waiting=NOTHING).violations
    printed = type_in(PostgresLocks, finding, prepared, waiting=NOTHING)

    assert any("ROLLBACK PREPARED" in text for text in printed)
    assert waiting.connection.pgconn.get_result() is not None
    assert [] == judge(prepared, waiting=NOTHING).violations


def test_suggested_command_works_with_an_odd_database_name(two_phases):
    with psycopg.connect(two_phases.dsn("postgres"), autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(ODD_DATABASE)))
    with psycopg.connect(two_phases.dsn("postgres"), dbname=ODD_DATABASE, autocommit=True) as connection:
        connection.execute("BEGIN")
        connection.execute(_two_phase("PREPARE TRANSACTION"))
    (finding,) = judge(two_phases, prepared=NOTHING).violations
    type_in(PostgresLocks, finding, two_phases, prepared=NOTHING)

    assert [] == judge(two_phases, prepared=NOTHING).violations


def test_suggested_commands_end_an_idle_root(server, judged, admin, stack):
    stack.callback(admin.execute, "ALTER ROLE app RESET ALL")
    holder, _ = stack.enter_context(blocked(server, 2, chain=True))
    (finding,) = judged(waiting=NOTHING).violations
    type_in(PostgresLocks, finding, server, waiting=NOTHING)

    wait_until(lambda: state(admin, holder.pid) is None, 20, "it was not ended")


def test_suggested_commands_cancel_an_active_root(server, judged, admin, stack):
    locking = "DO $$ BEGIN PERFORM pg_advisory_xact_lock(1); PERFORM pg_sleep(600); END $$"
    running = stack.enter_context(long_query(server, locking))
    waiting = stack.enter_context(client(server))
    wait_until(lambda: state(admin, running.pid) == ("active", "Timeout"), 20, "it holds no lock")
    waiting.begin_to("SELECT pg_advisory_lock(1)")
    wait_until(lambda: state(admin, waiting.pid) == ("active", "Lock"), 20, "it does not wait")
    (finding,) = judged(waiting=NOTHING).violations
    type_in(PostgresLocks, finding, server, waiting=NOTHING)

    wait_until(lambda: state(admin, running.pid)[0] == "idle", 20, "it was not cancelled")
    assert finding.remediation.commands == commands_of(SHOW_WAITS, CANCEL)


def test_idle_session_with_advisory_lock_is_a_root(server, judged, admin, stack):
    holder, waiting = (stack.enter_context(client(server)) for _ in range(2))
    holder.do("SELECT pg_advisory_lock(1)")
    waiting.begin_to("SELECT pg_advisory_lock(1)")
    wait_until(lambda: state(admin, waiting.pid) == ("active", "Lock"), 20, "it does not wait")
    (finding,) = judged(waiting=NOTHING).violations

    assert {"pid": str(holder.pid), "role": "app", "waiter": str(waiting.pid)} == finding.facts
    assert finding.remediation.commands == commands_of(SHOW_WAITS, TERMINATE)


def test_full_lock_table_is_reported_with_its_holders(two_phases, stack):
    holder = stack.enter_context(client(two_phases))
    holder.do("SELECT pg_advisory_lock(number) FROM generate_series(1, 150) AS number")
    (finding,) = judge(two_phases, lock_table={"P2": "60%", "P1": "80%"}).violations

    assert Severity.P2 == finding.severity
    assert finding.observed.startswith("lock table used 7")
    assert "room for 200 objects: max_locks_per_transaction 10)" in finding.observed  # 10 * (15 + 5)
    assert f"150 by pid {holder.pid} of leaking-worker as app on integration_db" in finding.evidence
    assert {"max_locks_per_transaction": "20", "pid": str(holder.pid)} == finding.facts
    assert finding.remediation.commands == commands_of(SHOW_LOCKS, RAISE_MAX_LOCKS)
    printed = type_in(PostgresLocks, finding, two_phases, lock_table={"P2": "60%"})
    assert "ALTER SYSTEM" in printed[-1]


def test_fast_path_locks_do_not_count(server, judged, stack):
    before = measured(judged(lock_table={"P1": "90%"}))["lock table used"]
    stack.enter_context(idle_in_transaction(server, "SELECT count(*) FROM pg_type"))

    assert before == measured(judged(lock_table={"P1": "90%"}))["lock table used"]


@contextmanager
def table(server: PostgreSQL, name: str) -> Iterator[None]:
    with psycopg.connect(server.dsn("app"), autocommit=True) as connection:
        connection.execute(f"CREATE TABLE {name} (id int)")
    yield
    with psycopg.connect(server.dsn("app"), autocommit=True) as connection:
        connection.execute(f"DROP TABLE {name}")


@contextmanager
def waiting_for_orders(server: PostgreSQL) -> Iterator[Client]:
    with client(server) as waiting, superuser(server) as admin:
        waiting.begin_to("UPDATE orders SET paid = true")
        wait_until(lambda: state(admin, waiting.pid) == ("active", "Lock"), 20, "it does not wait")
        yield waiting
