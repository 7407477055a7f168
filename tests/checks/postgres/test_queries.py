"""`postgres.queries` on real servers with fast, slow or uncounted statements."""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from checks.postgres.test_queries import test_statements_are_fast as check
from opscheck import PostgresTarget, Severity
from opscheck.core.findings import Findings
from opscheck.core.observation import ProblemKind, Sample
from opscheck.demo.postgres import DATABASE, PostgreSQL, installed_versions
from opscheck.systems.postgres.probe import open_session
from opscheck.systems.postgres.queries import CountStatements, PostgresQueries, StatementCounters
from tests.servers.looking import look, missing
from tests.servers.typed_commands import type_in

COUNTERS = CountStatements("target")
NOW = datetime.now(UTC)
SLOW = "SELECT pg_sleep({seconds}), 'a secret' AS remark"

Judged = Callable[..., Findings]


def target(server: PostgreSQL, role: str = "opscheck") -> PostgresTarget:
    return PostgresTarget(kind="postgres", dsn=server.dsn(role))


@pytest.fixture(name="counting")
def _counting(contrib: None, server: PostgreSQL) -> Iterator[psycopg.Connection[Any]]:
    """The extension is there, and has forgotten other tests."""
    with psycopg.connect(server.dsn("postgres"), autocommit=True) as connection:
        connection.execute("CREATE EXTENSION pg_stat_statements")
        connection.execute("SELECT pg_stat_statements_reset()")
        yield connection
        connection.execute("DROP EXTENSION IF EXISTS pg_stat_statements")


@pytest.fixture(name="app")
def _app(counting, server: PostgreSQL) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(server.dsn("app"), autocommit=True, prepare_threshold=None) as connection:
        yield connection


def counted(server: PostgreSQL) -> StatementCounters:
    with closing(open_session(target(server), 10)) as session:
        answer: StatementCounters = session.ask(COUNTERS, 10)
        return answer


@pytest.fixture(name="judged")
def _judged(server: PostgreSQL) -> Judged:
    """Judges the statements since `before`, as if that was five minutes ago."""

    def judge_now(before: StatementCounters | None = None, /, **fields: Any) -> Findings:
        samples = [Sample(taken_at=NOW - timedelta(minutes=5), answer=before)] if before else []
        given = {"mean": {"P3": "10ms", "P1": "50ms"}, "min_calls": 3} | fields
        return look(check, PostgresQueries, target(server), earlier={COUNTERS: samples}, now=NOW, **given)

    return judge_now


def execute(connection: psycopg.Connection[Any], statement: str, times: int = 3) -> None:
    for _ in range(times):
        connection.execute(statement)


def pgbench(server: PostgreSQL, *options: str) -> None:
    """The load of the programs' own benchmark, as `app`."""
    program = next(iter(installed_versions().values())) / "bin" / "pgbench"
    subprocess.run([program, *options, server.dsn("app")], check=True, capture_output=True, timeout=60)


def test_fast_statements_pass_and_ten_are_reported(server, judged, app):
    before = counted(server)
    execute(app, "SELECT 1 AS one", 7)
    findings = judged(before, mean={"P1": "30s"})

    assert [] == findings.violations
    (calls,) = (one for one in findings.measurements if one.name == "calls" and one.value == 7)
    assert calls.subject.endswith("of app in integration_db")
    measured = {one.name: one for one in findings.measurements if one.subject == calls.subject}
    assert {"calls", "mean execution time", "share of execution time"} == set(measured)
    assert (30, "s") == (measured["mean execution time"].limit, measured["mean execution time"].unit)


def test_slow_mean_in_the_interval_is_violated(server, judged, app):
    before = counted(server)
    execute(app, SLOW.format(seconds=0.02))
    (finding,) = judged(before).violations

    assert Severity.P3 == finding.severity or finding.observed > "mean execution time 50ms"
    assert finding.subject.startswith("statement ")
    assert finding.subject.endswith(" of app in integration_db")
    assert "(over 5m)" in finding.observed
    assert finding.evidence[0] == "SELECT pg_sleep($1), $2 AS remark"
    assert finding.evidence[1].startswith("3 calls over 5m")
    assert "secret" not in str(finding)


def test_fast_past_does_not_hide_a_slow_interval(server, judged, app):
    execute(app, SLOW.format(seconds=0.0), 200)
    before = counted(server)
    execute(app, SLOW.format(seconds=0.02))

    assert [] == judged(first_sample="lifetime").violations
    assert 1 == len(judged(before).violations)


