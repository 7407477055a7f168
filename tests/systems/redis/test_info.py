"""Counters of several servers between two runs, each with its own."""

from datetime import timedelta

import pytest

from opscheck import RedisTarget
from opscheck.core.observation import CouldNotObserve, ProblemKind, Sample
from opscheck.systems.redis.clients import RedisClients
from opscheck.systems.redis.info import RedisInfo, ServerInfo, interval_of, per_minute
from opscheck.systems.redis.servers import Replies, Reply, servers
from opscheck.testing import NOON, Answers, expect

SET = RedisTarget(kind="redis", url="redis://one,two")
EXPECTATION = expect(RedisClients, SET, rejected={"P1": 0})
QUERY = RedisInfo("target")


def counting(run_id: str, rejected: int, **fields) -> ServerInfo:
    return ServerInfo(run_id=run_id, rejected_connections=rejected, **fields)


def replies(**infos: ServerInfo) -> Replies[ServerInfo]:
    return Replies(nodes=tuple(Reply(node=f"{name}:6379", answer=info) for name, info in infos.items()))


def rates(now: Replies[ServerInfo], *earlier: tuple[int, Replies[ServerInfo]]) -> dict[str, float]:
    """Rejected connections per minute of each server, given their earlier INFO."""
    samples = [Sample(taken_at=NOON - timedelta(seconds=age), answer=answer) for age, answer in earlier]
    observe = Answers({QUERY: now}, NOON, {QUERY: samples})
    all_of_them = servers(EXPECTATION, QUERY, now)
    return {
        one.reply.node: per_minute(one, interval_of(one, EXPECTATION, observe), "rejected_connections")
        for one in all_of_them
    }


def test_each_server_counts_for_itself():
    now = replies(one=counting("a", 10), two=counting("b", 100))

    assert {"one:6379": 2.0, "two:6379": 0.0} == rates(
        now, (300, replies(two=counting("b", 100), one=counting("a", 0)))
    )


def test_a_server_that_restarted_resets_no_other():
    now = replies(one=counting("a", 10))
    earlier = replies(one=counting("a", 0), two=counting("old", 7))

    assert {"one:6379": 2.0} == rates(now, (300, earlier))
    with pytest.raises(CouldNotObserve) as raised:
        rates(replies(two=counting("new", 7)), (300, earlier))
    assert ProblemKind.FIRST_SAMPLE is raised.value.problem.kind


def test_a_server_that_is_new_to_the_set_has_no_sample():
    with pytest.raises(CouldNotObserve):
        rates(replies(two=counting("b", 1)), (300, replies(one=counting("a", 1))))


def test_a_server_that_did_not_answer_then_has_the_sample_before():
    silent = Replies(nodes=(Reply(node="one:6379", answer=None),))

    assert {"one:6379": 1.0} == rates(
        replies(one=counting("a", 10)), (600, replies(one=counting("a", 0))), (300, silent)
    )


def test_counters_that_shrank_start_a_new_count():
    now = replies(one=counting("a", 1, keyspace_hits=5))

    with pytest.raises(CouldNotObserve):
        rates(now, (300, replies(one=counting("a", 0, keyspace_hits=500))))
