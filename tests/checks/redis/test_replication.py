"""redis.replication against real primaries, replicas, clusters and sentinels: whole, cut off, and with two heads."""

from urllib.parse import quote

import pytest
from msgspec.structs import replace

from checks.redis import test_replication
from opscheck import RedisTarget, Severity
from opscheck.core.observation import CouldNotObserve, Problem, ProblemKind
from opscheck.demo.redis import Redis
from opscheck.systems.redis.info import RedisInfo, Replica, ServerInfo
from opscheck.systems.redis.replication import RedisReplication
from opscheck.systems.redis.servers import Replies, Reply
from opscheck.testing import expect, judge
from tests.checks.redis import judging
from tests.checks.redis.judging import ADDRESS, commands
from tests.servers.redis import eventually, said_and_not_awaited, say
from tests.servers.redis_topologies import info, redis_cluster, replicated

pytestmark = pytest.mark.usefixtures("redis_program")

FOLLOWED = ServerInfo(
    role="master",
    connected_slaves=1,
    replicas=(Replica(address="10.0.0.2:6379", state="online", offset=1000, lag=0),),
    master_repl_offset=1000,
    master_replid="a",
)
FOLLOWING = ServerInfo(
    role="slave",
    connected_slaves=0,
    master_host="10.0.0.1",
    master_port=6379,
    master_link_status="up",
    master_last_io_seconds_ago=1,
    master_replid="a",
)


def judged(server, **fields):
    given = {"severity": "P1"} | fields
    return judging.judged(test_replication.test_replicas_follow_one_primary, RedisReplication, server, **given)


def judged_set(*infos: ServerInfo | Problem, **fields):
    """Judge answers of servers that do not exist."""
    url = ",".join(f"n{number}" for number, _ in enumerate(infos))
    target = RedisTarget(kind="redis", url=f"redis://{url}/0")
    nodes = tuple(
        Reply(node=f"n{number}:6379", problem=one)
        if isinstance(one, Problem)
        else Reply(node=f"n{number}:6379", answer=one)
        for number, one in enumerate(infos)
    )
    expectation = expect(RedisReplication, target, **{"severity": "P1"} | fields)
    return judge(test_replication.test_replicas_follow_one_primary, expectation, lambda _: Replies(nodes=nodes))


def of(*servers: Redis, **fields) -> RedisTarget:
    """One target of several servers that have one password."""
    places = ",".join(f"127.0.0.1:{one.port}" for one in servers)
    return RedisTarget(kind="redis", url=f"redis://:{quote(servers[0]._password, safe='')}@{places}", **fields)


# A primary and its replica


def test_a_primary_with_its_replica_and_the_replica_pass():
    with replicated() as pair:
        primary = judged(pair.primary, role="primary", replicas=1, lag="60s", behind="100MB")
        replica = judged(pair.replica, role="replica", lag="60s")
        both = judged(of(pair.primary, pair.replica), replicas=1)

    assert [] == primary.violations + replica.violations + both.violations
    assert ["replicas online", "lag", "behind"] == [one.name for one in primary.measurements]
    assert f"replica 127.0.0.1:{pair.replica.port}" == primary.measurements[1].subject


def test_a_replica_that_is_not_there_is_found(redis_program):
    """A drop to 0 replicas must not pass."""
    with Redis() as redis:
        (finding,) = judged(redis, replicas={"P2": 2, "P1": 1}).violations

    assert (Severity.P1, ">= 1") == (finding.severity, finding.expected)
    assert "replicas online 0" == finding.observed
    assert f"redis://127.0.0.1:{redis.port}/0" == finding.subject
    assert any("slave[0-9]" in command for command in commands(finding))


def test_a_replica_whose_link_is_cut_is_found_on_both_ends():
    with replicated() as pair:
        pair.cut()
        (of_replica,) = judged(pair.replica, role="replica", lag="60s").violations
        (of_primary,) = judged(pair.primary, replicas=1).violations
        pair.mend()
        mended = judged(of(pair.primary, pair.replica), replicas=1)

    assert (Severity.P1, "up") == (of_replica.severity, of_replica.expected)
    assert of_replica.observed.startswith(f"link to 127.0.0.1:{pair.primary.port} is down")
    assert of_replica.since
    assert "replicas online 0" == of_primary.observed
    assert [] == mended.violations