def test_slow_past_is_not_judged(server, judged, app):
    execute(app, SLOW.format(seconds=0.02))
    before = counted(server)
    execute(app, SLOW.format(seconds=0.0), 5)

    assert [] == judged(before).violations


def test_rare_statement_is_not_judged_by_mean(server, judged, app):
    before = counted(server)
    execute(app, SLOW.format(seconds=0.02), 2)

    assert [] == judged(before).violations


def test_large_share_of_execution_time_is_violated(server, judged, app):
    before = counted(server)
    execute(app, "SELECT 1")
    execute(app, SLOW.format(seconds=0.1), 1)
    (finding,) = judged(before, mean=None, share={"P2": "50%"}, share_above="100ms").violations

    assert (Severity.P2, "<= 50%") == (finding.severity, finding.expected)


def test_executing_sessions_are_judged_by_load(server, judged, app):
    before = counted(server)
    execute(app, SLOW.format(seconds=0.05))
    (finding,) = judged(before, mean=None, load={"P2": 0.0001}).violations

    assert finding.subject == f"postgresql://127.0.0.1:{server.port}/integration_db"
    assert "on average, over 5m" in finding.observed
    assert any("SELECT pg_sleep($1)" in line for line in finding.evidence)
    assert [] == judged(before, mean=None, load={"P2": 5.0}).violations


def test_utility_statements_are_not_judged_and_not_read(server, judged, app):
    before = counted(server)
    for _ in range(3):
        app.execute("DO $$ BEGIN PERFORM pg_sleep(0.02); END $$ -- hunter2")

    findings = judged(before)

    assert [] == findings.violations
    assert "hunter2" not in str(findings.measurements)


def test_excluded_roles_are_not_judged(server, judged, app):
    before = counted(server)
    execute(app, SLOW.format(seconds=0.02))

    assert [] == judged(before, except_roles=["app", "opscheck"]).violations


def test_databases_are_selected_by_name(server, judged, app):
    before = counted(server)
    execute(app, SLOW.format(seconds=0.02))

    assert 1 == len(judged(before, databases=["integ*"]).violations)
    assert [] == judged(before, databases=["postgres"]).violations


def test_missing_databases_are_unknown(server, judged, app):
    problem = missing(lambda: judged(counted(server), databases=["shop*"]))

    assert "no database matches shop*" == problem.text
    assert "integration_db" in problem.advice


def test_first_sample_is_unknown_unless_lifetime_is_judged(judged, app):
    execute(app, SLOW.format(seconds=0.02))

    assert ProblemKind.FIRST_SAMPLE == missing(judged).kind
    assert 1 == len(judged(first_sample="lifetime").violations)


def test_reset_starts_a_new_interval(server, judged, app, counting):
    before = counted(server)
    execute(app, SLOW.format(seconds=0.02))
    counting.execute("SELECT pg_stat_statements_reset()")
    execute(app, SLOW.format(seconds=0.0), 4)

    if server.major >= 14:
        assert ProblemKind.FIRST_SAMPLE == missing(lambda: judged(before)).kind
    else:  # it does not report a reset; the counters are lower than before
        assert [] == judged(before).violations


def test_load_of_pgbench_is_judged(server, judged, app, stack):
    stack.callback(pgbench, server, "--initialize", "--init-steps=d")
    pgbench(server, "--initialize", "--scale=1")
    before = counted(server)
    pgbench(server, "--client=2", "--transactions=20", "--no-vacuum")
    findings = judged(before, mean={"P1": "30s"}, min_calls=10)

    assert [] == findings.violations
    assert 40 in {one.value for one in findings.measurements if one.name == "calls"}


def test_database_without_extension_is_unknown_with_advice(contrib, judged):
    problem = missing(judged)

    assert (ProblemKind.UNSUPPORTED, "database integration_db has no extension pg_stat_statements") == (
        problem.kind,
        problem.text,
    )
    assert problem.advice.startswith("CREATE EXTENSION pg_stat_statements there")


def test_extension_in_another_database_and_schema_is_used(contrib, server, stack):
    with psycopg.connect(server.dsn("postgres", "postgres"), autocommit=True) as connection:
        stack.callback(_without_it, server)
        connection.execute('CREATE SCHEMA "my extensions"')
        connection.execute('GRANT USAGE ON SCHEMA "my extensions" TO opscheck')
        connection.execute('CREATE EXTENSION pg_stat_statements SCHEMA "my extensions"')
    fields = {"mean": {"P1": "30s"}, "extension_in": "postgres", "first_sample": "lifetime"}

    assert [] == look(check, PostgresQueries, target(server), **fields).violations


