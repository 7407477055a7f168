"""`postgres.replication` on real primaries and standbys: current, idle, disconnected, paused, silent, missing."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from checks.postgres.test_replication import test_replicas_are_connected_and_current as check
from opscheck import PostgresTarget, Severity
from opscheck.core.findings import Findings
from opscheck.core.observation import ProblemKind
from opscheck.core.record import Finding
from opscheck.demo.postgres import PostgreSQL, installed_versions
from opscheck.systems.postgres.replication import (
    RESUME,
    SHOW_RECEIVER,
    SHOW_REPLAY,
    SHOW_REPLICA,
    SHOW_SLOT_OF_REPLICA,
    PostgresReplication,
)
from opscheck.testing import expect
from opscheck.transport.processes import wait_until
from tests.servers.looking import look, missing
from tests.servers.replication import Replication, ask, replication, write
from tests.servers.typed_commands import commands_of, type_in

CATALOGUE = {"lag": {"P2": "30s", "P1": "5m"}, "lag_bytes": {"P2": "256MB", "P1": "2GB"}}
NO_LAG = {"P2": "200ms", "P1": "1h"}
"""Hard to keep: a lag that somebody only imagines breaks it."""

_NAIVE = "SELECT extract(epoch FROM now() - pg_last_xact_replay_timestamp()) > 0.5"
_REPLIES = "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming' AND replay_lsn IS NOT NULL"
_ALL_REPLAYED = "SELECT pg_last_wal_replay_lsn() = pg_last_wal_receive_lsn()"


def judge(server: PostgreSQL, role: str = "opscheck", /, **fields: Any) -> Findings:
    target = PostgresTarget(kind="postgres", dsn=server.dsn(role))
    return look(check, PostgresReplication, target, **(fields or CATALOGUE))


def violations(server: PostgreSQL, **fields: Any) -> list[Finding]:
    return judge(server, **fields).violations


def subject(server: PostgreSQL) -> str:
    return f"postgresql://127.0.0.1:{server.port}/integration_db"


@pytest.fixture(name="pair", scope="module")
def _pair(installation) -> Iterator[Replication]:
    """A primary and two standbys that stream; who changes that puts it right."""
    with replication(installation, names=("standby_1", "standby_2")) as pair:
        yield pair


@pytest.fixture(name="near")
def _near(pair) -> Replication:
    """Until a standby receives WAL, its receive position is behind the data that it was copied from."""
    write(pair.primary)
    pair.wait_until_replayed()
    return pair


@contextmanager
def paused(pair: Replication) -> Iterator[None]:
    pair.standby.pause()
    try:
        yield
    finally:
        pair.standby.resume()
        pair.wait_until_replayed()


@contextmanager
def disconnected(pair: Replication) -> Iterator[None]:
    pair.standby.disconnect()
    try:
        yield
    finally:
        pair.standby.connect()


@contextmanager
def frozen(pid: int) -> Iterator[None]:
    """A process that does nothing for a while, with its sockets open, as behind a dead network."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


# -- The four scenarios ----------------------------------------------------------------------------------------------


def test_idle_primary_causes_no_lag(near):
    standby = near.standby.server
    wait_until(lambda: ask(standby, _NAIVE) == (True,), 20, "the last transaction is still young")

    assert [] == violations(standby, lag=NO_LAG, lag_bytes={"P1": "0B"})
    assert [] == violations(near.primary, lag=NO_LAG, lag_bytes={"P1": "0B"})


def test_disconnected_standby_is_violated_without_lag(near):
    standby = near.standby.server
    received = "SELECT pg_last_wal_receive_lsn()::text"
    with disconnected(near):
        assert (True,) == ask(standby, _ALL_REPLAYED)  # other tools report no lag here
        (finding,) = violations(standby)

        assert (Severity.P1, subject(standby)) == (finding.severity, finding.subject)
        assert "no WAL receiver: disconnected from its primary" == finding.observed
        assert "a streaming WAL receiver" == finding.expected
        assert {"lsn": ask(standby, received)[0]} == finding.facts
        assert finding.remediation.commands == commands_of(SHOW_RECEIVER)


