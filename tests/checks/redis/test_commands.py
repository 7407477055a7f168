"""The commands that findings suggest, typed into a shell beside a real server."""

import os
import subprocess

import pytest

from opscheck.core.templates import render
from opscheck.demo.redis import Redis, program
from opscheck.systems.redis.cache import RedisCache
from opscheck.systems.redis.clients import RedisClients
from opscheck.systems.redis.memory import RedisMemory
from opscheck.systems.redis.persistence import RedisPersistence
from opscheck.systems.redis.ping import RedisPong
from opscheck.systems.redis.replication import RedisReplication
from tests.servers.redis import eventually, say
from tests.servers.redis_topologies import info, redis_cluster

KINDS = (RedisPong, RedisMemory, RedisClients, RedisPersistence, RedisReplication, RedisCache)
NUMBERS = {"raised": "80000000", "suggested": "90000000", "threshold": "10000", "slowest": "get"}
# What ends only when somebody ends it, and what a server refuses that is not in that state or was built otherwise.
NOT_HERE = ("--latency-history", "script kill", "activedefrag")


@pytest.fixture(name="node", scope="module")
def _node():
    with redis_cluster(masters=1) as (node,):
        say(node, "DEBUG", "POPULATE", "10")
        yield node


@pytest.mark.parametrize(
    "command",
    dict.fromkeys(
        command
        for kind in KINDS
        for remedy in kind.remedies
        for command in remedy.commands
        if not any(word in command for word in NOT_HERE)
    ),
)
def test_a_command_that_is_suggested_is_one_that_redis_cli_runs(node: Redis, command):
    eventually(lambda: _writes_nothing(node), "it does not end to write its files")
    address = f"redis://127.0.0.1:{node.port}"
    names = {name for kind in KINDS for name in kind.fact_names} | {"url"}
    typed = render(command, {name: NUMBERS.get(name, address) for name in names})

    done = subprocess.run(
        ["/bin/sh", "-c", typed],
        env=os.environ | {"REDISCLI_AUTH": node._password, "PATH": f"{program().parent}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )

    assert "" == done.stderr.replace("\n", "")
    assert "ERR" not in done.stdout
    assert "invalid" not in done.stdout.lower()


def _writes_nothing(node: Redis) -> bool:
    said = info(node, "persistence")
    return ("0", "0") == (said["rdb_bgsave_in_progress"], said["aof_rewrite_in_progress"])
