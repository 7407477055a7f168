"""`postgres.query` on real servers: results of a SELECT, forbidden actions, and values that stay on the server."""

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import psycopg
import pytest

from checks.postgres.test_query import test_result_is_within_its_limits as check
from opscheck import PostgresTarget, Severity
from opscheck.core.findings import Findings
from opscheck.core.observation import CouldNotObserve, ProbeError, ProblemKind
from opscheck.core.record import Measurement
from opscheck.demo.postgres import PostgreSQL
from opscheck.systems.postgres.probe import open_session
from opscheck.systems.postgres.query import PostgresQuery, Select
from tests.servers.looking import look, missing
from tests.servers.typed_commands import suggested, type_in

Judged = Callable[..., Findings]
DATABASE = "database integration_db"
FAILED = "SELECT count(*) AS failed FROM jobs WHERE state = 'failed'"


@pytest.fixture(name="judged")
def _judged(server: PostgreSQL) -> Judged:
    def judge_now(sql: str, /, **fields: Any) -> Findings:
        target = PostgresTarget(kind="postgres", dsn=server.dsn())
        given = fields or {"at_most": {"P3": 1, "P1": 2}}
        return look(check, PostgresQuery, target, **({"severity": "P2"} | given), sql=sql)

    return judge_now


@pytest.fixture(name="jobs", autouse=True)
def _jobs(server: PostgreSQL) -> Iterator[psycopg.Connection[Any]]:
    """A table with a job that is done and three that failed, which opscheck may read."""
    with psycopg.connect(server.dsn("app"), autocommit=True) as connection:
        connection.execute("CREATE TABLE jobs (id int, name text, state text, secret text DEFAULT 'hunter2')")
        connection.execute("INSERT INTO jobs VALUES (1, 'mail', 'done'), (2, 'mail', 'failed'), (3, 'pay', 'failed')")
        connection.execute("INSERT INTO jobs VALUES (4, 'pay', 'failed')")
        connection.execute("GRANT SELECT ON jobs TO opscheck")
        yield connection
        connection.execute("DROP TABLE jobs")


# -- one number ------------------------------------------------------------------------------------------------------


def test_number_within_limits_passes_and_is_measured(judged):
    findings = judged(FAILED, at_most={"P3": 3}, unit="jobs")

    assert [] == findings.violations
    assert [
        Measurement(name="failed", value=3, unit="jobs", limit=3, margin=0, subject=DATABASE)
    ] == findings.measurements


def test_number_beyond_limit_has_the_severity_of_its_step(judged):
    (finding,) = judged(FAILED).violations

    assert (Severity.P1, DATABASE) == (finding.severity, finding.subject)
    assert ("failed 3", "<= 2") == (finding.observed, finding.expected)


def test_too_small_number_is_violated(judged):
    (finding,) = judged("SELECT count(*) FROM jobs WHERE state = 'done'", at_least={"P2": 2}).violations

    assert (Severity.P2, "count 1", ">= 2") == (finding.severity, finding.observed, finding.expected)


@pytest.mark.parametrize("number", ["3::int2", "3", "3::int8", "3.0::float4", "3.0::float8", "3.00::numeric", "3e0"])
def test_every_numeric_type_is_judged(judged, number):
    assert [3.0] == [one.value for one in judged(f"SELECT {number}", at_most={"P3": 5}).measurements]


@pytest.mark.parametrize(
    "sql",
    [
        "VALUES (3)",
        "TABLE only_number",
        "WITH n AS (SELECT 3 AS n) SELECT n FROM n",
        "(SELECT 3)",
        "SELECT 3 -- so",
        "/* ; */ SELECT 3;",
    ],
)
def test_every_kind_of_select_is_accepted(judged, jobs, sql):
    jobs.execute("CREATE VIEW only_number AS SELECT 3 AS number")
    jobs.execute("GRANT SELECT ON only_number TO opscheck")
    try:
        assert [3.0] == [one.value for one in judged(sql, at_most={"P3": 5}).measurements]
    finally:
        jobs.execute("DROP VIEW only_number")


@pytest.mark.parametrize(
    ("sql", "why", "advice"),
    [
        ("SELECT max(id) FROM jobs WHERE state = 'new'", "sql returns NULL instead", "coalesce"),
        ("SELECT id FROM jobs WHERE state = 'new'", "sql returns no row instead", "count"),
        ("SELECT id FROM jobs", "sql returns several rows instead", "rows_at_most"),
        ("SELECT 'NaN'::float8", "sql returns NaN instead", "finite"),
        ("SELECT 'Infinity'::float8", "sql returns Infinity instead", "finite"),
        ("SELECT id, name FROM jobs", "sql returns 2 columns (id, name) instead of one number", "one column"),
        ("SELECT name FROM jobs", "sql returns name of type text instead of a number", "cast"),
        ("SELECT interval '1 hour' AS age", "sql returns age of type interval instead of a number", "extract(epoch"),
        ("SELECT true AS well", "sql returns well of type boolean instead of a number", "cast"),
    ],
)
def test_result_that_is_not_a_number_is_unknown(judged, sql, why, advice):
    problem = missing(lambda: judged(sql))

    assert ProblemKind.UNSUPPORTED == problem.kind
    assert problem.text.startswith(why)
    assert advice in problem.advice