def test_paused_replay_is_violated_without_lag(near):
    standby = near.standby.server
    with paused(near):
        assert (True,) == ask(standby, _ALL_REPLAYED)
        (finding,) = violations(standby)

        assert (Severity.P1, subject(standby)) == (finding.severity, finding.subject)
        assert ("replay is paused", "replay that is not paused") == (finding.observed, finding.expected)
        assert {"lsn"} == set(finding.facts)
        assert finding.remediation.commands == commands_of(RESUME)


def test_primary_without_standby_is_violated(server):
    (finding,) = violations(server)

    assert (Severity.P1, subject(server)) == (finding.severity, finding.subject)
    assert "no replica is connected" == finding.observed


# -- Replicas --------------------------------------------------------------------------------------------------------


def test_replicas_within_limits_pass_and_are_measured(near):
    findings = judge(near.primary, replicas=["standby_*"], minimum={"P1": 2}, **CATALOGUE)

    assert [] == findings.violations
    assert {
        ("replicas", 2, subject(near.primary)),
        ("WAL not replayed", 0, "replica standby_1"),
        ("WAL not replayed", 0, "replica standby_2"),
    } <= {(one.name, one.value, one.subject) for one in findings.measurements}


def test_missing_replica_is_reported_by_name(near):
    (finding,) = violations(near.primary, replicas=["standby_1", "standby_3"], severity="P1")

    assert (Severity.P1, "replica standby_3", "not connected") == (finding.severity, finding.subject, finding.observed)
    assert "streaming" == finding.expected
    assert {"replica": "standby_3"} == finding.facts
    assert finding.remediation.commands == commands_of(SHOW_SLOT_OF_REPLICA)
    assert "standby_1 from 127.0.0.1: streaming, async" in finding.evidence


def test_disconnected_replica_is_missing_on_its_primary(near):
    with disconnected(near):
        wait_until(lambda: violations(near.primary, minimum={"P2": 2, "P1": 1}), 20, "the primary still sends")
        (few,) = violations(near.primary, minimum={"P2": 2, "P1": 1})
        (named,) = violations(near.primary, replicas=["standby_1"], severity="P1")

    assert (Severity.P2, "replicas 1", ">= 2") == (few.severity, few.observed, few.expected)
    assert "replica standby_1" == named.subject


def test_asynchronous_replicas_are_not_synchronous(near):
    (finding,) = violations(near.primary, sync={"P1": 1})

    assert ("synchronous replicas 0", ">= 1") == (finding.observed, finding.expected)


