"""The access list that is printed, applied to real servers, and again with each command taken away."""

import pytest
import redis

from opscheck import RedisTarget
from opscheck.core.observation import ProbeError, ProblemKind
from opscheck.core.query import Permission
from opscheck.demo.redis import Redis
from opscheck.systems.redis.cache import RedisSlowerThan, RedisSlowLog
from opscheck.systems.redis.info import RedisIdentity, RedisInfo
from opscheck.systems.redis.permissions import render
from opscheck.systems.redis.ping import RedisPing
from opscheck.systems.redis.probe import open_session
from opscheck.systems.redis.replication import RedisCluster
from opscheck.systems.redis.servers import AclCommand
from tests.servers.redis import say
from tests.servers.redis_topologies import Sentinel, redis_cluster, replicated

pytestmark = pytest.mark.usefixtures("redis_program")

TARGET = RedisTarget(kind="redis", url="redis://h")
QUERIES = [
    RedisPing("cache"),
    RedisInfo("cache"),
    RedisIdentity("cache"),
    RedisSlowLog("cache"),
    RedisSlowerThan("cache"),
    RedisCluster("cache"),
]
COMMANDS = sorted({query.command for query in QUERIES})


def rule_of(*queries) -> list[str]:
    rendered = render(TARGET, [permission for query in queries for permission in query.permissions()])
    return rendered.splitlines()[0].replace("PASSWORD", "pw").split()


def denied(target: RedisTarget, query) -> str:
    """The advice of a denied query; empty for an answered one."""
    try:
        open_session(target, 5).ask(query, 5)
    except ProbeError as error:
        return error.problem.advice if error.problem.kind is ProblemKind.DENIED else error.problem.text
    return ""


def test_each_command_is_listed_once_without_other_systems():
    permissions = [AclCommand("ping"), AclCommand("info"), AclCommand("ping"), Permission()]

    assert "ACL SETUSER opscheck on >PASSWORD resetkeys resetchannels -@all +info +ping\n" == render(
        TARGET, permissions
    )


def test_rendered_acl_is_enough_and_each_command_is_needed():
    with redis_cluster() as (node, *_):
        rule = rule_of(*QUERIES)
        target = RedisTarget(kind="redis", url=f"redis://opscheck:pw@127.0.0.1:{node.port}/0")
        assert "+OK\r\n+OK" in say(node, *rule)
        assert {""} == {denied(target, query) for query in QUERIES}

        for taken in COMMANDS:
            say(node, "ACL", "DELUSER", "opscheck")
            say(node, *[word for word in rule if word != f"+{taken}"])
            for query in QUERIES:
                advice = f"run as administrator: ACL SETUSER opscheck +{taken}"
                assert (advice if taken == query.command else "") == denied(target, query)


def test_it_gives_no_key_no_channel_and_no_other_command():
    with Redis() as server:
        say(server, *rule_of(*QUERIES))
        allowed = say(server, "ACL", "GETUSER", "opscheck")

    assert "-@all" in allowed
    for word in ("~*", "&*", "+@", "+config ", "+slowlog ", "+cluster ", "nopass"):
        assert word not in allowed


@pytest.mark.parametrize("taken", ["", "+cluster|nodes"])
def test_to_find_the_nodes_of_a_cluster_takes_one_command_more(taken):
    with redis_cluster() as nodes:
        target = RedisTarget(kind="redis", url=f"redis://opscheck:pw@127.0.0.1:{nodes[0].port}", nodes="cluster")
        query = RedisPing("cache", finds=target.finds)
        for node in nodes:
            say(node, *[word for word in rule_of(query) if word != taken])

        assert (f"run as administrator: ACL SETUSER opscheck {taken}" if taken else "") == denied(target, query)


@pytest.mark.parametrize(
    ("nodes", "taken"),
    [
        ("named", ""),
        ("named", "+sentinel|get-master-addr-by-name"),
        ("replicas", ""),
        ("replicas", "+sentinel|replicas"),
    ],
)
def test_permissions_of_sentinels_are_printed_apart(nodes, taken):
    with replicated() as pair, Sentinel(pair.primary) as sentinel:
        target = RedisTarget(
            kind="redis",
            url=f"redis://opscheck:pw@127.0.0.1:{sentinel.port}",
            sentinel="cache",
            sentinel_login="opscheck:pw",
            nodes=nodes,
        )
        query = RedisPing("cache", finds=target.finds)
        of_servers, _, of_sentinels = render(target, query.permissions()).replace("PASSWORD", "pw").splitlines()
        for server in (pair.primary, pair.replica):
            say(server, *of_servers.split())
        type_to(sentinel, *[word for word in of_sentinels.split() if word != taken])

        assert (f"run as administrator: ACL SETUSER opscheck {taken}" if taken else "") == denied(target, query)


def type_to(sentinel: Sentinel, *words: str) -> None:
    """As its administrator."""
    with redis.Redis.from_url(sentinel.url) as client:
        assert client.execute_command(*words) in {True, b"OK"}