# -- rows ------------------------------------------------------------------------------------------------------------


def test_rows_are_judged_by_their_limits(judged):
    (finding,) = judged("SELECT * FROM jobs", rows_at_most={"P3": 2, "P2": 3}).violations

    assert (Severity.P2, "rows 4", "<= 3") == (finding.severity, finding.observed, finding.expected)
    assert [] == judged("SELECT * FROM jobs", rows_at_most={"P3": 4}, rows_at_least={"P3": 4}).violations
    assert [Severity.P1] == [one.severity for one in judged("TABLE jobs", rows_at_least={"P1": 5}).violations]


def test_uncounted_rows_are_reported_as_more(judged):
    sql = "SELECT * FROM generate_series(1, 1000000)"
    (finding,) = judged(sql, rows_at_most={"P3": 5}, max_rows=10).violations

    assert "rows 11 (more than 10 rows)" == finding.observed


def test_empty_result_passes(judged):
    findings = judged("SELECT id FROM jobs WHERE state = 'lost'", empty=True)

    assert [] == findings.violations
    assert [Measurement(name="rows", value=0, limit=0, margin=0, subject=DATABASE)] == findings.measurements


def test_unexpected_rows_are_one_finding_without_values(judged):
    (finding,) = judged("SELECT * FROM jobs WHERE state = 'failed'", empty=True).violations

    assert (Severity.P2, DATABASE, "3 rows", "no row") == (
        finding.severity,
        finding.subject,
        finding.observed,
        finding.expected,
    )
    assert () == finding.evidence
    assert "hunter2" not in str(finding)


def test_only_named_columns_are_shown(judged):
    sql = "SELECT * FROM jobs WHERE state = 'failed' ORDER BY id"
    (finding,) = judged(sql, empty=True, columns=["id", "name"]).violations

    assert ("id 2, name mail", "id 3, name pay", "id 4, name pay") == finding.evidence


def test_each_row_is_a_finding_with_its_subject(judged):
    sql = "SELECT id, 'job ' || id AS job, nullif(name, 'pay') AS name FROM jobs WHERE state = 'failed' ORDER BY id"
    first, second, _ = judged(sql, empty=True, subject="job", columns=["name"]).violations

    assert ("job 2", "a row in database integration_db") == (first.subject, first.observed)
    assert ("job job 2, name mail",) == first.evidence
    assert ("job job 3, name NULL",) == second.evidence
    assert "job 2" == first.facts["row"]


def test_number_of_findings_is_limited(judged):
    findings = judged("SELECT n FROM generate_series(1, 500) n", empty=True, subject="n", max_rows=100).violations

    assert 21 == len(findings)
    assert (DATABASE, "more than 80 more rows") == (findings[-1].subject, findings[-1].observed)


def test_rows_beyond_max_rows_are_reported(judged):
    sql = "SELECT n FROM generate_series(1, 500) n"

    assert ["1", "2", DATABASE] == [one.subject for one in judged(sql, empty=True, subject="n", max_rows=2).violations]


def test_huge_value_stays_on_the_server(judged):
    sql = "SELECT repeat('x', 100000000) AS huge"
    (finding,) = judged(sql, empty=True, columns=["huge"]).violations

    assert (f"huge {'x' * 200}",) == finding.evidence


def test_missing_column_is_unknown(judged):
    problem = missing(lambda: judged("SELECT id, name FROM jobs", empty=True, subject="nmae"))

    assert ("sql returns no column named nmae", "its columns: id, name") == (problem.text, problem.advice)


def test_duplicate_column_is_unknown(judged):
    problem = missing(lambda: judged("SELECT id, id FROM jobs", empty=True, columns=["id"]))

    assert "sql returns several columns named id" == problem.text


def test_rows_with_duplicate_columns_are_counted(judged):
    assert 1 == len(judged("SELECT 1, 2, 3", empty=True).violations)


# -- databases -------------------------------------------------------------------------------------------------------


