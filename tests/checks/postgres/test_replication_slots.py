"""`postgres.replication` and the slots of real servers: used, forgotten, holding back WAL, about to be lost, lost."""

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import psycopg
import pytest

from checks.postgres.test_replication import test_replicas_are_connected_and_current as check
from opscheck import PostgresTarget, Severity
from opscheck.core.findings import Findings
from opscheck.core.observation import ProblemKind, Sample
from opscheck.core.record import Finding
from opscheck.demo.postgres import PostgreSQL
from opscheck.systems.postgres.probe import open_session
from opscheck.systems.postgres.replication import (
    DROP_LOST_SLOT,
    DROP_SLOT,
    SET_KEEP_SIZE,
    SHOW_SLOT,
    PostgresReplication,
    ReadSlots,
)
from tests.servers.looking import look, missing
from tests.servers.replication import ask, replication, write
from tests.servers.typed_commands import commands_of, type_in

CATALOGUE = {"slot_retained": {"P1": "5GB", "P0": "20GB"}, "slot_inactive": {"P2": "10m", "P1": "1h"}}
SOON_LOST = {"slot_retained": {"P2": "5GB", "P0": "20GB"}}
KEPT = ReadSlots("target")
TELLS_SINCE = 17


def target(server: PostgreSQL, role: str = "opscheck") -> PostgresTarget:
    return PostgresTarget(kind="postgres", dsn=server.dsn(role))


def judge(server: PostgreSQL, role: str = "opscheck", /, **fields: Any) -> Findings:
    return look(check, PostgresReplication, target(server, role), **(fields or CATALOGUE))


def violations(server: PostgreSQL, **fields: Any) -> list[Finding]:
    return judge(server, **fields).violations


@pytest.fixture(name="keeper", scope="module")
def _keeper(installation) -> Iterator[PostgreSQL]:
    """A server that keeps at most 16 MiB for its slots, and checkpoints only for the test."""
    settings = {"max_slot_wal_keep_size": "16MB", "checkpoint_timeout": "1h", "autovacuum": "off"}
    with PostgreSQL(programs=installation, **settings) as server:
        yield server


@pytest.fixture(name="slot")
def _slot(keeper) -> Iterator[str]:
    """A slot that keeps WAL from now on, and has no consumer."""
    ask(keeper, "SELECT pg_create_physical_replication_slot('forgotten', true)")
    yield "forgotten"
    ask(keeper, "SELECT pg_drop_replication_slot('forgotten')")


def end_segments(server: PostgreSQL, count: int) -> None:
    for _ in range(count):
        write(server)
        ask(server, "SELECT pg_switch_wal()")


def test_slot_with_little_wal_passes_and_is_measured(keeper, slot):
    findings = judge(keeper, slots=["for*"], slot_retained={"P1": "5GB"}, slot_safe={"P1": "1MB"}, slot_unlimited="P2")

    assert [] == findings.violations
    assert ["slots", "WAL retained", "WAL until lost"] == [one.name for one in findings.measurements]


def test_retained_wal_is_graded(keeper, slot):
    end_segments(keeper, 1)
    (finding,) = violations(keeper, slot_retained={"P2": "100KB", "P1": "5GB"})

    assert (Severity.P2, "slot forgotten", "<= 100KB") == (finding.severity, finding.subject, finding.expected)
    assert finding.observed.startswith("WAL retained ")
    assert "physical, inactive, " in finding.observed
    assert {"slot": "forgotten"} == finding.facts
    assert finding.remediation.commands == commands_of(SHOW_SLOT, DROP_SLOT)


def test_safe_wal_size_of_zero_is_the_worst(keeper, slot):
    end_segments(keeper, 3)
    (size,) = ask(keeper, "SELECT safe_wal_size FROM pg_replication_slots")
    unreserved, safe = violations(keeper, slot_safe={"P2": "1GB", "P0": "1MB"})

    assert size <= 0
    assert (Severity.P0, "slot forgotten", ">= 1MB") == (safe.severity, safe.subject, safe.expected)
    assert safe.observed.startswith("WAL until lost ")
    assert (Severity.P2, "slot forgotten", "reserved") == (
        unreserved.severity,
        unreserved.subject,
        unreserved.expected,
    )
    assert "wal_status is unreserved: the next checkpoint may remove its WAL" == unreserved.observed


def test_lost_slot_has_the_worst_severity(keeper, slot):
    end_segments(keeper, 3)
    with psycopg.connect(keeper.dsn("postgres"), autocommit=True) as connection:
        connection.execute("CHECKPOINT")
    (finding,) = violations(keeper, **SOON_LOST)

    assert (Severity.P0, "slot forgotten") == (finding.severity, finding.subject)
    assert "lost" in finding.observed or "wal_removed" in finding.observed
    assert {"slot": "forgotten"} == finding.facts
    assert finding.remediation.commands == commands_of(DROP_LOST_SLOT)


