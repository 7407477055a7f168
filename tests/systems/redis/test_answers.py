"""Answers of Redis survive a snapshot and the state file: written as JSON and read back they are the same."""

from datetime import UTC, datetime

import msgspec
import pytest

from opscheck.core.observation import Problem, ProblemKind
from opscheck.systems.redis.cache import RedisSlowerThan, RedisSlowLog, SlowCommand, SlowerThan, SlowLog
from opscheck.systems.redis.info import Database, RedisInfo, Replica, ServerInfo
from opscheck.systems.redis.ping import PingAnswer, RedisPing
from opscheck.systems.redis.replication import ClusterState, RedisCluster
from opscheck.systems.redis.servers import AclCommand, Refusal, Replies, Reply, SentinelCommand

INFO = ServerInfo(
    redis_version="7.0.15",
    mem_fragmentation_ratio=1.5,
    aof_enabled=False,
    evicted_keys=0,
    replicas=(Replica(address="r:1", state="online", offset=0, lag=0),),
    databases=(Database(name="db0", keys=1, expires=0),),
)


def of(answer) -> Replies:
    return Replies(
        nodes=(
            Reply(node="one:6379", answer=answer),
            Reply(node="two:6379", refusal=Refusal.BUSY, error="BUSY …"),
            Reply(node="/run/redis.sock", problem=Problem(kind=ProblemKind.LATE, text="no answer", waited_s=1.5)),
        )
    )


@pytest.mark.parametrize(
    ("query", "answer"),
    [
        (RedisPing("cache"), of(PingAnswer(connect_s=0.5, pings_s=(0.1, 0.2)))),
        (RedisInfo("cache"), of(INFO)),
        (RedisInfo("cache"), of(ServerInfo(databases=()))),
        (RedisCluster("cache"), of(ClusterState(cluster_state="ok", cluster_slots_fail=0))),
        (RedisSlowLog("cache"), of(SlowLog(commands=(SlowCommand(at=1, microseconds=2, command="GET"),)))),
        (RedisSlowerThan("cache"), of(SlowerThan(microseconds=-1))),
    ],
    ids=["ping", "info", "hidden info", "cluster", "slow log", "setting"],
)
def test_an_answer_is_the_same_after_a_snapshot(query, answer):
    assert answer == msgspec.json.decode(msgspec.json.encode(answer), type=query.answer)


def test_missing_fields_are_not_serialised():
    """A sample of INFO is kept for every run."""
    assert b'{"maxmemory":0}' == msgspec.json.encode(ServerInfo(maxmemory=0))


def test_info_alone_is_kept_from_run_to_run():
    assert [RedisInfo] == [kind for kind in (RedisPing, RedisInfo, RedisSlowLog, RedisCluster) if kind.remembered]


def test_permissions_include_discovery():
    assert (AclCommand("ping"),) == RedisPing("cache").permissions()
    assert (AclCommand("ping"), AclCommand("cluster|nodes")) == RedisPing("cache", finds="cluster").permissions()
    assert (AclCommand("ping"), SentinelCommand("sentinel|get-master-addr-by-name")) == (
        RedisPing("cache", finds="sentinel").permissions()
    )
    assert "sentinel|replicas at the sentinels" == SentinelCommand("sentinel|replicas").text()


def test_config_get_has_a_risk():
    assert "including passwords" in AclCommand("config|get").risk
    assert "" == AclCommand("slowlog|get").risk


def test_start_of_the_counters_is_known():
    info = ServerInfo(server_time_usec=1_800_000_000_000_000, uptime_in_seconds=3600, run_id="a")

    assert datetime(2027, 1, 15, 7, 0, tzinfo=UTC) == info.counting_since
    assert "a" == info.epoch
    assert ServerInfo(uptime_in_seconds=3600).counting_since is None