def test_a_replica_that_is_stopped_falls_behind():
    """It is still connected: only its lag shows it."""
    with replicated() as pair, said_and_not_awaited(pair.replica, "DEBUG", "SLEEP", "4"):
        say(pair.primary, "DEBUG", "POPULATE", "1")
        say(pair.primary, "SET", "key", "x" * 300_000)
        eventually(lambda: ",lag=0" not in info(pair.primary, "replication").get("slave0", ",lag=0"), "it does not lag")

        findings = judged(pair.primary, replicas=1, lag={"P2": "0s"}, behind={"P2": "100KB"}).violations

    assert ["lag", "behind"] == [finding.observed.split()[0] for finding in findings]
    assert {f"replica 127.0.0.1:{pair.replica.port}"} == {finding.subject for finding in findings}


def test_another_role_than_expected_is_found():
    with replicated() as pair:
        (demoted,) = judged(pair.replica, role="primary").violations
        promoted = judged(pair.primary, role="replica").violations

    assert f"replica of 127.0.0.1:{pair.primary.port}" == demoted.observed
    assert ("primary", Severity.P1) == (demoted.expected, demoted.severity)
    assert "primary" == promoted[0].observed


def test_where_replicas_are_expected_a_primary_is():
    (finding,) = judged(FOLLOWING, replicas=1).violations

    assert ("replica of 10.0.0.1:6379", "primary") == (finding.observed, finding.expected)


# Two primaries


def test_two_primaries_are_a_split_brain():
    with replicated() as pair:
        target = of(pair.primary, pair.replica)
        say(pair.replica, "REPLICAOF", "NO", "ONE")

        (finding,) = judged(target, severity="P2").violations

    ports = (pair.primary.port, pair.replica.port)
    assert Severity.P0 is finding.severity
    assert "2 primaries: " + ", ".join(f"redis://127.0.0.1:{port}" for port in ports) == finding.observed
    assert 2 == len(finding.evidence)
    assert [f"redis-cli -h 127.0.0.1 -p {port} info replication" for port in ports] == [
        command.partition("  #")[0] for command in commands(finding)
    ]


def test_no_primary_is_found():
    with replicated(2) as three:
        (finding,) = judged(of(*three.replicas)).violations

    assert ("no primary among 2 servers that responded", "1 primary") == (finding.observed, finding.expected)
    assert Severity.P1 is finding.severity


def test_a_replica_of_another_primary_is_found():
    (finding,) = judged_set(FOLLOWED, replace(FOLLOWING, master_replid="b")).violations

    assert "follows 10.0.0.1:6379, which has another replication ID" == finding.observed
    assert ("redis://n1:6379", "redis://n0:6379") == (finding.subject, finding.expected)


def test_findings_of_other_servers_survive_an_unreachable_one():
    down = Problem(kind=ProblemKind.UNREACHABLE, text="connection refused by n2:6379", target_down=True)

    with pytest.raises(CouldNotObserve) as raised:
        judged_set(FOLLOWED, FOLLOWING, down)

    assert "connection refused by n2:6379" == raised.value.problem.text
    assert not raised.value.problem.target_down
    with pytest.raises(CouldNotObserve):
        judged_set(FOLLOWED, FOLLOWED, down)


# Replicas in INFO


@pytest.mark.parametrize(
    ("replica", "fields", "observed"),
    [
        ({"lag": 40}, {"lag": {"P2": "30s", "P1": "5m"}}, "lag 40s"),
        ({"offset": 0}, {"behind": {"P2": "100B"}}, "behind 1KB"),
        ({"state": "send_bulk"}, {}, "replicas online 0"),
        ({"state": "send_bulk"}, {"replica_addresses": ["10.0.0.2:6379"]}, "replicas online 0"),
        (
            {"address": "10.0.0.9:6379"},
            {"replica_addresses": ["10.0.0.2:6379"]},
            "replica 10.0.0.2:6379 is not connected",
        ),
    ],
)
def test_a_replica_is_judged_as_its_primary_sees_it(replica, fields, observed):
    there = replace(FOLLOWED, replicas=(replace(FOLLOWED.replicas[0], **replica),))

    assert observed == judged(there, replicas=1, **fields).violations[0].observed