def test_missing_slot_is_violated(keeper, slot):
    (finding,) = violations(keeper, slots=["forgotten", "standby_*"], severity="P1")

    assert (Severity.P1, "slot standby_*", "does not exist") == (finding.severity, finding.subject, finding.observed)


def test_unlimited_slots_have_the_severity_of_the_policy(own_server):
    assert [] == violations(own_server, slot_unlimited="P2", severity="P1")

    ask(own_server, "SELECT pg_create_physical_replication_slot('spare')")
    (finding,) = violations(own_server, slot_unlimited="P2", severity="P1", slot_retained={"P1": "40GB"})

    assert Severity.P2 == finding.severity
    assert "max_slot_wal_keep_size is -1: slots retain WAL until the disk is full" == finding.observed
    assert ("spare: physical, inactive",) == finding.evidence
    assert {"keep_size": "38146MB"} == finding.facts
    assert finding.remediation.commands == commands_of(SET_KEEP_SIZE)


def test_unused_slot_retains_nothing(own_server):
    ask(own_server, "SELECT pg_create_physical_replication_slot('spare')")
    assert (None,) == ask(own_server, "SELECT restart_lsn FROM pg_replication_slots")

    findings = judge(own_server, slot_retained={"P1": "0B"}, slot_safe={"P1": "1MB"})

    assert [] == findings.violations
    assert ["slots"] == [one.name for one in findings.measurements]


# -- inactive slots --------------------------------------------------------------------------------------------------


def test_inactive_slot_is_graded_by_the_server(keeper, slot):
    if keeper.major < TELLS_SINCE:  # that has none
        problem = missing(lambda: judge(keeper))
        assert ProblemKind.FIRST_SAMPLE == problem.kind
        assert problem.text.startswith("slot forgotten is inactive, and no earlier run saw it")
        return
    (finding,) = violations(keeper, slot_inactive={"P2": "0s", "P1": "1h"})

    assert (Severity.P2, "slot forgotten", "<= 0s") == (finding.severity, finding.subject, finding.expected)
    assert finding.observed.startswith("inactive for ")
    assert finding.since is not None
    assert datetime.now(UTC) - finding.since < timedelta(minutes=5)
    assert {"slot": "forgotten"} == finding.facts
    assert finding.remediation.commands == commands_of(SHOW_SLOT, DROP_SLOT)


def test_inactive_slot_is_graded_by_earlier_runs(keeper, slot):
    with closing(open_session(target(keeper), 10)) as session:
        now = session.ask(KEPT, 5)
    before = msgspec.structs.replace(now, taken_at=now.taken_at - timedelta(minutes=90))
    found = violations(keeper, earlier={KEPT: [Sample(taken_at=before.taken_at, answer=before)]}, **CATALOGUE)

    if keeper.major >= TELLS_SINCE:  # the server's time overrides the samples: a moment
        assert [] == found
        return
    (finding,) = found
    assert (Severity.P1, "slot forgotten", "<= 1h") == (finding.severity, finding.subject, finding.expected)
    assert finding.observed.startswith("inactive for 1h30m")


# -- Used slots, and those of a standby ------------------------------------------------------------------------------


def test_active_slots_pass_and_standby_uses_received_wal(installation):
    with replication(installation, slots=True) as pair:
        write(pair.primary, 2)
        pair.wait_until_replayed()
        standby = pair.standby.server
        ask(standby, "SELECT pg_drop_replication_slot('standby_1')")  # came with the copy
        ask(standby, "SELECT pg_create_physical_replication_slot('cascade', true)")
        own = judge(standby, slots=["cascade"], slot_retained={"P1": "100MB"})

        (kept,) = violations(standby, slot_retained={"P1": "0B"})
        assert "physical" in type_in(PostgresReplication, kept, standby, **CATALOGUE)[0]

        assert [] == violations(pair.primary, slot_inactive={"P1": "0s"}, slot_retained={"P1": "100MB"})
        assert [] == own.violations
        assert ["WAL retained"] == [one.name for one in own.measurements if one.subject == "slot cascade"]


def test_any_role_may_read_slots(keeper, slot):
    assert [] == judge(keeper, "app", slot_retained={"P1": "5GB"}).violations


def test_suggested_commands_run(own_server):
    ask(own_server, "SELECT pg_create_physical_replication_slot('forgotten', true)")
    unlimited, kept = violations(own_server, slot_unlimited="P2", slot_retained={"P1": "0B"})
    limited = type_in(PostgresReplication, unlimited, own_server, **CATALOGUE)
    shown, dropped = type_in(PostgresReplication, kept, own_server, **CATALOGUE)

    assert limited[0].startswith("ALTER SYSTEM")
    assert "physical" in shown
    assert "pg_drop_replication_slot" in dropped
    assert (0,) == ask(own_server, "SELECT count(*) FROM pg_replication_slots")