def _without_it(server: PostgreSQL) -> None:
    with psycopg.connect(server.dsn("postgres", "postgres"), autocommit=True) as connection:
        connection.execute('DROP SCHEMA "my extensions" CASCADE')


def test_forbidden_schema_is_denied_with_grant(contrib, server, stack):
    with psycopg.connect(server.dsn("postgres", "postgres"), autocommit=True) as connection:
        stack.callback(_without_it, server)
        connection.execute('CREATE SCHEMA "my extensions"')
        connection.execute('CREATE EXTENSION pg_stat_statements SCHEMA "my extensions"')
    problem = missing(lambda: look(check, PostgresQueries, target(server), mean={"P1": "30s"}, extension_in="postgres"))

    assert (ProblemKind.DENIED, 'GRANT USAGE ON SCHEMA "my extensions" TO "opscheck"') == (problem.kind, problem.advice)


def test_missing_library_is_unknown_with_advice(own_server):
    problem = missing(lambda: look(check, PostgresQueries, target(own_server), mean={"P1": "30s"}))

    assert (ProblemKind.UNSUPPORTED, "the library pg_stat_statements is not loaded: nothing is counted") == (
        problem.kind,
        problem.text,
    )
    assert problem.advice.startswith("add pg_stat_statements to shared_preload_libraries and restart the server")


def test_extension_without_library_is_unknown_with_advice(contrib_installation, own_server):
    with psycopg.connect(own_server.dsn("postgres"), autocommit=True) as connection:
        connection.execute("CREATE EXTENSION pg_stat_statements")
    problem = missing(lambda: look(check, PostgresQueries, target(own_server), mean={"P1": "30s"}))

    assert problem.advice == "add pg_stat_statements to shared_preload_libraries and restart the server"


def test_hidden_texts_are_denied_with_grant(server, judged, app, admin, stack):
    stack.callback(admin.execute, "GRANT pg_monitor TO opscheck")
    admin.execute("REVOKE pg_monitor FROM opscheck")
    problem = missing(judged)

    assert (ProblemKind.DENIED, 'GRANT pg_read_all_stats TO "opscheck"') == (problem.kind, problem.advice)


@pytest.mark.parametrize(
    "setting",
    [
        "pg_stat_statements.track = 'none'",
        pytest.param("compute_query_id = 'off'", marks=pytest.mark.since_postgres(14)),
    ],
)
def test_disabled_counting_is_unknown(server, judged, counting, stack, setting):
    name = setting.partition(" ")[0]
    stack.callback(counting.execute, f"ALTER ROLE opscheck RESET {name}")
    counting.execute(f"ALTER ROLE opscheck SET {setting}")

    assert missing(judged).text.endswith("nothing is counted")


def test_suggested_commands_show_statement_and_plan(server, judged, app, stack):
    before = counted(server)
    stack.callback(app.execute, "DROP TABLE orders")
    app.execute("CREATE TABLE IF NOT EXISTS orders (id int, customer int)")
    for _ in range(3):
        app.execute("SELECT pg_sleep(0.02), count(*) FROM orders WHERE customer = %s", (7,))
    (finding,) = judged(before).violations
    shown, *explained = type_in(PostgresQueries, finding, server, mean={"P1": "1s"})

    assert "pg_sleep" in shown
    assert "queryid" in finding.facts
    assert DATABASE == finding.facts["database"]
    if server.major >= 16:
        assert "Seq Scan on public.orders" in explained[0]
    else:
        assert [] == explained


@pytest.mark.since_postgres(14)  # counts evictions
def test_forgotten_statement_is_an_eviction(contrib, server, installation):
    loaded = {"shared_preload_libraries": "pg_stat_statements", "pg_stat_statements.max": "100"}
    with PostgreSQL(programs=installation, **loaded) as small:
        with psycopg.connect(small.dsn("postgres"), autocommit=True) as connection:
            connection.execute("CREATE EXTENSION pg_stat_statements")
            for number in range(150):
                connection.execute("SELECT " + ", ".join(["1"] * (number + 1)))
        fields = {"evictions": {"P3": 0}, "first_sample": "lifetime"}
        (finding,) = look(check, PostgresQueries, target(small), **fields).violations

        assert (Severity.P3, "<= 0") == (finding.severity, finding.expected)
        assert {"raised_max": "200"} == finding.facts
        assert ["ALTER SYSTEM"] == type_in(PostgresQueries, finding, small, **fields)