def test_initial_sync_of_a_replica_is_reported():
    copying = replace(
        FOLLOWING, master_link_status="down", master_sync_in_progress=True, master_link_down_since_seconds=90
    )

    (finding,) = judged(copying, role="replica").violations

    assert "link to 10.0.0.1:6379 is down for 1m30s, initial sync in progress" == finding.observed


def test_a_silent_primary_is_found():
    silent = replace(FOLLOWING, master_last_io_seconds_ago=45)

    (finding,) = judged(silent, role="replica", lag={"P2": "30s"}).violations

    assert "time since last data from primary 45s" == finding.observed
    assert ADDRESS == finding.subject


@pytest.mark.parametrize(
    ("server", "missing", "name"),
    [
        (FOLLOWED, {"role": None}, "role"),
        (FOLLOWED, {"role": "sentinel"}, "role"),
        (FOLLOWED, {"connected_slaves": None}, "connected_slaves"),
        (FOLLOWED, {"connected_slaves": 2}, "the state of its replicas"),
        (FOLLOWED, {"replicas": (Replica(address="r:1", state="online", offset=1),)}, "the lag of r:1"),
        (FOLLOWED, {"replicas": (Replica(address="r:1", state="online", lag=1),)}, "the offset of r:1"),
        (FOLLOWED, {"master_repl_offset": None}, "master_repl_offset"),
    ],
)
def test_missing_field_is_unknown(server, missing, name):
    with pytest.raises(CouldNotObserve) as raised:
        judged(replace(server, **missing), replicas=1, lag="30s", behind="1MB")

    assert f"cache.example:6379 does not report {name}" == raised.value.problem.text


def test_a_replica_that_does_not_say_how_its_link_is_is_unknown():
    with pytest.raises(CouldNotObserve):
        judged(replace(FOLLOWING, master_link_status=None), role="replica")


# A cluster


def test_healthy_cluster_passes_and_every_node_is_queried():
    with redis_cluster() as nodes:
        one = RedisTarget(kind="redis", url=nodes[0].url, nodes="cluster")
        findings = judged(one, cluster=True)
        asked = judging.ask(one, RedisInfo("target"))

    assert [] == findings.violations
    assert {f"127.0.0.1:{node.port}" for node in nodes} == {reply.node for reply in asked.nodes}


def test_a_cluster_that_has_lost_slots_is_down():
    with redis_cluster() as nodes:
        say(nodes[0], "CLUSTER", "DELSLOTS", "0")
        eventually(lambda: "cluster_state:fail" in say(nodes[0], "CLUSTER", "INFO"), "the cluster still serves")

        down, uncovered = judged(nodes[0], severity="P2", cluster=True).violations

    assert (Severity.P0, "cluster_state is fail", "ok") == (down.severity, down.observed, down.expected)
    assert (Severity.P2, "1 slot without a node") == (uncovered.severity, uncovered.observed)
    assert any("cluster nodes" in command for command in commands(down))


def test_a_cluster_that_has_lost_a_node_is_down():
    with redis_cluster() as nodes:
        target = RedisTarget(kind="redis", url=nodes[0].url)
        nodes[2].stop()
        eventually(lambda: "cluster_state:fail" in say(nodes[0], "CLUSTER", "INFO"), "the cluster still serves")

        findings = judged(target, severity="P2", cluster=True).violations

    assert ["cluster_state is fail"] == [one.observed for one in findings if one.severity is Severity.P0]
    assert any("5461 slots" in one.observed or "5462 slots" in one.observed for one in findings)


def test_primaries_of_a_cluster_must_have_their_replicas():
    with redis_cluster() as nodes:
        findings = judged(of(*nodes), cluster=True, replicas=1).violations

    assert ["replicas online 0"] * 3 == [one.observed for one in findings]


def test_single_server_is_unknown_as_a_cluster(redis_program):
    with Redis() as redis, pytest.raises(CouldNotObserve) as raised:
        judged(redis, cluster=True)

    assert f"127.0.0.1:{redis.port} is not a cluster node" == raised.value.problem.text


def test_cluster_nodes_are_not_a_split_brain():
    """Without `cluster: true` their expected state is unknown."""
    node = replace(FOLLOWED, cluster_enabled=True)

    with pytest.raises(CouldNotObserve) as raised:
        judged_set(node, node)

    assert "write `cluster: true` in the expectation" == raised.value.problem.advice
