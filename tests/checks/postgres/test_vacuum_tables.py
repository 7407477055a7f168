"""Which tables vacuum and analyze have left behind, without a server."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from checks.postgres.test_vacuum import grade_tables, unproven
from opscheck import Findings, PostgresTarget, Severity
from opscheck.core.observation import ProblemKind
from opscheck.core.record import Finding
from opscheck.systems.postgres.vacuum import VACUUM, PostgresVacuum, Table, Tables
from opscheck.testing import expect
from tests.servers.typing_in import commands_of

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
TARGET = PostgresTarget(kind="postgres", dsn="postgresql://h/shop")
TABLE = Table(
    schema="public",
    name="orders",
    sql_name="public.orders",
    rows=20_000,
    dead=0,
    vacuum_trigger=4050,
    written=0,
    modified=0,
    analyze_trigger=2050,
    last_vacuum=NOON - timedelta(days=1),
    last_analyze=NOON - timedelta(days=1),
    autovacuum=True,
    disabled=False,
    partitioned=False,
    never_analyzed=False,
    vacuum_runs=False,
)
TABLES = Tables(
    database="shop",
    tables=1,
    named=(TABLE,),
    beyond_vacuum=0,
    beyond_analyze=0,
    written=0,
    modified=0,
    unanalyzed=1,
    counted_since=NOON - timedelta(days=100),
    clock=NOON,
    standby=False,
    counts=True,
)


def tables(*changes: dict, **answer) -> Tables:
    named = tuple(msgspec.structs.replace(TABLE, **one) for one in changes)
    return msgspec.structs.replace(TABLES, named=named, **answer)


def graded(answer: Tables, **fields) -> Findings:
    findings = Findings(expect(PostgresVacuum, TARGET, **fields))
    grade_tables(findings._expectation, answer, (), findings)
    assert findings.measurements[0].name == "tables"
    return findings


def told(answer: Tables, **fields) -> list[Finding]:
    return graded(answer, **fields).violations


def why(answer: Tables, **fields) -> list[ProblemKind]:
    problem = unproven(expect(PostgresVacuum, TARGET, **fields), answer)
    return [] if problem is None else [problem.kind]


def test_the_worst_table_comes_first():
    first, second = told(
        tables({"dead": 20_000, "sql_name": "a"}, {"dead": 40_000, "sql_name": "b"}), dead_rows={"P3": "200%"}
    )

    assert ("b in database shop", "a in database shop") == (first.subject, second.subject)


def test_a_vacuum_that_runs_now_is_told():
    (number,) = told(tables({"dead": 20_000, "vacuum_runs": True}), dead_rows={"P3": "200%"})

    assert "a vacuum works on it now" in number.evidence


def test_autovacuum_that_is_off_for_the_whole_server_leads_to_no_command_for_the_table():
    (number,) = told(tables({"dead": 20_000, "autovacuum": False}), dead_rows={"P3": "200%"})

    assert "autovacuum is switched off for it" in number.evidence
    assert number.remediation.commands == commands_of(VACUUM)


def test_a_database_whose_name_psql_takes_for_a_connection_string_leads_to_no_command():
    (number,) = told(tables({"dead": 20_000}, database="host=evil"), dead_rows={"P3": "200%"})

    assert {} == number.facts
    assert number.remediation.commands == ()


def test_the_changed_rows_of_a_parent_are_held_to_no_trigger_for_it_has_none():
    found = graded(tables({"partitioned": True, "modified": 1_000_000}), stale_statistics={"P3": "200%"})

    assert found.violations == []
    assert len(found.measurements) == 1


def test_a_parent_whose_partitions_were_analysed_since_must_be_too():
    (number,) = told(tables({"partitioned": True, "modified": 1_000_000}), analyzed_within={"P3": "12h"})

    assert number.observed == "last analysed 1d (its partitions were since)"


def test_a_trigger_of_nothing_divides_nothing():
    found = graded(tables({"dead": 20_000, "vacuum_trigger": 0.0}), dead_rows={"P3": "200%"})

    assert found.measurements[1].value == 2_000_000


def test_never_is_the_mildest_violation():
    (trouble,) = told(tables({"written": 20_000, "last_vacuum": None}), vacuumed_within={"P3": "7d", "P1": "30d"})

    assert (Severity.P3, "never vacuumed (20000 rows written)") == (trouble.severity, trouble.observed)


@pytest.mark.parametrize(
    ("changed", "kinds"),
    [
        ({}, []),
        ({"counted_since": None}, []),
        ({"counted_since": NOON - timedelta(minutes=59)}, [ProblemKind.FIRST_SAMPLE]),
        ({"counted_since": NOON - timedelta(minutes=59), "unanalyzed": 0}, []),
        ({"standby": True}, [ProblemKind.UNSUPPORTED]),
        ({"counts": False}, [ProblemKind.UNSUPPORTED]),
    ],
)
def test_when_counters_prove_nothing(changed, kinds):
    assert kinds == why(msgspec.structs.replace(TABLES, **changed), dead_rows={"P3": "200%"})


@pytest.mark.parametrize("changed", [{"standby": True}, {"counts": False}])
def test_and_nothing_is_told_of_tables_then(changed):
    found = graded(tables({"dead": 20_000}, **changed), dead_rows={"P3": "200%"})

    assert found.violations == []
    assert len(found.measurements) == 1
