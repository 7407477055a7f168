"""`postgres.activity` on real servers: sessions that are idle in transaction, that take long, that are allowed to."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from checks.postgres.test_activity import test_no_client_takes_too_long as check
from opscheck import PostgresTarget, Severity
from opscheck.core.findings import Findings
from opscheck.core.observation import ProblemKind
from opscheck.systems.postgres.activity import (
    CANCEL,
    SET_IDLE_TIMEOUT,
    SET_STATEMENT_TIMEOUT,
    SET_TRANSACTION_TIMEOUT,
    SHOW_SESSION,
    SHOW_STANDBYS,
    TERMINATE,
    PostgresActivity,
)
from opscheck.transport.processes import wait_until
from tests.servers.clients import client, idle_in_transaction, long_query, state, superuser
from tests.servers.looking import look, missing
from tests.servers.typed_commands import commands_of, type_in

NOTHING = {"P2": "0s"}
LONG = {"P2": "1h"}

_IN_TRANSACTION = "extract(epoch FROM clock_timestamp() - xact_start)::float8"

Judged = Callable[..., Findings]


@pytest.fixture(name="judged")
def _judged(server) -> Judged:
    def judge_now(as_role: str = "opscheck", /, **fields: Any) -> Findings:
        return look(check, PostgresActivity, PostgresTarget(kind="postgres", dsn=server.dsn(as_role)), **fields)

    return judge_now


def measured(findings: Findings) -> dict[tuple[str, str], float]:
    return {(one.name, one.subject): one.value for one in findings.measurements}


def test_idle_server_passes_and_is_measured(server, judged):
    findings = judged(query=NOTHING, transaction=NOTHING, idle_in_transaction=NOTHING)

    where = f"postgresql://127.0.0.1:{server.port}/integration_db"
    assert [] == findings.violations
    assert {
        ("longest idle in transaction", where): 0,
        ("longest query", where): 0,
        ("longest transaction", where): 0,
    } == measured(findings)


def test_sessions_within_their_limits_pass(server, judged, stack):
    stack.enter_context(idle_in_transaction(server))
    stack.enter_context(long_query(server))
    findings = judged(query=LONG, transaction=LONG, idle_in_transaction=LONG)

    assert [] == findings.violations
    assert all(0 < one.value < 3600 and one.limit == 3600 for one in findings.measurements)


def test_idle_transaction_is_reported_with_its_locks(server, judged, admin):
    with idle_in_transaction(server, "CREATE TABLE orders (mail text)", "SELECT 'maria@example.com'") as idle:
        (finding,) = judged(idle_in_transaction={"P2": "0s", "P1": "1h"}).violations

        assert Severity.P2 == finding.severity
        assert f"pid {idle.pid} of leaking-worker as app on integration_db" == finding.subject
        assert finding.observed.startswith("idle in transaction ")
        assert "idle in transaction <= 0s" == finding.expected
        assert of_session(admin, idle.pid, "state_change") == finding.since
    shown, waiting, held = finding.evidence
    assert "last query: SELECT ?" == shown
    assert waiting.startswith("idle in transaction for ")
    assert waiting.endswith(", waits for Client: ClientRead, from 127.0.0.1")
    assert held.startswith("holds back vacuum, by ")
    assert "holds no locks" not in held
    assert {
        "pid": str(idle.pid),
        "application": "leaking-worker",
        "role": "app",
        "database": "integration_db",
    } == finding.facts
    assert finding.remediation.commands == commands_of(SHOW_SESSION, TERMINATE, SET_IDLE_TIMEOUT)


def test_idle_transaction_without_snapshot_keeps_no_rows(server, judged, stack):
    stack.enter_context(idle_in_transaction(server, "SELECT 1"))
    (finding,) = judged(idle_in_transaction=NOTHING).violations

    assert "does not hold back vacuum; holds no locks" == finding.evidence[-1]


def test_aborted_transaction_counts_as_idle(server, judged, stack):
    stack.enter_context(idle_in_transaction(server, aborted=True))
    (finding,) = judged(idle_in_transaction=NOTHING).violations

    assert finding.evidence[1].startswith("idle in transaction (aborted) for ")


def test_idle_time_counts_from_the_last_statement(server, judged, admin):
    with idle_in_transaction(server) as idle:
        wait_until(lambda: of_session(admin, idle.pid, _IN_TRANSACTION) > 1, 20, "time does not go by")
        idle.do("SELECT 1")
        found = measured(judged(idle_in_transaction=LONG, transaction=LONG))

    longest = {name: value for (name, _), value in found.items()}
    assert longest["longest transaction"] - longest["longest idle in transaction"] >= 1


def test_idle_session_outside_a_transaction_passes(server, judged, stack):
    stack.enter_context(client(server)).do("SELECT 1")

    assert [] == judged(query=NOTHING, transaction=NOTHING, idle_in_transaction=NOTHING).violations


def test_long_query_is_reported_once_with_its_transaction(server, judged, stack):
    running = stack.enter_context(long_query(server, "SELECT pg_sleep(600)", application="report"))
    (finding,) = judged(query={"P1": "0s"}, transaction={"P2": "0s"}, idle_in_transaction=NOTHING).violations

    assert (Severity.P1, f"pid {running.pid} of report as app on integration_db") == (finding.severity, finding.subject)
    assert finding.observed.startswith("query ")
    assert ", transaction " in finding.observed
    assert "query <= 0s, transaction <= 0s" == finding.expected
    assert "query: SELECT pg_sleep(?)" == finding.evidence[0]
    assert finding.evidence[1].endswith(", waits for Timeout: PgSleep, from 127.0.0.1")
    assert str(running.pid) == finding.facts["pid"]
    further = (SET_TRANSACTION_TIMEOUT,) if server.major >= 17 else ()
    assert finding.remediation.commands == commands_of(SHOW_SESSION, CANCEL, SET_STATEMENT_TIMEOUT, *further)


def test_parallel_query_counts_once(own_server, stack):
    with psycopg.connect(own_server.dsn("app"), autocommit=True) as owner:
        owner.execute("CREATE TABLE big AS SELECT generate_series(1, 20000) AS id")
        owner.execute(
            "CREATE FUNCTION slow(int) RETURNS bool LANGUAGE plpgsql PARALLEL SAFE AS "
            "$$ BEGIN PERFORM pg_sleep(1); RETURN true; END $$"
        )
        owner.execute("ALTER TABLE big SET (parallel_workers = 2)")
        owner.execute("ANALYZE big")
    reporting = stack.enter_context(client(own_server))
    reporting.do("SET parallel_setup_cost = 0", "SET parallel_tuple_cost = 0", "SET min_parallel_table_scan_size = 0")
    reporting.begin_to("SELECT count(*) FROM big WHERE slow(id)")
    with psycopg.connect(own_server.dsn("postgres"), autocommit=True) as looking:
        workers = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'parallel worker'"
        wait_until(lambda: looking.execute(workers).fetchone() == (2,), 20, "there are no workers")
    target = PostgresTarget(kind="postgres", dsn=own_server.dsn())
    findings = look(check, PostgresActivity, target, query=NOTHING, transaction=NOTHING)

    assert [f"pid {reporting.pid} of leaking-worker as app on integration_db"] == [
        one.subject for one in findings.violations
    ]


@pytest.mark.parametrize(
    "entry",
    [
        {"application": "etl*"},
        {"role": "a?p"},
        {"database": "integration_db"},
        {"application": "*-load", "role": "app"},
    ],
)
def test_allowed_session_is_measured_and_not_judged(server, judged, stack, entry):
    stack.enter_context(long_query(server, application="etl-load"))
    findings = judged(query=NOTHING, transaction=NOTHING, allow=[entry])

    assert [] == findings.violations
    subject = "allowed: " + " and ".join(f"{name} {pattern}" for name, pattern in entry.items())
    assert 1 == measured(findings)["sessions", subject]
    assert measured(findings)["longest", subject] > 0


@pytest.mark.parametrize(
    "entry",
    [{"application": "etl-*"}, {"application": "report", "role": "etl"}, {"application": "re*", "at_most": "1ms"}],
)
def test_session_not_covered_by_allow_is_judged(server, judged, stack, entry):
    stack.enter_context(long_query(server, application="report"))
    findings = judged(query=NOTHING, allow=[entry])

    assert [Severity.P2] == [one.severity for one in findings.violations]
    assert not any(one.subject.startswith("allowed") for one in findings.measurements)


def test_dump_is_allowed_by_default(server, judged, stack):
    stack.enter_context(long_query(server, application="pg_dump"))

    assert [] == judged(query=NOTHING, transaction=NOTHING).violations
    assert 1 == len(judged(query=NOTHING, transaction=NOTHING, allow=[]).violations)


def test_opscheck_and_walsenders_are_not_judged(server, judged, admin):
    # `admin` is a walsender; the other is as opscheck's own connection to another database.
    with psycopg.connect(server.dsn(), application_name="opscheck") as own:
        own.execute("SELECT 1")
        findings = judged(transaction=NOTHING, idle_in_transaction=NOTHING)

    assert [] == findings.violations


def test_another_role_named_opscheck_is_judged(server, judged, stack):
    stack.enter_context(idle_in_transaction(server, application="opscheck"))

    assert 1 == len(judged(idle_in_transaction=NOTHING).violations)


def test_sessions_beyond_the_list_are_counted(server, judged, stack, monkeypatch):
    monkeypatch.setattr("checks.postgres.test_activity.MOST", 2)
    for _ in range(3):
        stack.enter_context(idle_in_transaction(server))
    findings = judged(idle_in_transaction=NOTHING)

    assert 2 == len(findings.violations)
    assert "1 more session beyond a limit" == findings.violations[0].evidence[-1]


def test_missing_pg_read_all_stats_is_unknown_with_grant(server, judged, stack):
    stack.enter_context(long_query(server))
    problem = missing(lambda: judged("app", query=NOTHING))

    assert (ProblemKind.DENIED, 'GRANT pg_read_all_stats TO "app"') == (problem.kind, problem.advice)


def test_sessions_without_track_activities_are_unknown(server, judged, admin, stack):
    stack.callback(admin.execute, "ALTER ROLE app RESET track_activities")
    admin.execute("ALTER ROLE app SET track_activities = off")
    stack.enter_context(client(server)).do("BEGIN", "SELECT 1")
    problem = missing(lambda: judged(query=NOTHING))

    assert "the activity of app is hidden: track_activities is off" == problem.text


def test_suggested_commands_end_idle_and_cancel_running_sessions(server, judged, admin, stack):
    stack.callback(admin.execute, "ALTER ROLE app RESET ALL")
    fields = {"query": NOTHING, "idle_in_transaction": NOTHING}
    with idle_in_transaction(server) as idle, long_query(server) as running:
        for finding in judged(**fields).violations:
            printed = type_in(PostgresActivity, finding, server, **fields)
            assert any(f"{finding.facts['pid']}" in text for text in printed)
        wait_until(lambda: state(admin, idle.pid) is None, 20, "it was not ended")
        wait_until(lambda: state(admin, running.pid)[0] == "idle", 20, "it was not cancelled")
    (settings,) = admin.execute("SELECT rolconfig FROM pg_roles WHERE rolname = 'app'").fetchone()
    assert ["idle_in_transaction_session_timeout=5min", "statement_timeout=15min"] == sorted(settings)


@contextmanager
def synchronous_standbys(admin, names: str) -> Iterator[None]:
    """No standby has these names. The reset releases the commits that wait."""
    admin.execute(f"ALTER SYSTEM SET synchronous_standby_names = '{names}'")
    admin.execute("SELECT pg_reload_conf()")
    try:
        yield
    finally:
        admin.execute("ALTER SYSTEM RESET synchronous_standby_names")
        admin.execute("SELECT pg_reload_conf()")


def test_commits_without_standby_are_one_finding(own_server, stack, monkeypatch):
    monkeypatch.setattr("checks.postgres.test_activity._RECONNECTED_AFTER", timedelta(0))  # the test does not wait 10 s
    target = PostgresTarget(kind="postgres", dsn=own_server.dsn())
    admin = stack.enter_context(superuser(own_server))
    writers = [stack.enter_context(client(own_server)) for _ in range(2)]
    writers[0].do("CREATE TABLE paid (id int)")
    with synchronous_standbys(admin, "FIRST 1 (s1, s2)"):
        wait_until(lambda: admin.execute("SHOW synchronous_standby_names").fetchone() != ("",), 20, "not reloaded")
        admin.execute("CHECKPOINT")  # the checkpointer reads the setting first; from then on commits wait
        for writer in writers:
            writer.begin_to("INSERT INTO paid VALUES (1)")
            wait_until(lambda one=writer: state(admin, one.pid) == ("active", "IPC"), 20, "no wait for a standby")
        (finding,) = look(check, PostgresActivity, target, query=NOTHING, severity="P1").violations
        printed = type_in(PostgresActivity, finding, own_server, query=NOTHING)

    assert finding.severity == Severity.P1
    assert finding.subject == f"postgresql://127.0.0.1:{own_server.port}/integration_db"
    assert finding.observed == "2 commits wait for a synchronous standby: 0 connected"
    assert finding.expected == "at least 1 of synchronous_standby_names"
    assert finding.evidence[0] == "synchronous_standby_names is FIRST 1 (s1, s2)"
    assert finding.remediation.commands == commands_of(SHOW_STANDBYS)
    assert any("s1, s2" in text for text in printed)


def of_session(admin, pid: int, what: str) -> Any:
    return admin.execute(
        "SELECT … FROM pg_stat_activity WHERE pid = %".replace("…", what).replace("%", str(pid))
    ).fetchone()[0]
