"""Which servers a target has: those it names, those a cluster or a primary knows, and what sentinels watch."""

from urllib.parse import quote

import pytest

from opscheck.core.observation import ProblemKind
from opscheck.demo.redis import Redis
from opscheck.systems.redis.info import RedisIdentity, RedisInfo
from opscheck.systems.redis.ping import RedisPing
from opscheck.transport.processes import free_port, wait_until
from tests.servers.redis import say
from tests.servers.redis_topologies import Sentinel, redis_cluster, replicated
from tests.systems.redis.probe.requests import ask, local, problem_of

pytestmark = pytest.mark.usefixtures("redis_program")

PING, INFO = RedisPing("cache", samples=1), RedisInfo("cache")


def url_of(*ports: int, secret: str = "") -> str:
    places = ",".join(f"127.0.0.1:{port}" for port in ports)
    return f"redis://:{quote(secret, safe='')}@{places}/0" if secret else f"redis://{places}"


def nodes_of(replies) -> list[str]:
    return [reply.node for reply in replies.nodes]


# Named


def test_named_servers_are_queried_in_their_order():
    with replicated() as pair:
        ports = pair.replica.port, pair.primary.port
        replies = ask(url_of(*ports, secret=pair.primary._password), INFO)

    assert [f"127.0.0.1:{port}" for port in ports] == nodes_of(replies)
    assert [False, True] == [reply.answer.is_primary for reply in replies.nodes]


def test_server_named_twice_is_queried_once(scripted):
    port = scripted(b"+PONG\r\n").port

    assert [f"127.0.0.1:{port}"] == nodes_of(ask(url_of(port, port), PING))


def test_one_server_that_is_gone_costs_no_answer_of_the_others():
    with Redis() as redis:
        gone = free_port()
        there, missing = ask(url_of(redis.port, gone, secret=redis._password), PING).nodes

    assert there.answer.refusal is None
    assert (ProblemKind.UNREACHABLE, f"connection refused by 127.0.0.1:{gone}") == (
        missing.problem.kind,
        missing.problem.text,
    )


def test_one_server_that_is_silent_costs_no_answer_of_the_others(scripted):
    there, silent = ask(url_of(scripted(b"+PONG\r\n").port, scripted(b"", b"").port), PING, timeout_s=1).nodes

    assert there.answer.refusal is None
    assert ProblemKind.LATE is silent.problem.kind
    assert silent.problem.waited_s < 1


def test_where_all_are_gone_the_target_is_down():
    problem = problem_of(url_of(free_port(), free_port()), PING)

    assert ProblemKind.UNREACHABLE is problem.kind
    assert problem.target_down


def test_where_one_is_gone_and_another_denies_the_target_is_not_down():
    with Redis() as redis:
        say(redis, "ACL", "SETUSER", "opscheck", "on", ">pw", "-@all", "+info")
        problem = problem_of(f"redis://opscheck:pw@127.0.0.1:{redis.port},127.0.0.1:{free_port()}", PING)

    assert ProblemKind.DENIED is problem.kind
    assert not problem.target_down


# A cluster


def test_all_nodes_of_a_cluster_are_found_from_one():
    with redis_cluster() as nodes:
        replies = ask(nodes[1].url, INFO, nodes="cluster")

    assert {f"127.0.0.1:{node.port}" for node in nodes} == set(nodes_of(replies))
    assert all(reply.answer.cluster_enabled for reply in replies.nodes)


def test_a_node_that_has_failed_is_still_one():
    with redis_cluster() as nodes:
        nodes[2].stop()
        problems = {reply.node: reply.problem for reply in ask(nodes[0].url, PING, nodes="cluster").nodes}

    assert 3 == len(problems)
    assert ProblemKind.UNREACHABLE is problems[f"127.0.0.1:{nodes[2].port}"].kind


def test_server_outside_a_cluster_has_no_nodes():
    with Redis() as redis:
        problem = problem_of(redis.url, PING, nodes="cluster")

    assert f"127.0.0.1:{redis.port} is not a cluster node" == problem.text


def test_denied_cluster_nodes_names_the_acl_rule():
    with redis_cluster() as nodes:
        say(nodes[0], "ACL", "SETUSER", "opscheck", "on", ">pw", "-@all", "+ping", "+info")
        problem = problem_of(f"redis://opscheck:pw@127.0.0.1:{nodes[0].port}", PING, nodes="cluster")

    assert "run as administrator: ACL SETUSER opscheck +cluster|nodes" == problem.advice


def test_node_without_an_address_has_the_one_of_its_server(scripted):
    lines = (
        "a :6379@16379 myself,master - 0 0 1 connected 0-5460\n"
        "b 127.0.0.1:7@17,one.example master - 0 0 2 connected\n"
        "c [::1]:8@18 slave b 0 0 2 connected\n"
        "d :0@0 master,noaddr - 0 0 3 disconnected\n"
        "e 10.0.0.9:6379@16379 handshake - 0 0 0 disconnected\n"
        "f\n"
    )
    server = scripted(b"$%d\r\n%s\r\n" % (len(lines), lines.encode()))

    problem = problem_of(local(server), PING, nodes="cluster", timeout_s=3)

    assert ProblemKind.UNREACHABLE is problem.kind  # none of them is real


