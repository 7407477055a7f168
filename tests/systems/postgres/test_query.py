"""Valid and invalid custom SELECT statements and their limits."""

import pytest
from pydantic import ValidationError

from opscheck import PostgresTarget
from opscheck.systems.postgres.query import PostgresQuery, Select
from opscheck.testing import expect

TARGET = PostgresTarget(kind="postgres", dsn="postgresql://someone@127.0.0.1/shop")
NUMBER = {"at_most": {"P3": 1}}


def made(sql: str = "SELECT 1", **fields) -> PostgresQuery:
    return expect(PostgresQuery, TARGET, sql=sql, **(fields or NUMBER))


def refusal(sql: str = "SELECT 1", **fields) -> str:
    with pytest.raises(ValidationError) as error:
        made(sql, **fields)
    return "\n".join(one["msg"] for one in error.value.errors())


@pytest.mark.parametrize(
    "sql",
    [
        "select 1",
        "  SELECT 1 ;\n",
        "(SELECT 1) UNION (SELECT 2)",
        "WITH a AS (SELECT 1) TABLE a",
        "VALUES (1)",
        "-- how many\nSELECT 1",
        "/* how; many */ SELECT 1",
        "SELECT ';', \"a;b\", $$;$$, $x$;$$;$x$, E'\\';' FROM t",
        "SELECT 'pg_switch_wal()'",
        "SELECT pg_switch_wal FROM t",
        "SELECT '$1'",
    ],
)
def test_one_select_is_accepted(sql):
    assert sql.strip().rstrip(";").rstrip() == made(sql).sql


@pytest.mark.parametrize(
    ("sql", "why"),
    [
        ("", "begins with SELECT"),
        (";", "begins with SELECT"),
        ("-- SELECT 1", "begins with SELECT"),
        ("'x'; SELECT 1", "begins with SELECT"),
        ("EXPLAIN ANALYZE SELECT 1", "begins with SELECT"),
        ("SELECTED", "begins with SELECT"),
        ("COPY t TO PROGRAM 'sh'", "begins with SELECT"),
        ("SELECT 1; SELECT 2", "one statement, with nothing after"),
        ("SELECT 1; -- two", "one statement, with nothing after"),
        ("SELECT $1", "without parameters"),
        ("SELECT set_config('a', 'b', false)", "`set_config` acts"),
        ("SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_stat_activity", "`pg_terminate_backend` acts"),
        ("SELECT pg_advisory_lock /* so */ (1)", "`pg_advisory_lock` acts"),
        ("SELECT * FROM dblink_exec('a', 'b')", "`dblink_exec` acts"),
        ("SELECT pg_stat_statements_reset()", "acts, waits or keeps a lock"),
    ],
)
def test_other_statements_are_rejected(sql, why):
    assert why in refusal(sql)


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"severity": "P1"}, "at least one limit (at_most, at_least, rows_at_most, rows_at_least, empty)"),
        ({"empty": True}, "`severity`"),
        ({"empty": False, "severity": "P1"}, "Input should be True"),
        (NUMBER | {"rows_at_most": {"P3": 1}}, "a limit on one number, or `rows_at_most`"),
        (NUMBER | {"empty": True}, "or `empty`"),
        (NUMBER | {"columns": ["a"]}, "or `columns`"),
        (NUMBER | {"subject": "a"}, "or `subject`"),
        ({"empty": True, "rows_at_most": {"P3": 1}}, "`empty: true` alone"),
        ({"rows_at_most": {"P3": 1}, "subject": "a"}, "`empty: true` with `subject`"),
        ({"rows_at_most": {"P3": 1, "P1": 1000}}, "limits below `max_rows` (1000)"),
        ({"rows_at_least": {"P3": 10}, "max_rows": 10}, "limits below `max_rows` (10)"),
        ({"rows_at_least": {"P3": 0}}, "more than 0"),
        ({"rows_at_most": {"P3": 1}, "max_rows": 10_001}, "less than or equal to 10000"),
        ({"at_most": {"P3": True}}, "a number"),
    ],
)
def test_ambiguous_limits_are_rejected(fields, why):
    assert why in refusal(**fields)


def test_only_shown_columns_are_queried():
    (query,) = made(empty=True, subject="a", columns=["b", "a"], severity="P3", databases=["stock"]).queries()

    assert Select("target", "stock", "SELECT 1", shown=("a", "b")) == query


def test_expectations_with_one_statement_share_the_query():
    first, second = made(at_most={"P1": 5}), made(at_least={"P3": 1})

    assert tuple(first.queries()) == tuple(second.queries()) == (Select("target", sql="SELECT 1", number=True),)
