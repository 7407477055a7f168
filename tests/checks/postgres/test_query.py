"""`postgres.query` on real servers: what a SELECT yields, what it must not do, and what never leaves the server."""

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import psycopg
import pytest

from checks.postgres.test_query import test_the_statement_yields_what_it_should as check
from opscheck import PostgresTarget, Severity
from opscheck.core.findings import Findings
from opscheck.core.observation import CouldNotObserve, ProbeError, ProblemKind
from opscheck.core.record import Measurement
from opscheck.demo.postgres import PostgreSQL
from opscheck.systems.postgres.probe import open_session
from opscheck.systems.postgres.query import PostgresQuery, Select
from tests.servers.looking import look, missing
from tests.servers.typing_in import suggested, type_in

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


def test_a_number_within_its_limits_passes_and_is_measured(judged):
    findings = judged(FAILED, at_most={"P3": 3}, unit="jobs")

    assert [] == findings.violations
    assert [
        Measurement(name="failed", value=3, unit="jobs", limit=3, margin=0, subject=DATABASE)
    ] == findings.measurements


def test_a_number_over_its_limit_is_found_at_the_severity_of_the_step(judged):
    (finding,) = judged(FAILED).violations

    assert (Severity.P1, DATABASE) == (finding.severity, finding.subject)
    assert ("failed 3", "<= 2") == (finding.observed, finding.expected)


def test_a_number_may_be_too_small(judged):
    (finding,) = judged("SELECT count(*) FROM jobs WHERE state = 'done'", at_least={"P2": 2}).violations

    assert (Severity.P2, "count 1", ">= 2") == (finding.severity, finding.observed, finding.expected)


@pytest.mark.parametrize("number", ["3::int2", "3", "3::int8", "3.0::float4", "3.0::float8", "3.00::numeric", "3e0"])
def test_every_type_of_number_is_one(judged, number):
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
def test_every_way_to_select_is_one(judged, jobs, sql):
    jobs.execute("CREATE VIEW only_number AS SELECT 3 AS number")
    jobs.execute("GRANT SELECT ON only_number TO opscheck")
    try:
        assert [3.0] == [one.value for one in judged(sql, at_most={"P3": 5}).measurements]
    finally:
        jobs.execute("DROP VIEW only_number")


@pytest.mark.parametrize(
    ("sql", "why", "advice"),
    [
        ("SELECT max(id) FROM jobs WHERE state = 'new'", "sql yields NULL in", "coalesce"),
        ("SELECT id FROM jobs WHERE state = 'new'", "sql yields no row in", "count"),
        ("SELECT id FROM jobs", "sql yields several rows in", "rows_at_most"),
        ("SELECT 'NaN'::float8", "sql yields NaN in", "finite"),
        ("SELECT 'Infinity'::float8", "sql yields Infinity in", "finite"),
        ("SELECT id, name FROM jobs", "sql yields 2 columns, id, name, where one number", "one column"),
        ("SELECT name FROM jobs", "sql yields name of type text, and no number", "cast"),
        ("SELECT interval '1 hour' AS age", "sql yields age of type interval, and no number", "extract(epoch"),
        ("SELECT true AS well", "sql yields well of type boolean, and no number", "cast"),
    ],
)
def test_what_is_no_number_is_missing_with_the_reason(judged, sql, why, advice):
    problem = missing(lambda: judged(sql))

    assert ProblemKind.UNSUPPORTED == problem.kind
    assert problem.text.startswith(why)
    assert advice in problem.advice


# -- rows ------------------------------------------------------------------------------------------------------------


def test_rows_are_counted_against_their_limits(judged):
    (finding,) = judged("SELECT * FROM jobs", rows_at_most={"P3": 2, "P2": 3}).violations

    assert (Severity.P2, "rows 4", "<= 3") == (finding.severity, finding.observed, finding.expected)
    assert [] == judged("SELECT * FROM jobs", rows_at_most={"P3": 4}, rows_at_least={"P3": 4}).violations
    assert [Severity.P1] == [one.severity for one in judged("TABLE jobs", rows_at_least={"P1": 5}).violations]


def test_more_rows_than_are_counted_are_told_as_more(judged):
    sql = "SELECT * FROM generate_series(1, 1000000)"
    (finding,) = judged(sql, rows_at_most={"P3": 5}, max_rows=10).violations

    assert "rows 11 (more than 10 rows)" == finding.observed


def test_no_row_is_what_is_expected(judged):
    findings = judged("SELECT id FROM jobs WHERE state = 'lost'", empty=True)

    assert [] == findings.violations
    assert [Measurement(name="rows", value=0, limit=0, margin=0, subject=DATABASE)] == findings.measurements


def test_rows_where_none_should_be_are_one_finding_without_any_value(judged):
    (finding,) = judged("SELECT * FROM jobs WHERE state = 'failed'", empty=True).violations

    assert (Severity.P2, DATABASE, "3 rows", "no row") == (
        finding.severity,
        finding.subject,
        finding.observed,
        finding.expected,
    )
    assert () == finding.evidence
    assert "hunter2" not in str(finding)


def test_values_are_shown_of_the_columns_that_the_policy_names_alone(judged):
    sql = "SELECT * FROM jobs WHERE state = 'failed' ORDER BY id"
    (finding,) = judged(sql, empty=True, columns=["id", "name"]).violations

    assert ("id 2, name mail", "id 3, name pay", "id 4, name pay") == finding.evidence


