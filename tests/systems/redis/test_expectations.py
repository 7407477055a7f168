"""Valid and invalid expectations of Redis servers, except redis.ping."""

import pytest
from pydantic import ValidationError

from opscheck import Expectation, RedisTarget, Severity
from opscheck.core.templates import malformed, unknown_names
from opscheck.systems.redis.cache import RedisCache, RedisSlowerThan, RedisSlowLog
from opscheck.systems.redis.clients import RedisClients
from opscheck.systems.redis.info import RedisIdentity, RedisInfo
from opscheck.systems.redis.memory import RedisMemory
from opscheck.systems.redis.persistence import RedisPersistence
from opscheck.systems.redis.ping import RedisPong
from opscheck.systems.redis.replication import RedisCluster, RedisReplication
from opscheck.testing import expect

CACHE = RedisTarget(kind="redis", url="redis://:geheim@cache.example:6379/0")
SET = RedisTarget(kind="redis", url="redis://one,two")
USED = {"used": {"P2": "80%", "P0": "95%"}}
VALID = {
    RedisPong: {"severity": "P0"},
    RedisMemory: USED,
    RedisClients: USED,
    RedisPersistence: {"severity": "P1", "age": "1h"},
    RedisReplication: {"severity": "P1", "replicas": 1},
    RedisCache: {"hits": {"P3": "80%"}},
}


def commands(kind: type[Expectation]) -> list[str]:
    return [command for remedy in kind.remedies for command in remedy.commands]


@pytest.mark.parametrize("kind", VALID)
def test_remedies_are_well_formed_and_name_known_facts(kind):
    for target in (CACHE, SET):
        for command in commands(kind):
            assert [] == malformed(command)
            assert [] == unknown_names(command, expect(kind, target, **VALID[kind]))


@pytest.mark.parametrize("kind", VALID)
def test_every_fact_is_named_by_a_command(kind):
    named = " ".join(commands(kind))

    unnamed = {name for name in kind.fact_names if f"{{{{ {name} }}}}" not in named}
    assert unnamed <= {"server", "url", "first_primary", "second_primary"}  # for commands of policies


FORMER = {
    RedisPong: "server loading misconf masterdown clusterdown busy max_clients slow",
    RedisMemory: "full raised stuck unlimited suggested evicting lossy fragmented swapping",
    RedisClients: "full max_clients rejecting blocking",
    RedisPersistence: "failed unwritten unshortened off unsaved",
    RedisReplication: ("misplaced lonely trailing cut_off first_primary second_primary leaderless broken_cluster"),
    RedisCache: "missing slow slowest unlogged threshold",
}


@pytest.mark.parametrize("kind", VALID)
def test_policies_of_before_may_name_each_fact_of_before(kind):
    command = " ".join(f"{{{{ {name} }}}}" for name in FORMER[kind].split())

    assert [] == unknown_names(command, expect(kind, CACHE, **VALID[kind]))


def test_expectations_on_info_share_one_query():
    kinds = [kind for kind in VALID if kind is not RedisPong]

    asked = {query for kind in kinds for query in expect(kind, CACHE, **VALID[kind]).described()}

    assert {RedisInfo("target"), RedisIdentity("target")} == asked


def test_further_commands_are_sent_only_for_their_limits():
    def asked(kind: type[Expectation], **fields):
        return {type(query) for query in expect(kind, CACHE, **fields).queries()} - {RedisInfo}

    assert {RedisSlowLog} == asked(RedisCache, slow_commands={"P3": 5})
    assert {RedisSlowerThan} == asked(RedisCache, slower_than="10ms", severity="P3")
    assert {RedisCluster} == asked(RedisReplication, cluster=True, severity="P1")


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        (RedisMemory, {}),
        (RedisMemory, {"unlimited": True, "severity": "P2"}),
        (RedisMemory, {"used": "100%", "severity": "P1"}),
        (RedisMemory, {"fragmentation": {"P3": 0.5}}),
        (RedisMemory, {"purpose": "queue"} | USED),
        (RedisClients, {}),
        (RedisClients, {"free": {"P1": 0}}),
        (RedisPersistence, {"severity": "P1"}),
        (RedisPersistence, {"severity": "P1", "by": "snapshot"}),
        (RedisPersistence, {"age": {"P1": "1h"}}),
        (RedisPersistence, {"severity": "P1", "by": "append-only", "age": "1h"}),
        (RedisReplication, {"severity": "P1"}),
        (RedisReplication, {"replicas": {"P1": 1}}),
        (RedisReplication, {"severity": "P1", "lag": "30s"}),
        (RedisReplication, {"severity": "P1", "role": "primary", "lag": "30s"}),
        (RedisReplication, {"severity": "P1", "role": "replica", "behind": "1MB"}),
        (RedisReplication, {"severity": "P1", "role": "master"}),
        (RedisReplication, {"severity": "P1", "replicas": 0}),
        (RedisCache, {}),
        (RedisCache, {"hits": {"P3": "0%"}}),
        (RedisCache, {"hits": {"P3": "101%"}}),
        (RedisCache, {"slow_commands": {"P3": 128}}),
        (RedisCache, {"slower_than": "10ms"}),
        (RedisCache, {"lookups": 1000, "severity": "P3"}),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_contradictory_and_unreachable_limits_are_rejected(kind, fields):
    with pytest.raises(ValidationError):
        expect(kind, CACHE, **fields)


def test_servers_of_one_set_need_no_word_of_their_roles():
    """Exactly one of them is the primary."""
    assert expect(RedisReplication, SET, severity="P1").has_one_primary


def test_missing_maxmemory_has_the_lowest_severity_of_the_limits():
    assert Severity.P2 is expect(RedisMemory, CACHE, **USED).mild_severity
    assert Severity.P1 is expect(RedisMemory, CACHE, severity="P1", **USED).mild_severity


def test_store_allows_no_evictions_by_default():
    store = expect(RedisMemory, CACHE, purpose="store", severity="P1", **USED)
    lenient = expect(RedisMemory, CACHE, purpose="store", evicted={"P3": 10}, **USED)

    assert "P1 <= 0" == str(store.eviction_limit)
    assert "P3 <= 10" == str(lenient.eviction_limit)
    assert expect(RedisMemory, CACHE, purpose="cache", **USED).eviction_limit is None
