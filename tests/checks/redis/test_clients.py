"""redis.clients against real servers: with places left, with few, with none, and with clients turned away."""

import pytest

from checks.redis import test_clients
from opscheck import Severity
from opscheck.core.observation import CouldNotObserve
from opscheck.demo.redis import Redis
from opscheck.systems.redis.clients import RedisClients
from opscheck.systems.redis.info import ServerInfo
from tests.checks.redis import judging
from tests.checks.redis.judging import ELSEWHERE, before, commands, look
from tests.servers.redis import connected, full_of_clients, said_and_not_awaited, set_config, turn_away

pytestmark = pytest.mark.usefixtures("redis_program")

USED = {"P2": "80%", "P0": "95%"}


def judged(server, **fields):
    return judging.judged(test_clients.test_clients_can_connect, RedisClients, server, **fields)


@pytest.fixture(name="redis")
def _redis(redis_program):
    with Redis() as server:
        yield server


def test_server_with_free_connections_passes(redis):
    findings = judged(redis, used=USED, free={"P1": 100}, blocked={"P3": 5})

    assert [] == findings.violations
    assert ["connections used", "connections free", "blocked clients"] == [one.name for one in findings.measurements]


def test_server_with_few_free_connections_is_graded(redis):
    set_config(redis, maxclients="20")
    with connected(redis, 17):
        (used, free) = judged(redis, used=USED, free={"P1": 5}).violations

    assert (Severity.P2, "<= 80%") == (used.severity, used.expected)
    assert "connections used 90% (18 of 20)" == used.observed
    assert (Severity.P1, "connections free 2 (18 of 20)") == (free.severity, free.observed)
    assert f"redis://127.0.0.1:{redis.port}/0" == used.subject


def test_rejected_connection_of_opscheck_is_a_violation(redis):
    with full_of_clients(redis):
        (finding,) = judged(redis, used=USED).violations

    assert (Severity.P0, "connection refused: ERR max number of clients reached") == (
        finding.severity,
        finding.observed,
    )
    assert all("config get maxclients" in one or "client list" in one for one in commands(finding))


def test_rejected_connections_are_counted_over_the_interval(redis):
    earlier = before(look(redis), 60)
    healthy = judged(redis, rejected={"P1": 0}, earlier=earlier)
    turn_away(redis, 3)

    (finding,) = judged(redis, rejected={"P1": 0}, earlier=earlier).violations

    assert [] == healthy.violations
    assert (Severity.P1, "<= 0") == (finding.severity, finding.expected)
    assert "rejected connections per minute 3 (over 1m)" == finding.observed


def test_clients_that_wait_for_a_key_are_counted(redis):
    with said_and_not_awaited(redis, "BLPOP", "queue", "0"):
        judging.eventually_blocked(redis)
        (finding,) = judged(redis, blocked={"P3": 0}).violations

    assert "blocked clients 1" == finding.observed


def test_replicas_and_cluster_connections_count_as_clients():
    """connected_clients counts neither."""
    info = ServerInfo(connected_clients=70, connected_slaves=20, cluster_connections=8, maxclients=100)

    (finding,) = judged(info, used=USED).violations

    assert "connections used 98% (98 of 100, 20 replicas, 8 cluster connections)" == finding.observed


@pytest.mark.parametrize("missing", ["maxclients", "connected_clients"])
def test_missing_number_is_unknown_and_not_0(missing):
    said = {"maxclients": 100, "connected_clients": 1} | {missing: None}

    with pytest.raises(CouldNotObserve) as raised:
        judged(ServerInfo(**said), used=USED)

    assert f"does not report {missing}" in raised.value.problem.text


def test_a_server_that_is_blocked_is_unknown_in_its_own_words():
    with pytest.raises(CouldNotObserve) as raised:
        judging.judged_reply(
            test_clients.test_clients_can_connect, RedisClients, ELSEWHERE, "BUSY Redis is busy running", used=USED
        )

    assert "cache.example:6379 refuses the query: blocked by a running script (BUSY Redis is busy running)" in (
        raised.value.problem.text
    )