def test_each_row_is_a_finding_under_the_name_in_its_subject(judged):
    sql = "SELECT id, 'job ' || id AS job, nullif(name, 'pay') AS name FROM jobs WHERE state = 'failed' ORDER BY id"
    first, second, _ = judged(sql, empty=True, subject="job", columns=["name"]).violations

    assert ("job 2", "a row in database integration_db") == (first.subject, first.observed)
    assert ("job job 2, name mail",) == first.evidence
    assert ("job job 3, name NULL",) == second.evidence
    assert "job 2" == first.facts["row"]


def test_many_rows_are_not_as_many_findings(judged):
    findings = judged("SELECT n FROM generate_series(1, 500) n", empty=True, subject="n", max_rows=100).violations

    assert 21 == len(findings)
    assert (DATABASE, "more than 80 more rows") == (findings[-1].subject, findings[-1].observed)


def test_rows_beyond_those_that_are_counted_are_not_forgotten(judged):
    sql = "SELECT n FROM generate_series(1, 500) n"

    assert ["1", "2", DATABASE] == [one.subject for one in judged(sql, empty=True, subject="n", max_rows=2).violations]


def test_a_huge_value_stays_on_the_server(judged):
    sql = "SELECT repeat('x', 100000000) AS huge"
    (finding,) = judged(sql, empty=True, columns=["huge"]).violations

    assert (f"huge {'x' * 200}",) == finding.evidence


def test_a_column_that_is_not_there_is_missing(judged):
    problem = missing(lambda: judged("SELECT id, name FROM jobs", empty=True, subject="nmae"))

    assert ("sql yields no column called nmae", "its columns are id, name") == (problem.text, problem.advice)


def test_a_column_that_is_there_twice_is_missing(judged):
    problem = missing(lambda: judged("SELECT id, id FROM jobs", empty=True, columns=["id"]))

    assert "sql yields several columns called id" == problem.text


def test_two_columns_of_one_name_are_rows_like_any_other(judged):
    assert 1 == len(judged("SELECT 1, 2, 3", empty=True).violations)


# -- databases -------------------------------------------------------------------------------------------------------


def test_each_database_is_asked_and_one_that_cannot_answer_hides_no_other(server, judged):
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
    with pytest.raises(CouldNotObserve, match="NULL in database postgres"):
        look(keep, PostgresQuery, target, databases=["postgres", "integration_db"], **fields)
    assert [DATABASE] == [one.subject for one in kept[0].violations]


# -- what must not happen --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sql", "why"),
    [
        ("SELECT 1) AS q; DELETE FROM jobs --", "one statement alone"),
        ("SELECT 1; DROP TABLE jobs", "one statement alone"),
        ("DELETE FROM jobs", "begins with SELECT"),
        ("SELECT $1", "without parameters"),
        ("SELECT pg_switch_wal()", "`pg_switch_wal` acts"),
        ("SELECT PG_Terminate_Backend (1)", "`PG_Terminate_Backend` acts"),
    ],
)
def test_what_is_no_select_is_refused_with_the_policy(judged, sql, why):
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
def test_what_the_server_refuses_is_missing_with_its_words_and_the_place(judged, jobs, sql, why):
    text = missing(lambda: judged(sql)).text

    assert any(one in text for one in why.split("|")), text
    assert (4,) == jobs.execute("SELECT count(*) FROM jobs").fetchone()


def test_a_function_that_writes_is_refused_by_the_server(judged, jobs):
    jobs.execute(
        "CREATE FUNCTION remove_all() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'DELETE FROM jobs; SELECT 1'"
    )
    try:
        assert "read-only transaction" in missing(lambda: judged("SELECT remove_all()")).text
    finally:
        jobs.execute("DROP FUNCTION remove_all")
    assert (4,) == jobs.execute("SELECT count(*) FROM jobs").fetchone()


def test_an_error_that_quotes_a_row_is_not_quoted(judged):
    problem = missing(lambda: judged("SELECT secret::int FROM jobs"))

    assert ProblemKind.UNREADABLE == problem.kind
    assert problem.text.startswith("sql ends in InvalidTextRepresentation (SQLSTATE 22P02)")
    assert "hunter2" not in problem.text


def test_a_table_that_opscheck_may_not_read_is_denied_with_the_grant(judged, jobs):
    jobs.execute("REVOKE SELECT ON jobs FROM opscheck")
    problem = missing(lambda: judged(FAILED))

    assert (ProblemKind.DENIED, "permission denied for table jobs") == (problem.kind, problem.text)
    assert 'GRANT SELECT ON jobs TO "opscheck"' == problem.advice


def test_a_statement_that_takes_too_long_is_ended_by_the_server(server):
    session = open_session(PostgresTarget(kind="postgres", dsn=server.dsn()), 10)
    with closing(session), pytest.raises(ProbeError) as raised:
        session.ask(Select("target", sql="SELECT count(*) FROM generate_series(1, 1000000000)", number=True), 1)

    assert ProblemKind.LATE == raised.value.problem.kind
    assert "the server ended it" in raised.value.problem.text


# -- what is suggested -----------------------------------------------------------------------------------------------


def test_the_suggested_command_yields_the_same(server, judged):
    fields = {"sql": "SELECT name\nFROM jobs\nWHERE state = 'done'", "empty": True, "severity": "P2"}
    (finding,) = judged(fields["sql"], empty=True).violations

    assert "(1 row)" in type_in(PostgresQuery, finding, server, **fields)[0]


def test_a_statement_that_cannot_stand_on_one_line_is_not_suggested(server, judged):
    fields = {"sql": "SELECT name -- who\nFROM jobs", "empty": True, "severity": "P2"}
    (finding,) = judged(fields["sql"], empty=True).violations

    assert [] == suggested(PostgresQuery, finding, server, **fields)
