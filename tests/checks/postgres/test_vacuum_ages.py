"""`postgres.vacuum` on real servers with old databases, and with holders of dead rows."""

from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from checks.postgres.test_vacuum import FREEZE_MULTIXACTS, FREEZE_XIDS
from checks.postgres.test_vacuum import test_vacuum_keeps_up as check
from opscheck import PostgresTarget, Severity
from opscheck.core.findings import Findings
from opscheck.core.observation import ProblemKind
from opscheck.core.record import Finding
from opscheck.demo.postgres import DATABASE, PostgreSQL
from opscheck.systems.postgres.vacuum import PostgresVacuum
from opscheck.testing import expect
from opscheck.transport.processes import wait_until
from tests.checks.postgres.worlds import burn, burn_many, snapshot
from tests.servers.clients import idle_in_transaction
from tests.servers.looking import look, missing
from tests.servers.replication import replication
from tests.servers.typed_commands import type_in

Judged = Callable[..., Findings]


@pytest.fixture(name="judged")
def _judged(server: PostgreSQL) -> Judged:
    def judge_now(as_role: str = "opscheck", /, **fields: Any) -> Findings:
        return look(check, PostgresVacuum, PostgresTarget(kind="postgres", dsn=server.dsn(as_role)), **fields)

    return judge_now


@pytest.fixture(name="old")
def _old(server: PostgreSQL) -> None:
    """Every database has seen more than 0.00001 % of all transactions."""
    burn(server, 250)


# -- ages ------------------------------------------------------------------------------------------------------------


def test_young_databases_pass_and_the_oldest_is_measured(judged):
    findings = judged(xid_age={"P2": "40%", "P0": "60%"}, multixact_age={"P2": "40%"}, freeze_lag={"P3": "120%"})

    assert [] == findings.violations
    assert [
        "xid age",
        "multixact age",
        "xid age relative to autovacuum_freeze_max_age",
        "multixact age relative to autovacuum_multixact_freeze_max_age",
    ] == [one.name for one in findings.measurements]


def test_old_template0_is_violated(server, judged, old):
    (finding,) = judged(xid_age={"P2": "0.00001%", "P1": "20%"}).violations

    assert Severity.P2 == finding.severity
    assert finding.observed.startswith("xid age ")
    assert "of 2147483648)" in finding.observed
    assert any("template0" in line for line in [finding.subject, *finding.evidence])


def test_suggested_commands_freeze_the_tables(server, judged, old):
    (finding,) = judged(xid_age={"P2": "0.00001%"}).violations
    fields = {"xid_age": {"P2": "0.00001%"}}
    expectation = expect(PostgresVacuum, PostgresTarget(kind="postgres", dsn="host=db"), **fields)
    frozen = expectation.finding(
        subject="",
        observed="",
        expected="",
        remedies=(FREEZE_XIDS, FREEZE_MULTIXACTS),
        facts=finding.facts | {"database": DATABASE},
    )
    printed = type_in(PostgresVacuum, frozen, server, **fields)

    assert 2 == len(printed)
    assert all(one.count("aggressively vacuuming") >= 10 for one in printed)


