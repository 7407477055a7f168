"""What is proposed for real Redis servers."""

import pytest

from opscheck.demo.redis import Redis
from opscheck.systems.redis.discovery import discover
from tests.discovery.looking import discovered, proposals
from tests.servers.redis import eventually, say


@pytest.fixture(scope="module", name="server")
def _server():
    with Redis(secret="planted-4711") as server:
        yield server


def test_server_alone_gets_ping_clients_and_memory(server):
    found = discovered(discover, REDIS_URL=server.url)

    assert [(one.id, one.fields) for one in found.targets] == [("redis", {"kind": "redis", "url": "${REDIS_URL}"})]
    assert list(proposals(found)) == ["redis-ping", "redis-clients", "redis-memory"]
    assert proposals(found)["redis-ping"].fields == {"latency": {"P2": "50ms", "P1": "500ms"}}
    assert "of 10000 clients connected" in proposals(found)["redis-clients"].reason
    assert "planted-4711" not in repr(found)
    (sentence,) = found.not_seen
    assert sentence.startswith("redis: persistence not proposed: it has not saved since its start")


def test_cache_that_evicts_may_be_full():
    with Redis(**{"maxmemory-policy": "allkeys-lru"}) as server:
        memory = proposals(discovered(discover, REDIS_URL=server.url))["redis-memory"]

    assert memory.fields == {"swapped": {"P2": "200MB"}}
    assert "maxmemory-policy is allkeys-lru" in memory.reason


def test_server_without_maxmemory_is_proposed_with_one():
    with Redis(maxmemory="0") as server:
        memory = proposals(discovered(discover, REDIS_URL=server.url))["redis-memory"]

    assert memory.fields == {"used": {"P2": "80%", "P0": "95%"}}
    assert "no maxmemory: set one, or write `unlimited: true`" in memory.reason


@pytest.mark.parametrize(
    ("settings", "fields"),
    [
        ({"appendonly": "yes"}, {"by": "append-only"}),
        ({"save": "1 1"}, None),
    ],
    ids=["append-only", "never saved"],
)
def test_persistence_is_proposed_where_something_keeps_the_data(settings, fields):
    with Redis(**settings) as server:
        found = proposals(discovered(discover, REDIS_URL=server.url))

    assert (found["redis-persistence"].fields if fields else found.get("redis-persistence")) == fields


def test_primary_is_proposed_with_its_replicas(server):
    with Redis(secret="planted-4711", masterauth="planted-4711", replicaof=f"127.0.0.1 {server.port}") as replica:
        eventually(lambda: "state=online" in say(server, "INFO", "replication"), "the replica is not online")
        found = discovered(discover, REDIS_URL=server.url, REPLICA_URL=replica.url)

    primary, follower = proposals(found)["redis-replication"], proposals(found)["replica-replication"]
    assert primary.fields == {"role": "primary", "replicas": {"P1": 1}, "lag": {"P2": "10s", "P1": "1m"}}
    assert f"127.0.0.1:{replica.port}" in primary.reason
    assert follower.fields == {"role": "replica", "lag": {"P2": "10s", "P1": "1m"}}


def test_server_that_is_down_is_proposed_as_it_should_be(server):
    with Redis(secret="planted-4711") as gone:
        url = gone.url

    found = discovered(discover, REDIS_URL=url, CACHE_URL=server.url.replace("planted-4711", "wrong-4712"))

    assert {"redis-ping", "redis-clients", "redis-memory", "cache-ping"} <= set(proposals(found))
    assert any(sentence.startswith("redis: INFO not read: ") and "refused" in sentence for sentence in found.not_seen)
    assert any(sentence.startswith("cache: INFO not read: ") for sentence in found.not_seen)
    assert "4711" not in repr(found)
    assert "4712" not in repr(found)


def test_other_variables_are_left_to_other_systems():
    assert discovered(discover, DATABASE_URL="postgresql://a", CACHE_URL="memcached://b").targets == ()
