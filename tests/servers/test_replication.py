"""A standby streams, and is cut off, paused and promoted when a test says so; an archive works or does not."""

import signal

import pytest

from opscheck.demo.postgres import PostgreSQL
from opscheck.transport.processes import wait_until
from tests.servers.archiving import archiving
from tests.servers.replication import ask, replication, write

SENDERS = "SELECT count(*) FROM pg_stat_replication"
STREAMING = """
    SELECT array_agg(application_name ORDER BY application_name), bool_and(state = 'streaming') FROM pg_stat_replication
"""
SLOTS = "SELECT array_agg(slot_name::text ORDER BY slot_name), bool_and(active) FROM pg_replication_slots"
ARCHIVER = "SELECT archived_count > 0, failed_count > 0 FROM pg_stat_archiver"


@pytest.fixture(name="pair", scope="module")
def _pair(installation):
    with replication(installation, names=("standby_1", "standby_2"), slots=True) as pair:
        yield pair


def test_standbys_stream_under_their_names_through_their_slots(pair):
    found = ask(pair.primary, STREAMING)
    slots = ask(pair.primary, SLOTS)

    assert (["standby_1", "standby_2"], True) == found == slots


def test_disconnected_standby_keeps_serving_and_reconnects(pair):
    pair.standby.disconnect()
    wait_until(lambda: ask(pair.primary, SENDERS) == (1,), 20, "the primary still sends")
    assert (True,) == ask(pair.standby.server, "SELECT pg_is_in_recovery()")

    pair.standby.connect()
    pair.wait_until_replayed()


def test_paused_replay_lags(pair):
    pair.standby.pause()
    write(pair.primary)
    behind = "SELECT pg_last_wal_replay_lsn() < pg_last_wal_receive_lsn()"
    wait_until(lambda: ask(pair.standby.server, behind) == (True,), 20, "it is not behind")

    pair.standby.resume()
    pair.wait_until_replayed()


def test_standby_can_be_stopped_and_promoted(installation):
    with replication(installation) as pair:
        pair.standby.server.stop()
        wait_until(lambda: ask(pair.primary, SENDERS) == (0,), 20, "the primary still sends")
        pair.standby.server.start()
        pair.standby.promote()

        assert (False,) == ask(pair.standby.server, "SELECT pg_is_in_recovery()")


def test_crashed_server_restarts_on_its_port(own_server: PostgreSQL):
    port = own_server.port
    own_server.stop(signal.SIGQUIT)
    assert own_server.pid is None

    own_server.start()
    assert (str(port),) == ask(own_server, "SHOW port")


def test_archive_works_again_after_a_full_disk(installation):
    with archiving(installation) as archive:
        assert (True, False) == ask(archive.server, ARCHIVER)
        assert any(archive.folder.iterdir())

        archive.fail()
        archive.fail_once()
        archive.work()
        archive.archive_one()


def test_archive_may_fail_from_the_start(installation):
    with archiving(installation, works=False) as archive:
        assert (False, True) == ask(archive.server, ARCHIVER)
