"""How much would be lost with a server by what it says of its replicas: each way in which that misleads."""

from typing import Any

import pytest

from checks.backup.test_wal import test_little_would_be_lost_with_the_server as check
from opscheck import Findings, PostgresTarget, Severity
from opscheck.systems.backup.wal import BackupWal
from opscheck.systems.postgres.replication import Replication, Sender
from opscheck.testing import expect, judge
from tests.servers.looking import missing
from tests.systems.postgres.test_archiver import ago, archiving

TARGET = PostgresTarget(kind="postgres", dsn="postgresql://database/shop")


def sender(application: str = "standby_1", **fields: Any) -> Sender:
    given = {
        "pid": 7,
        "client": "10.0.0.7",
        "state": "streaming",
        "sync_state": "async",
        "slot": None,
        "logical": False,
        "unsent_bytes": 0,
        "unflushed_bytes": 0,
        "behind_bytes": 0,
        "lag_s": None,
        "silent_s": 1.0,
    }
    return Sender(application=application, **given | fields)


def judged(*senders: Sender, **fields: Any) -> Findings:
    expectation = expect(BackupWal, TARGET, **{"age": {"P2": "15m", "P0": "1h"}, "by": "replicas"} | fields)
    answer = Replication(standby=False, senders=senders, sender_timeout_s=60.0, receiver=None, replay=None)
    return judge(check, expectation, {expectation.replication: answer})


def test_an_idle_primary_loses_nothing_though_its_lags_are_null():
    (loss,) = judged(sender()).measurements

    assert ("changes not on a replica's disk", 0) == (loss.name, loss.value)


def test_unflushed_wal_is_as_old_as_lag_and_silence():
    """flush_lag stays at what was measured last, however long ago that was."""
    (finding,) = judged(sender(unflushed_bytes=9_000_000, flush_lag_s=880.0, silent_s=30.0)).violations

    assert (Severity.P2, "changes not on a replica's disk 15m10s") == (
        finding.severity,
        finding.observed.partition(" (")[0],
    )


def test_a_replay_that_is_delayed_on_purpose_loses_nothing():
    assert [] == judged(sender(behind_bytes=9_000_000, lag_s=7200.0, flush_lag_s=0.01)).violations


def test_wal_received_meanwhile_is_counted():
    (loss,) = judged(sender(unflushed_bytes=9, flush_lag_s=4000.0, caught_up_s=0.1)).measurements

    assert 0.1 == loss.value


@pytest.mark.parametrize("state", ["catchup", "startup", "stopping", "backup"])
def test_one_that_does_not_stream_is_not_a_copy(state):
    (finding,) = judged(sender(state=state)).violations

    assert (Severity.P0, "no replica streams") == (finding.severity, finding.observed)


def test_the_nearest_counts_or_as_many_as_there_must_be():
    far = sender("standby_2", unflushed_bytes=9, flush_lag_s=1000.0)

    assert [] == judged(sender(), far).violations
    (finding,) = judged(sender(), far, minimum=2).violations
    assert "replica standby_2" == finding.subject


def test_each_that_is_named_must_be_near():
    far = sender("standby_2", unflushed_bytes=9, flush_lag_s=1000.0)

    (finding,) = judged(sender(), far, replicas=["standby_*"]).violations

    assert "replica standby_2" == finding.subject


def test_a_program_that_receives_wal_counts_where_it_is_named():
    receiver = sender("barman_receive_wal", behind_bytes=0)
    copying = sender("pg_basebackup")

    assert [] == judged(receiver, replicas=["barman_receive_wal"]).violations
    (finding,) = judged(copying).violations
    assert "no replica streams" == finding.observed


def test_a_subscriber_is_not_a_copy():
    (finding,) = judged(sender("reports", logical=True, slot="reports")).violations

    assert "no replica streams" == finding.observed


def test_one_that_has_said_nothing_yet_is_unknown():
    problem = missing(lambda: judged(sender(unflushed_bytes=None)))

    assert "has not reported its flush position yet" in problem.text


def test_one_that_is_silent_is_found_where_it_is_named():
    (finding,) = judged(sender(silent_s=90.0), replicas=["standby_1"]).violations

    assert ("no reply for 1m30s", "a reply in the last 1m") == (finding.observed, finding.expected)


def test_a_limit_on_replicas_next_to_an_archive_alone_is_refused():
    with pytest.raises(ValueError, match="judges no replica"):
        expect(BackupWal, TARGET, age="1h", severity="P1", by="archive", minimum=2)


def archived(**fields: Any) -> Findings:
    expectation = expect(BackupWal, TARGET, age={"P2": "15m", "P0": "1h"}, by="archive")
    return judge(check, expectation, {expectation.archiver: archiving(**fields)})


def test_file_that_failed_and_waits_no_more_is_missing_in_the_archive():
    """Somebody removed what could not be archived: nothing waits, and the archive has a hole."""
    (finding,) = archived(last_failed_at=ago(minutes=30), last_failed_wal="000000010000000000000006").violations

    assert (Severity.P2, "000000010000000000000006") == (finding.severity, finding.facts["failed_wal"])
    assert finding.observed.startswith("changes outside the archive 30m")


def test_an_archive_that_has_all_loses_nothing():
    assert [] == archived(last_failed_at=ago(hours=3), last_failed_wal="000000010000000000000004").violations
