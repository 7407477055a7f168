"""The PostgreSQL probe distinguishes a lagging standby from one that catches up in a moment."""

from contextlib import closing
from typing import Any

import pytest

from opscheck import PostgresTarget
from opscheck.demo.postgres import PostgreSQL
from opscheck.systems.postgres.probe import open_session
from opscheck.systems.postgres.replication import ReadReplication, Sender
from opscheck.systems.postgres.replication import Replication as Answer
from opscheck.transport.processes import wait_until
from tests.servers.replication import Replication, replication, write

QUERY = ReadReplication("target")


@pytest.fixture(name="pair", scope="module")
def _pair(installation) -> Any:
    with replication(installation, slots=True) as pair:
        yield pair


def ask(server: PostgreSQL) -> Answer:
    with closing(open_session(PostgresTarget(kind="postgres", dsn=server.dsn()), 10)) as session:
        return session.ask(QUERY, 10)


def test_current_replica_has_caught_up_at_once(pair: Replication):
    # A server writes a little WAL by itself at times, so it may be behind again at the query.
    asked: list[Sender] = []

    def replayed() -> bool:
        pair.wait_until_replayed()
        asked.extend(ask(pair.primary).senders)
        return asked[-1].behind_bytes == 0

    wait_until(replayed, 20, "the standby never has everything")
    sender = asked[-1]

    assert ("standby_1", "standby_1", 0, 0.0) == (
        sender.application,
        sender.slot,
        sender.behind_bytes,
        sender.caught_up_s,
    )


def test_current_standby_has_caught_up_at_once(pair: Replication):
    # A server writes a little WAL by itself at times, so it may be behind again at the query.
    asked: list[Answer] = []

    def replayed() -> bool:
        pair.wait_until_replayed()
        asked.append(ask(pair.standby.server))
        return asked[-1].replay.unreplayed_bytes == 0

    wait_until(replayed, 20, "the standby never has everything")
    answer = asked[-1]

    assert answer.standby
    assert (0, 0.0, True) == (answer.replay.unreplayed_bytes, answer.replay.caught_up_s, answer.replay.follows)
    assert ("streaming", f"127.0.0.1:{pair.primary.port}") == (answer.receiver.status, answer.receiver.sender)


def test_paused_replica_does_not_catch_up(pair: Replication):
    pair.standby.pause()
    write(pair.primary)
    try:
        wait_until(lambda: ask(pair.standby.server).replay.unreplayed_bytes > 100_000, 20, "it does not receive")
        (sender,) = ask(pair.primary).senders
        replay = ask(pair.standby.server).replay
    finally:
        pair.standby.resume()

    assert (True, None) == (sender.behind_bytes > 100_000, sender.caught_up_s)
    assert replay.caught_up_s is None


def test_resumed_replica_catches_up(pair: Replication):
    pair.standby.pause()
    write(pair.primary)
    pair.standby.resume()
    # It may take longer than the watch; then the next query finds it current.
    looks = [ask(pair.primary).senders[0].caught_up_s for _ in range(20)]

    assert looks[-1] is not None
