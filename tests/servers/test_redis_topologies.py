"""Redis servers that belong together do, until a test takes them apart."""

import pytest
import redis

from opscheck.demo.redis import Redis
from opscheck.transport.processes import wait_until
from tests.servers.redis import say, set_config
from tests.servers.redis_topologies import Sentinel, info, redis_cluster, redis_with_tls, replicated, user_url
from tests.servers.stores import version_of

pytestmark = pytest.mark.usefixtures("redis_program")


def test_server_has_the_tested_version_and_accepts_any_command(redis_program, tmp_path):
    with Redis() as server:
        assert server.version == version_of(redis_program)
        assert "OK" in say(server, "DEBUG", "POPULATE", "1")
        set_config(server, dir=str(tmp_path))


def test_link_of_one_replica_is_cut_and_restored():
    with replicated(2) as pair:
        assert "2" == info(pair.primary, "replication")["connected_slaves"]

        pair.cut()
        assert ["down", "up"] == [info(one, "replication")["master_link_status"] for one in pair.replicas]
        assert "1" == info(pair.primary, "replication")["connected_slaves"]

        pair.mend()
        assert "2" == info(pair.primary, "replication")["connected_slaves"]


def test_user_has_the_permissions_of_its_rules():
    with Redis() as server, redis.Redis.from_url(user_url(server, "opscheck", "+ping")) as client:
        assert client.ping()
        with pytest.raises(redis.exceptions.NoPermissionError):
            client.info()


def test_cluster_serves_every_slot():
    with redis_cluster() as nodes:
        assert "cluster_slots_ok:16384" in say(nodes[0], "CLUSTER", "INFO")
        assert "MOVED" in "".join(say(node, "SET", "key", "value") for node in nodes)


@pytest.mark.parametrize("secret", [None, "geheim"])
def test_sentinel_reports_the_primary_and_its_replica(secret):
    with (
        replicated() as pair,
        Sentinel(pair.primary, secret=secret) as sentinel,
        redis.Redis.from_url(sentinel.url, decode_responses=True) as client,
    ):
        assert ("127.0.0.1", pair.primary.port) == client.sentinel_get_master_addr_by_name("cache")
        wait_until(lambda: len(client.sentinel_slaves("cache")) == 1, 20, "it does not find the replica")


@pytest.mark.parametrize("asked", [False, True], ids=["no certificate", "a certificate"])
def test_tls_with_and_without_a_clients_certificate(redis_seven, tmp_path, asked):
    with redis_with_tls(redis_seven, tmp_path, clients_certificate=asked) as tls:
        own = {"ssl_certfile": str(tls.certificate), "ssl_keyfile": str(tls.certificate)} if asked else {}
        with redis.Redis.from_url(tls.url, ssl_ca_certs=str(tls.authority), **own) as client:
            assert client.ping()
        with redis.Redis.from_url(tls.url) as stranger, pytest.raises(redis.exceptions.ConnectionError):
            stranger.ping()