def test_synchronous_replica_counts(near):
    with psycopg.connect(near.primary.dsn("postgres"), autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET synchronous_standby_names = 'ANY 1 (standby_1, standby_2)'")
        connection.execute("SELECT pg_reload_conf()")
        try:
            wait_until(lambda: not violations(near.primary, sync={"P1": 2}), 20, "nobody is synchronous")
        finally:
            connection.execute("ALTER SYSTEM RESET synchronous_standby_names")
            connection.execute("SELECT pg_reload_conf()")


def test_paused_replica_lags_in_time_and_bytes(near):
    with paused(near):
        write(near.primary)
        limits = {"replicas": ["standby_1"], "lag": NO_LAG, "lag_bytes": {"P2": "100KB", "P1": "1GB"}}
        wait_until(lambda: len(violations(near.primary, **limits)) == 2, 20, "it does not lag")
        size, time = violations(near.primary, **limits)

    assert {(Severity.P2, "replica standby_1")} == {(one.severity, one.subject) for one in (size, time)}
    assert size.observed.startswith("WAL not replayed ")
    assert "streaming, 0B not sent, 0B not flushed, " in size.observed
    assert (time.observed.startswith("lag "), "<= 200ms") == (True, time.expected)
    assert {"replica": "standby_1"} == size.facts == time.facts
    assert size.remediation.commands == time.remediation.commands == commands_of(SHOW_REPLICA)


def test_silent_replica_is_violated(near):
    (pid,) = ask(near.standby.server, "SELECT pid FROM pg_stat_wal_receiver")
    with frozen(pid):
        wait_until(lambda: violations(near.primary, lag=CATALOGUE["lag"], silence="1500ms"), 20, "it still replies")
        (finding,) = violations(near.primary, lag=CATALOGUE["lag"], silence="1500ms")

    assert (Severity.P1, "replica standby_1") == (finding.severity, finding.subject)
    assert (finding.observed.startswith("no reply for "), "a reply in the last 1.5s") == (True, finding.expected)


def test_backup_tool_is_not_a_replica(server, admin, stack, tmp_path):
    stack.enter_context(receiving(server, tmp_path, "pg_receivewal"))
    senders = "SELECT application_name FROM pg_stat_replication WHERE application_name = 'pg_receivewal'"
    wait_until(lambda: admin.execute(senders).fetchone() is not None, 20, "it does not receive")

    assert ["no replica is connected"] == [one.observed for one in violations(server)]
    assert ["replicas 0"] == [one.observed for one in violations(server, minimum={"P1": 1})]
    assert ["replica *"] == [one.subject for one in violations(server, replicas=["*"], severity="P1")]
    wait_until(lambda: not violations(server, replicas=["pg_receivewal"], severity="P1"), 20, "it does not stream")


@contextmanager
def receiving(server: PostgreSQL, folder, program: str) -> Iterator[None]:
    programs = next(iter(installed_versions().values())) / "bin"
    dsn = server.dsn("postgres", "")
    with subprocess.Popen(
        [programs / program, "-d", dsn, "-D", folder, "--no-loop"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as receiver:
        try:
            yield
        finally:
            receiver.kill()


# -- Standbys --------------------------------------------------------------------------------------------------------


def test_wrong_server_role_is_violated(near):
    (standby,) = violations(near.standby.server, role="primary", severity="P0")
    (primary,) = violations(near.primary, role="standby", severity="P0")

    assert (Severity.P0, "the server is a standby", "a primary") == (
        standby.severity,
        standby.observed,
        standby.expected,
    )
    assert ("the server is a primary", "a standby") == (primary.observed, primary.expected)
    assert [] == violations(near.standby.server, role="standby", severity="P0")


def test_silent_sender_is_violated(near):
    (pid,) = ask(near.primary, "SELECT pid FROM pg_stat_replication WHERE application_name = 'standby_1'")
    with frozen(pid):
        standby = near.standby.server
        wait_until(lambda: violations(standby, lag=CATALOGUE["lag"], silence="1500ms"), 20, "it still hears")
        (finding,) = violations(standby, lag=CATALOGUE["lag"], silence="1500ms")

    assert (Severity.P1, subject(standby)) == (finding.severity, finding.subject)
    assert finding.observed.startswith("nothing received for ")
    assert "a message in the last 1.5s" == finding.expected
    assert f"sender 127.0.0.1:{near.primary.port}" in finding.evidence


def test_standby_with_blocked_replay_lags(installation):
    # Replay of the TRUNCATE at the end of a write waits for readers of the table, and blocks all further replay.
    reading = "BEGIN ISOLATION LEVEL REPEATABLE READ", "SELECT count(*) FROM written"
    with replication(installation, max_standby_streaming_delay="-1") as pair:
        write(pair.primary)
        pair.wait_until_replayed()
        with psycopg.connect(pair.standby.server.dsn("postgres"), autocommit=True) as reader:
            for statement in reading:
                reader.execute(statement)
            write(pair.primary)
            write(pair.primary)
            limits = {"lag": NO_LAG, "lag_bytes": {"P2": "10KB", "P1": "1GB"}}
            wait_until(lambda: len(violations(pair.standby.server, **limits)) == 2, 20, "it does not lag")
            size, time = violations(pair.standby.server, **limits)

    assert (size.observed.startswith("WAL not replayed "), "<= 10KB") == (True, size.expected)
    assert (time.observed.startswith("lag "), "<= 200ms") == (True, time.expected)
    assert {"lsn"} == set(time.facts)
    assert time.remediation.commands == commands_of(SHOW_REPLAY)


def test_log_shipping_is_judged_by_policy(installation):
    with PostgreSQL(programs=installation) as primary:
        write(primary)
        primary.stop()
        with PostgreSQL(copy_of=primary, files={"standby.signal": ""}, restore_command="false") as standby:
            problem = missing(lambda: judge(standby))
            replayless = missing(lambda: judge(standby, lag=CATALOGUE["lag"], log_shipping=True))

    assert ProblemKind.UNSUPPORTED == problem.kind
    assert "the standby has no WAL receiver, and primary_conninfo is not set" in problem.text
    assert "set `log_shipping: true` if it is fed from an archive" in problem.advice
    assert "no transaction replayed since the standby started" in replayless.text


def test_cascading_standby_is_a_replica(near):
    middle, last = near["standby_1"].server, near["standby_2"].server
    (before,) = ask(last, "SHOW primary_conninfo")
    follow(last, before.replace(str(near.primary.port), str(middle.port)))
    try:
        wait_until(lambda: ask(middle, _REPLIES) == (1,), 20, "it does not stream")
        write(near.primary)
        near.wait_until_replayed()

        # The last standby reports its replay position a moment later.
        limits = {"replicas": ["standby_2"], "lag": CATALOGUE["lag"], "lag_bytes": {"P1": "1KB"}}
        wait_until(lambda: not violations(middle, **limits), 20, "the middle server still sees a lag")
        assert [] == violations(last)
        assert ["replica standby_2"] == [
            one.subject for one in violations(near.primary, replicas=["standby_*", "standby_2"], severity="P1")
        ]
    finally:
        follow(last, before)
        wait_until(lambda: near["standby_2"].streams, 20, "it does not come back")


def follow(server: PostgreSQL, conninfo: str) -> None:
    with psycopg.connect(server.dsn("postgres"), autocommit=True) as connection:
        connection.execute(f"ALTER SYSTEM SET primary_conninfo = '{conninfo}'")
        connection.execute("SELECT pg_reload_conf()")


def test_missing_right_is_reported(near):
    problem = missing(lambda: judge(near.standby.server, "app"))

    assert (ProblemKind.DENIED, 'GRANT pg_read_all_stats TO "app"') == (problem.kind, problem.advice)


# -- Commands --------------------------------------------------------------------------------------------------------


def typed(server: PostgreSQL, finding: Finding) -> list[str]:
    return type_in(PostgresReplication, finding, server, **CATALOGUE)


def test_suggested_commands_resume_a_paused_replay(near):
    with paused(near):
        (finding,) = violations(near.standby.server)
        (said,) = typed(near.standby.server, finding)

        assert "(1 row)" in said
        assert [] == violations(near.standby.server, role="standby", severity="P1")


def test_suggested_commands_for_missing_replicas_run(near):
    (absent,) = violations(near.primary, replicas=["standby_3"], severity="P1")
    (said,) = typed(near.primary, absent)
    assert "(0 rows)" in said

    with disconnected(near):
        (cut_off,) = violations(near.standby.server)
        (said,) = typed(near.standby.server, cut_off)
        assert "receives_again" in said

    with paused(near):
        write(near.primary)
        limits = {"replicas": ["standby_1"], "lag_bytes": {"P2": "1KB"}}
        wait_until(lambda: violations(near.primary, **limits), 20, "it does not lag")
        (late,) = violations(near.primary, **limits)
        (said,) = typed(near.primary, late)
        assert "replay_lag" in said

    expectation = expect(PostgresReplication, PostgresTarget(kind="postgres", dsn="host=db"), **CATALOGUE)
    own = expectation.finding(subject="", observed="", expected="", remedies=(SHOW_REPLAY,), facts={"lsn": "0/1"})
    moved, waited_for = typed(near.standby.server, own)
    assert "replayed_since" in moved
    assert "xact_start" in waited_for