def test_failing_database_does_not_hide_others(server, judged):
    sql = "SELECT count(*) FROM pg_class WHERE relname = 'jobs'"
    findings = judged(sql, databases=["postgres", "integration_db"], at_most={"P3": 0})

    assert [DATABASE] == [one.subject for one in findings.violations]
    assert 2 == len(findings.measurements)

    kept: list[Findings] = []

    def keep(expectation, observe, findings):
        kept.append(findings)
        check(expectation, observe, findings)

    target = PostgresTarget(kind="postgres", dsn=server.dsn())
    fields = {"sql": "SELECT max(c.oid)::int8 FROM pg_class c WHERE relname = 'jobs'", "at_most": {"P3": 0}}
    with pytest.raises(CouldNotObserve, match="NULL instead of one number in database postgres"):
        look(keep, PostgresQuery, target, databases=["postgres", "integration_db"], **fields)
    assert [DATABASE] == [one.subject for one in kept[0].violations]


# -- forbidden actions -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sql", "why"),
    [
        ("SELECT 1) AS q; DELETE FROM jobs --", "one statement, with nothing after"),
        ("SELECT 1; DROP TABLE jobs", "one statement, with nothing after"),
        ("DELETE FROM jobs", "begins with SELECT"),
        ("SELECT $1", "without parameters"),
        ("SELECT pg_switch_wal()", "`pg_switch_wal` acts"),
        ("SELECT PG_Terminate_Backend (1)", "`PG_Terminate_Backend` acts"),
    ],
)
def test_statement_other_than_select_is_rejected(judged, sql, why):
    with pytest.raises(ValueError, match=why.replace("(", r"\(")):
        judged(sql)


@pytest.mark.parametrize(
    ("sql", "why"),
    [
        ("WITH gone AS (DELETE FROM jobs RETURNING 1) SELECT count(*) FROM gone", "must not contain data-modifying"),
        ("SELECT 1 INTO stolen", "INTO"),
        ("SELECT id FROM jobs FOR UPDATE", "permission denied for table jobs|read-only"),
        ("SELECT 1) AS a, (SELECT 2", "syntax error"),
        ("SELECT count(*) FROM jbos", 'relation "jbos" does not exist (SQLSTATE 42P01) at line 1, column 22'),
        ("SELECT\n  count(*) FROM\n  jbos", "at line 3, column 3"),
    ],
)
def test_server_error_is_unknown_with_its_position(judged, jobs, sql, why):
    text = missing(lambda: judged(sql)).text

    assert any(one in text for one in why.split("|")), text
    assert (4,) == jobs.execute("SELECT count(*) FROM jobs").fetchone()


def test_writing_function_is_refused_by_the_server(judged, jobs):
    jobs.execute(
        "CREATE FUNCTION remove_all() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'DELETE FROM jobs; SELECT 1'"
    )
    try:
        assert "read-only transaction" in missing(lambda: judged("SELECT remove_all()")).text
    finally:
        jobs.execute("DROP FUNCTION remove_all")
    assert (4,) == jobs.execute("SELECT count(*) FROM jobs").fetchone()


def test_error_with_values_is_not_shown(judged):
    problem = missing(lambda: judged("SELECT secret::int FROM jobs"))

    assert ProblemKind.UNREADABLE == problem.kind
    assert problem.text.startswith("sql fails with InvalidTextRepresentation (SQLSTATE 22P02)")
    assert "hunter2" not in problem.text


def test_unreadable_table_is_denied_with_grant(judged, jobs):
    jobs.execute("REVOKE SELECT ON jobs FROM opscheck")
    problem = missing(lambda: judged(FAILED))

    assert (ProblemKind.DENIED, "permission denied for table jobs") == (problem.kind, problem.text)
    assert 'GRANT SELECT ON jobs TO "opscheck"' == problem.advice


def test_slow_statement_is_canceled_by_the_server(server):
    session = open_session(PostgresTarget(kind="postgres", dsn=server.dsn()), 10)
    with closing(session), pytest.raises(ProbeError) as raised:
        session.ask(Select("target", sql="SELECT count(*) FROM generate_series(1, 1000000000)", number=True), 1)

    assert ProblemKind.LATE == raised.value.problem.kind
    assert "the server canceled the query" in raised.value.problem.text


# -- suggested commands ----------------------------------------------------------------------------------------------


def test_suggested_command_returns_the_same_result(server, judged):
    fields = {"sql": "SELECT name\nFROM jobs\nWHERE state = 'done'", "empty": True, "severity": "P2"}
    (finding,) = judged(fields["sql"], empty=True).violations

    assert "(1 row)" in type_in(PostgresQuery, finding, server, **fields)[0]


def test_statement_with_line_comment_is_not_suggested(server, judged):
    fields = {"sql": "SELECT name -- who\nFROM jobs", "empty": True, "severity": "P2"}
    (finding,) = judged(fields["sql"], empty=True).violations

    assert [] == suggested(PostgresQuery, finding, server, **fields)
