"""`backup.wal` on real servers with a real archive and real replicas, each of them broken for real."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from checks.backup.test_wal import test_little_would_be_lost_with_the_server as check
from opscheck import PostgresTarget, Severity
from opscheck.core.findings import Findings
from opscheck.core.observation import CouldNotObserve, Problem, ProblemKind
from opscheck.core.record import Finding
from opscheck.demo.postgres import PostgreSQL
from opscheck.systems.backup.wal import BackupWal
from opscheck.systems.postgres.archiver import Archiving as Answer
from opscheck.testing import expect
from opscheck.testing import judge as judge_answers
from opscheck.transport.processes import wait_until
from tests.servers.archiving import Archiving, archiving
from tests.servers.looking import look, missing
from tests.servers.replication import Replication, ask, replication, write
from tests.servers.typed_commands import type_in

RPO = {"P2": "15m", "P0": "1h"}
NOTHING = {"P1": "0s"}
TARGET = PostgresTarget(kind="postgres", dsn="postgresql://database/shop")


def judged(server: PostgreSQL, **fields: Any) -> Findings:
    target = PostgresTarget(kind="postgres", dsn=server.dsn())
    return look(check, BackupWal, target, **{"age": RPO} | fields)


def violations(server: PostgreSQL, **fields: Any) -> list[Finding]:
    return judged(server, **fields).violations


def subject(server: PostgreSQL) -> str:
    return f"postgresql://127.0.0.1:{server.port}/integration_db"


@pytest.fixture(name="archive", scope="module")
def _archive(installation) -> Iterator[Archiving]:
    with archiving(installation) as archive:
        yield archive


@pytest.fixture(name="pair", scope="module")
def _pair(installation) -> Iterator[Replication]:
    """A primary that archives nothing, and two standbys that stream; who changes that puts it right."""
    with replication(installation, names=("standby_1", "standby_2")) as pair:
        yield pair


@pytest.fixture(name="near")
def _near(pair) -> Replication:
    write(pair.primary)
    pair.wait_until_replayed()
    return pair


@contextmanager
def full(archive: Archiving) -> Iterator[None]:
    archive.fail()
    archive.fail_once()
    try:
        yield
    finally:
        archive.work()
        archive.archive_one()


@contextmanager
def disconnected(pair: Replication, *names: str) -> Iterator[None]:
    for name in names:
        pair[name].disconnect()
    wait_until(lambda: _connected(pair) == 2 - len(names), 20, "they are still connected")
    try:
        yield
    finally:
        for name in names:
            pair[name].connect()
        pair.wait_until_replayed()


def _connected(pair: Replication) -> int:
    (count,) = ask(pair.primary, "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'")
    return int(count)


# -- The archive -----------------------------------------------------------------------------------------------------


def test_an_archive_that_works_passes_and_what_is_outside_is_measured(archive):
    findings = judged(archive.server, by="archive")

    assert [] == findings.violations
    (outside,) = findings.measurements
    assert ("changes outside the archive", "s", 900) == (outside.name, outside.unit, outside.limit)


def test_wal_waiting_for_a_full_archive_would_be_lost(archive):
    with full(archive):
        (finding,) = violations(archive.server, by="archive", age={"P2": "0s", "P0": "1h"})
        told = type_in(BackupWal, finding, archive.server, age=RPO)

    assert (Severity.P2, subject(archive.server)) == (finding.severity, finding.subject)
    assert finding.observed.startswith("changes outside the archive ")
    assert "the last attempt failed" in finding.observed
    assert {"failed_wal", "waiting_wal"} <= finding.facts.keys()
    assert any("fails_still" in one for one in told)


def test_a_server_that_archives_nothing_has_no_archive(near):
    (finding,) = violations(near.primary, by="archive")

    assert (Severity.P0, "archive_mode is off: no WAL is archived") == (finding.severity, finding.observed)
    assert "on" == finding.facts["archive_mode"]


def test_a_command_that_keeps_nothing_archives_nothing(installation):
    with archiving(installation, command="/bin/true") as archive:
        (finding,) = violations(archive.server, by="archive")

    assert "archive_command succeeds without storing anything" == finding.observed


# -- Replicas --------------------------------------------------------------------------------------------------------


def test_replicas_that_stream_pass_without_any_archive(near):
    assert [] == violations(near.primary)
    assert [] == violations(near.primary, by="replicas", replicas=["standby_1", "standby_2"])
    assert [] == violations(near.primary, by="replicas", minimum=2)


def test_one_replica_is_enough_where_none_is_named(near):
    with disconnected(near, "standby_2"):
        write(near.primary)

        assert [] == violations(near.primary, by="replicas")


def test_a_replica_that_is_named_and_not_connected_is_found(near):
    with disconnected(near, "standby_2"):
        (finding,) = violations(near.primary, by="replicas", replicas=["standby_*", "standby_2"])

    assert (Severity.P0, "replica standby_2", "not connected") == (finding.severity, finding.subject, finding.observed)
    assert "standby_2" == finding.facts["missing"]
    assert any(line.startswith("standby_1 from ") for line in finding.evidence)


def test_too_few_replicas_are_found(near):
    with disconnected(near, "standby_2"):
        (finding,) = violations(near.primary, by="replicas", minimum=2)

    assert (subject(near.primary), "1 replica streams", ">= 2") == (
        finding.subject,
        finding.observed,
        finding.expected,
    )


def test_without_any_replica_all_is_lost(near):
    with disconnected(near, "standby_1", "standby_2"):
        archive, replicas = violations(near.primary)

    assert ("archive_mode is off: no WAL is archived", "no replica streams") == (archive.observed, replicas.observed)
    assert {Severity.P0} == {archive.severity, replicas.severity}


def test_replica_that_replays_late_loses_nothing_of_what_is_on_its_disk(near):
    """Its replay_lag grows while it is paused, and so does what others would call the loss."""
    near["standby_1"].pause()
    near["standby_2"].pause()
    try:
        write(near.primary, 2)
        wait_until(lambda: _unflushed(near) == (0, 0), 20, "it is not on their disks")
        findings = judged(near.primary, by="replicas", age=NOTHING)
    finally:
        near["standby_1"].resume()
        near["standby_2"].resume()
        near.wait_until_replayed()

    assert [] == findings.violations


def _unflushed(pair: Replication) -> tuple[int, ...]:
    return ask(
        pair.primary,
        "SELECT max(pg_wal_lsn_diff(pg_current_wal_lsn(), flush_lsn))::int8,"
        " (2 - count(*))::int8 FROM pg_stat_replication",
    )


def test_wal_missing_on_a_frozen_replica_would_be_lost(near):
    with disconnected(near, "standby_2"), frozen_receiver(near):
        write(near.primary, 2)
        (finding,) = violations(near.primary, by="replicas", replicas=["standby_1"], age=NOTHING)

    assert ("replica standby_1", Severity.P1) == (finding.subject, finding.severity)
    assert finding.observed.startswith("changes not on a replica's disk ")
    assert "not flushed" in finding.observed


def test_one_that_says_nothing_for_long_is_not_a_copy(near):
    with disconnected(near, "standby_2"), frozen_receiver(near):
        write(near.primary)
        wait_until(lambda: ask(near.primary, _SILENT) == (True,), 20, "it still replies")
        (finding,) = violations(near.primary, by="replicas", replicas=["standby_1"], silence="1s")

    assert finding.observed.startswith("no reply for ")


_SILENT = "SELECT bool_and(clock_timestamp() - reply_time > interval '2 seconds') FROM pg_stat_replication"


@contextmanager
def frozen_receiver(pair: Replication) -> Iterator[None]:
    """The process that writes WAL on the standby does nothing for a while, as on a disk that hangs."""
    (pid,) = ask(pair["standby_1"].server, "SELECT pid FROM pg_stat_wal_receiver")
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


# -- Both, or either -------------------------------------------------------------------------------------------------


@pytest.fixture(name="two_ways", scope="module")
def _two_ways(installation, tmp_path_factory) -> Iterator[tuple[Replication, Archiving]]:
    """A primary with an archive that may be full, and a standby."""
    command = "test ! -e archive-is-full && mkdir -p ../archive && cp %p ../archive/%f"
    with replication(installation, archive_mode="on", archive_command=command) as pair:
        archive = Archiving(pair.primary)
        archive.archive_one()
        yield pair, archive
        archive.work()


def test_either_way_is_enough_and_the_other_is_evidence(two_ways):
    pair, archive = two_ways
    with full(archive):
        assert [] == violations(pair.primary, age={"P0": "10s"})
        both = violations(pair.primary, by="both", age={"P2": "0s", "P0": "1h"})

    assert ["changes outside the archive"] == [one.observed[: len("changes outside the archive")] for one in both]


def test_both_ways_are_reported_where_both_must_hold(two_ways):
    pair, _ = two_ways
    pair.standby.disconnect()
    wait_until(lambda: _connected(pair) == 0, 20, "it is still connected")
    try:
        assert [] == violations(pair.primary)
        (finding,) = violations(pair.primary, by="both")
    finally:
        pair.standby.connect()

    assert "no replica streams" == finding.observed


# -- What could not be looked at -------------------------------------------------------------------------------------


def test_a_standby_is_unknown_and_told_to_name_the_primary(near):
    standby = near["standby_1"].server
    for by in ("archive", "replicas", "either", "both"):
        problem = missing(lambda by=by: judged(standby, by=by))

        assert ProblemKind.ABSENT == problem.kind
        assert "this is a standby" in problem.text
        assert "target_session_attrs=read-write" in problem.advice


def test_a_way_that_could_not_be_looked_at_may_be_the_nearer_one():
    expectation = expect(BackupWal, TARGET, age=RPO)
    refused = Problem(kind=ProblemKind.DENIED, text="no")
    hours = _archiving(hours=2)

    def judge(archive: Any, replicas: Any) -> list[Finding]:
        answers = {expectation.archiver: archive, expectation.replication: replicas}
        return judge_answers(check, expectation, answers).violations

    with pytest.raises(CouldNotObserve):
        judge(hours, refused)
    with pytest.raises(CouldNotObserve):
        judge(_archiving(archive_mode="off"), refused)
    assert [] == judge(_archiving(hours=0), refused)


def _archiving(*, hours: float = 0.0, archive_mode: str = "on") -> Any:
    now = datetime(2026, 3, 1, 12, tzinfo=UTC)
    return Answer(
        standby=False,
        archive_mode=archive_mode,
        has_command=True,
        discards=False,
        archive_timeout_s=0,
        taken_at=now,
        archived_count=5,
        failed_count=0,
        last_archived_wal="000000010000000000000005",
        last_archived_at=now - timedelta(hours=hours),
        last_failed_wal=None,
        last_failed_at=None,
        counting_since=now - timedelta(days=9),
        unfinished_bytes=10_000_000,
        waiting=0,
        oldest_waiting=None,
        oldest_waiting_since=None,
    )


def test_a_role_that_may_not_look_is_reported_the_grant(near):
    with psycopg.connect(near.primary.dsn("postgres"), autocommit=True) as connection:
        connection.execute("CREATE ROLE bare LOGIN PASSWORD 'bare'")
        try:
            dsn = f"postgresql://bare:bare@127.0.0.1:{near.primary.port}/integration_db"
            problem = missing(lambda: look(check, BackupWal, PostgresTarget(kind="postgres", dsn=dsn), age=RPO))
        finally:
            connection.execute("DROP ROLE bare")

    assert ProblemKind.DENIED == problem.kind
    assert "GRANT pg_" in problem.advice
