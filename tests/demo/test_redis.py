"""Redis from a wheel."""

import os
from pathlib import Path

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from opscheck.demo.redis import Redis
from opscheck.transport.processes import ServerFailed, accepts

NEVER = Retry(NoBackoff(), 0)


def test_server_requires_its_password():
    with Redis() as server, redis.Redis.from_url(server.url) as client:
        assert client.ping()
        assert server.version == client.info("server")["redis_version"]
        with (
            redis.Redis(port=server.port, password="wrong", retry=NEVER) as stranger,
            pytest.raises(redis.AuthenticationError),
        ):
            stranger.ping()


def test_server_persists_nothing():
    with Redis() as server, redis.Redis.from_url(server.url) as client:
        assert {"save": "", "appendonly": "no"} == client.config_get("save") | client.config_get("appendonly")


def test_restarted_server_has_its_port():
    with Redis() as server:
        server.stop()

        assert not accepts(server.port)
        assert server.pid is None

        server.start()

        with redis.Redis.from_url(server.url) as client:
            assert client.ping()


def test_settings_reach_the_server():
    with Redis(maxclients="50") as server, redis.Redis.from_url(server.url) as client:
        assert {"maxclients": "50"} == client.config_get("maxclients")


def test_closed_server_leaves_nothing():
    with Redis() as server:
        pid, home = server.pid, Path(server._folder.name)

    assert not home.exists()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_failed_start_reports_the_log():
    with pytest.raises(ServerFailed, match="no-such-setting"):
        Redis(**{"no-such-setting": "1"})
