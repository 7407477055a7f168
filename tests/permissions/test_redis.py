"""The access list that is printed, applied to a real server."""

import pytest

from opscheck import RedisTarget
from opscheck.demo.redis import Redis
from opscheck.permissions.redis import render
from opscheck.probes.redis import open_session
from opscheck.queries.base import Permission
from opscheck.queries.observation import ProbeError, ProblemKind
from opscheck.queries.redis.base import AclCommand
from opscheck.queries.redis.ping import RedisPing
from tests.servers.redis import say

TARGET = RedisTarget(kind="redis", url="redis://h")


def test_it_lists_each_command_once_and_other_systems_permissions_not_at_all():
    permissions = [AclCommand("ping"), AclCommand("info"), AclCommand("ping"), Permission()]

    assert "ACL SETUSER opscheck on >PASSWORD resetkeys resetchannels -@all +info +ping\n" == render(
        TARGET, permissions
    )


def test_it_is_enough_and_not_more_than_enough(redis_program):
    query = RedisPing("cache")
    rule = render(TARGET, query.permissions()).replace("PASSWORD", "pw").split()
    with Redis() as redis:
        say(redis, *rule)
        session = open_session(RedisTarget(kind="redis", url=f"redis://opscheck:pw@127.0.0.1:{redis.port}/0"), 5)

        assert session.ask(query, 5).nodes[0].answer.refusal is None

        say(redis, *[word for word in rule if word != "+ping"])
        with pytest.raises(ProbeError) as raised:
            session.ask(query, 5)

    assert ProblemKind.DENIED is raised.value.problem.kind
