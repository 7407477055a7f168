"""What a PING tells."""

from opscheck.systems.redis.expectations.ping import RedisPong
from opscheck.systems.redis.queries.base import Refusal
from opscheck.systems.redis.queries.ping import PingAnswer
from opscheck.systems.redis.readings.ping import described, ping_latency
from opscheck.systems.redis.readings.states import STATES


def test_every_refusal_has_words_and_facts_that_are_declared():
    assert set(Refusal) == set(STATES)
    assert {state.fact for state in STATES.values() if state.fact} <= set(RedisPong.fact_names)


def test_the_first_ping_is_not_counted_when_there_are_others():
    assert 0.25 == ping_latency(PingAnswer(connect_s=1, pings_s=(9.0, 0.125, 0.25, 0.5)))
    assert 9.0 == ping_latency(PingAnswer(connect_s=1, pings_s=(9.0,)))


def test_a_latency_says_what_it_is_made_of():
    assert "median of 3, connecting took 1s" == described(PingAnswer(connect_s=1, pings_s=(9.0, 0.1, 0.2, 0.3)))
