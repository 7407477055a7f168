"""Tables with overdue vacuum or analyze, without a server."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from checks.postgres.test_vacuum import grade_tables, unproven
from opscheck import Findings, PostgresTarget, Severity
from opscheck.core.observation import ProblemKind
from opscheck.core.record import Finding
from opscheck.systems.postgres.vacuum import VACUUM, PostgresVacuum, Table, Tables
from opscheck.testing import expect
from tests.servers.typed_commands import commands_of

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


def test_worst_table_is_first():
    first, second = told(
        tables({"dead": 20_000, "sql_name": "a"}, {"dead": 40_000, "sql_name": "b"}), dead_rows={"P3": "200%"}
    )

    assert ("b in database shop", "a in database shop") == (first.subject, second.subject)


def test_running_vacuum_is_evidence():
    (number,) = told(tables({"dead": 20_000, "vacuum_runs": True}), dead_rows={"P3": "200%"})

    assert "a vacuum is running on it" in number.evidence


def test_disabled_autovacuum_of_the_server_has_no_table_command():
    (number,) = told(tables({"dead": 20_000, "autovacuum": False}), dead_rows={"P3": "200%"})

    assert "autovacuum is disabled for it" in number.evidence
    assert number.remediation.commands == commands_of(VACUUM)


def test_database_named_like_a_dsn_has_no_command():
    (number,) = told(tables({"dead": 20_000}, database="host=evil"), dead_rows={"P3": "200%"})

    assert {} == number.facts
    assert number.remediation.commands == ()


def test_parent_of_partitions_has_no_trigger():
    found = graded(tables({"partitioned": True, "modified": 1_000_000}), stale_statistics={"P3": "200%"})

    assert found.violations == []
    assert len(found.measurements) == 1


def test_parent_older_than_its_partitions_is_violated():
    (number,) = told(tables({"partitioned": True, "modified": 1_000_000}), analyzed_within={"P3": "12h"})

    assert number.observed == "last analysed 1d (its partitions were since)"


def test_trigger_of_zero_is_judged():
    found = graded(tables({"dead": 20_000, "vacuum_trigger": 0.0}), dead_rows={"P3": "200%"})

    assert found.measurements[1].value == 2_000_000


def test_never_vacuumed_violates_the_first_limit():
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
def test_useless_counters_are_unknown(changed, kinds):
    assert kinds == why(msgspec.structs.replace(TABLES, **changed), dead_rows={"P3": "200%"})


@pytest.mark.parametrize("changed", [{"standby": True}, {"counts": False}])
def test_useless_counters_report_no_tables(changed):
    found = graded(tables({"dead": 20_000}, **changed), dead_rows={"P3": "200%"})

    assert found.violations == []
    assert len(found.measurements) == 1