# Replicas


def test_replicas_of_a_primary_are_queried_too():
    with replicated(2) as three:
        alone = ask(three.primary.url, INFO)
        replies = ask(three.primary.url, INFO, nodes="replicas")
        both_named = ask(
            url_of(three.primary.port, three.replica.port, secret=three.primary._password), INFO, nodes="replicas"
        )

    assert 1 == len(alone.nodes)
    assert {f"127.0.0.1:{one.port}" for one in (three.primary, *three.replicas)} == set(nodes_of(replies))
    assert 3 == len(both_named.nodes)


# Sentinels


@pytest.mark.parametrize(("secret", "login"), [(None, None), ("geheim", ":geheim")])
def test_sentinels_report_the_primary(secret, login):
    with replicated() as pair, Sentinel(pair.primary, secret=secret) as sentinel:
        url = url_of(sentinel.port, secret=pair.primary._password)
        replies = ask(url, INFO, sentinel="cache", sentinel_login=login)

    (primary,) = replies.nodes
    assert f"127.0.0.1:{pair.primary.port}" == primary.node
    assert primary.answer.is_primary


def test_sentinels_know_the_replicas_too():
    with replicated() as pair, Sentinel(pair.primary) as sentinel:
        url = url_of(sentinel.port, secret=pair.primary._password)

        def known() -> list[str]:
            return nodes_of(ask(url, INFO, sentinel="cache", nodes="replicas"))

        wait_until(lambda: len(known()) == 2, 20, "the sentinel does not find the replica")
        assert [f"127.0.0.1:{one.port}" for one in (pair.primary, pair.replica)] == known()


def test_one_sentinel_that_answers_is_enough():
    with Redis() as redis, Sentinel(redis) as sentinel:
        url = url_of(free_port(), sentinel.port, secret=redis._password)

        assert [f"127.0.0.1:{redis.port}"] == nodes_of(ask(url, PING, sentinel="cache"))


def test_each_primary_is_queried_when_sentinels_disagree(scripted):
    """After a failover that one of them has not heard of; two primaries are then seen for what they are."""
    primaries = [scripted(b"+PONG\r\n").port for _ in range(2)]
    sentinels = [
        scripted(b"*2\r\n$9\r\n127.0.0.1\r\n$%d\r\n%d\r\n" % (len(str(port)), port)).port for port in primaries
    ]

    found = nodes_of(ask(url_of(*sentinels), PING, sentinel="cache"))

    assert [f"127.0.0.1:{port}" for port in primaries] == found


def test_unknown_name_at_the_sentinels_is_reported():
    with Redis() as redis, Sentinel(redis) as sentinel:
        problem = problem_of(url_of(sentinel.port), PING, sentinel="cahce")

    assert "no sentinel reports a primary named cahce" == problem.text
    assert problem.target_down


def test_sentinel_that_requires_a_password_is_reported():
    with Redis() as redis, Sentinel(redis, secret="geheim") as sentinel:
        none = problem_of(url_of(sentinel.port), PING, sentinel="cache")
        wrong = problem_of(url_of(sentinel.port), PING, sentinel="cache", sentinel_login=":falsch")

    assert f"127.0.0.1:{sentinel.port} requires a password, and the target's sentinel_login has none" == none.text
    assert "rejects the user and password in the target's sentinel_login" in wrong.text
    assert "falsch" not in wrong.text + wrong.advice


def test_server_in_place_of_a_sentinel_is_reported():
    with Redis() as redis:
        problem = problem_of(url_of(redis.port), PING, sentinel="cache", sentinel_login=f":{redis._password}")

    assert "`url` names sentinels" in problem.advice


def test_no_sentinel_answers():
    assert ProblemKind.UNREACHABLE is problem_of(url_of(free_port()), PING, sentinel="cache").kind


@pytest.mark.parametrize("reply", [b"$2\r\nno\r\n", b":1\r\n"])
def test_invalid_reply_of_a_sentinel_is_unreadable(scripted, reply):
    assert ProblemKind.UNREADABLE is problem_of(local(scripted(reply)), PING, sentinel="cache").kind


# Who they are


def test_reports_say_which_servers_answered():
    with replicated(2) as three:
        alone = ask(three.primary.url, RedisIdentity("cache"))
        all_of_them = ask(three.primary.url, RedisIdentity("cache"), nodes="replicas")
        version = three.primary.version

    assert (f"Redis {version}, primary", "default", "a password") == (alone.place, alone.user, alone.authenticated_by)
    assert f"Redis {version}, primary; Redis {version}, replica (2)" == all_of_them.place