def test_age_far_beyond_forced_freezing_is_violated(own_server):
    with psycopg.connect(own_server.dsn("postgres"), autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET autovacuum = off")
        connection.execute("ALTER SYSTEM SET autovacuum_freeze_max_age = 100000")
        connection.execute("ALTER SYSTEM SET autovacuum_multixact_freeze_max_age = 10000")
    own_server.restart()
    target = PostgresTarget(kind="postgres", dsn=own_server.dsn())

    assert [] == look(check, PostgresVacuum, target, freeze_lag={"P3": "120%"}).violations

    burn_many(own_server, 125_000)
    (finding,) = look(check, PostgresVacuum, target, freeze_lag={"P3": "120%", "P2": "150%"}).violations

    assert Severity.P3 == finding.severity
    assert finding.observed.startswith("xid age relative to autovacuum_freeze_max_age 125")
    assert finding.observed.endswith("forced freezing at 100000)")


# -- who keeps rows --------------------------------------------------------------------------------------------------


def test_server_without_holders_passes(judged):
    findings = judged(oldest_xmin={"P2": 1000}, oldest_xmin_held={"P2": "1h"})

    assert [] == findings.violations
    assert [("transactions held back", 0.0)] == [(one.name, one.value) for one in findings.measurements]


def test_old_snapshot_is_violated(server, judged):
    with snapshot(server) as report:
        burn(server, 30)
        (finding,) = judged(oldest_xmin={"P3": 5, "P2": 20, "P1": 1000}).violations

        assert (Severity.P2, f"session {report.pid}") == (finding.severity, finding.subject)
        assert finding.observed.startswith("transactions held back 3")
        assert "<= 20" == finding.expected
        assert "of report as app in database integration_db, idle in transaction" in finding.evidence[0]
        type_in(PostgresVacuum, finding, server, oldest_xmin={"P2": 20})
        wait_until(lambda: not judged(oldest_xmin={"P2": 20}).violations, 20, "it was not ended")


def test_writing_transaction_keeps_rows_without_snapshot(server, judged):
    with idle_in_transaction(server, "SELECT txid_current()", application="writer") as writer:
        burn(server, 30)
        (finding,) = judged(oldest_xmin={"P2": 20}).violations

        assert f"session {writer.pid}" == finding.subject


def test_time_of_a_holder_is_judged(server, judged):
    with snapshot(server) as report:
        (finding,) = judged(oldest_xmin={"P2": 1000}, oldest_xmin_held={"P1": "1ms"}).violations

        assert (Severity.P1, f"session {report.pid}") == (finding.severity, finding.subject)
        assert finding.observed.startswith("time held back ")


def test_session_with_reused_pid_is_not_ended(server, judged):
    with snapshot(server) as report:
        burn(server, 30)
        (finding,) = judged(oldest_xmin={"P2": 20}).violations
        report.do("COMMIT", "BEGIN ISOLATION LEVEL REPEATABLE READ", "SELECT count(*) FROM pg_class")

        type_in(PostgresVacuum, finding, server, oldest_xmin={"P2": 20})

        report.do("SELECT 1")


def test_prepared_transaction_is_reported_and_rolled_back(installation):
    with PostgreSQL(programs=installation, max_prepared_transactions="2") as own:
        with psycopg.connect(own.dsn("postgres"), autocommit=True) as connection:
            connection.execute("BEGIN")
            connection.execute("SELECT txid_current()")
            connection.execute("PREPARE TRANSACTION 'order''s end'")
        burn(own, 30)
        (finding,) = _held(own)

        assert "prepared transaction order's end" == finding.subject
        assert {"gid": "order's end", "gid_database": DATABASE} == finding.facts
        type_in(PostgresVacuum, finding, own, oldest_xmin={"P2": 20})
        assert [] == _held(own)


def test_slot_without_consumer_is_reported_and_dropped(installation):
    with PostgreSQL(programs=installation, wal_level="logical") as own:
        with psycopg.connect(own.dsn("postgres"), autocommit=True) as connection:
            connection.execute("SELECT pg_create_logical_replication_slot('search', 'pgoutput')")
        burn(own, 30)
        (finding,) = _held(own)

        assert "replication slot search" == finding.subject
        assert {"slot": "search"} == finding.facts
        assert ["replication slot search in database integration_db, without a consumer"] == [
            line.partition(", since")[0] for line in finding.evidence
        ]
        type_in(PostgresVacuum, finding, own, oldest_xmin={"P2": 20})
        assert [] == _held(own)


def test_standby_with_feedback_is_reported(installation):
    with (
        replication(installation, standby_settings={"hot_standby_feedback": "on"}) as pair,
        snapshot(pair.standby.server),
    ):
        burn(pair.primary, 30)
        wait_until(lambda: bool(_held(pair.primary)), 30, "the standby holds nothing")
        (finding,) = _held(pair.primary)

        assert "standby standby_1" == finding.subject
        assert {} == finding.facts


def test_ages_are_judged_without_pg_read_all_stats(judged, old):
    fields = {"xid_age": {"P2": "0.00001%"}, "oldest_xmin": {"P2": 20}}
    problem = missing(lambda: judged("app", **fields))

    assert ProblemKind.DENIED == problem.kind
    assert 'GRANT pg_read_all_stats TO "app"' == problem.advice
    assert [Severity.P2] == [one.severity for one in judged("app", xid_age={"P2": "0.00001%"}).violations]


def _held(server: PostgreSQL) -> list[Finding]:
    target = PostgresTarget(kind="postgres", dsn=server.dsn())
    return look(check, PostgresVacuum, target, oldest_xmin={"P2": 20}).violations
