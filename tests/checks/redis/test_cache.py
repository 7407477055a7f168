"""redis.cache against real servers: found and missed, fast and slow, and a slow log that is off."""

import pytest

from checks.redis import test_cache
from opscheck import Severity
from opscheck.core.observation import CouldNotObserve, ProblemKind
from opscheck.demo.redis import Redis
from opscheck.systems.redis.cache import RedisCache
from opscheck.systems.redis.info import ServerInfo
from tests.checks.redis import judging
from tests.checks.redis.judging import before, commands, look, said
from tests.servers.redis import look_up, say, set_config

pytestmark = pytest.mark.usefixtures("redis_program")

HITS = {"P3": "80%", "P2": "50%"}


def judged(server, **fields):
    return judging.judged(test_cache.test_lookups_find_their_keys_and_are_fast, RedisCache, server, **fields)


@pytest.fixture(name="redis")
def _redis(redis_program):
    with Redis() as server:
        yield server


# Hits, over an interval


def test_lookups_that_find_their_keys_pass(redis):
    say(redis, "SET", "there", "1")
    earlier = before(look(redis), 300)
    look_up(redis, "there", 90)
    look_up(redis, "gone", 10)

    findings = judged(redis, hits=HITS, lookups=100, earlier=earlier)

    assert [] == findings.violations
    hits = next(one for one in findings.measurements if one.name == "hits")
    assert (90.0, "%", 80.0) == (hits.value, hits.unit, hits.limit)


def test_hit_ratio_covers_the_interval_and_not_the_lifetime(redis):
    say(redis, "SET", "there", "1")
    look_up(redis, "there", 5000)
    earlier = before(look(redis), 300)
    look_up(redis, "there", 60)
    look_up(redis, "gone", 40)

    (finding,) = judged(redis, hits=HITS, lookups=100, earlier=earlier).violations

    assert (Severity.P3, ">= 80%") == (finding.severity, finding.expected)
    assert "hits 60% (60 of 100 lookups over 5m)" == finding.observed
    assert f"redis://127.0.0.1:{redis.port}/0" == finding.subject
    assert any("keyspace_(hits|misses)" in command for command in commands(finding))


def test_too_few_lookups_are_not_judged(redis):
    """A ratio of 0 of 0 does not exist, and 1 of 3 means little."""
    earlier = before(look(redis), 300)
    quiet = judged(redis, hits=HITS, earlier=earlier)
    look_up(redis, "gone", 99)
    few = judged(redis, hits=HITS, lookups=100, earlier=earlier)

    assert [] == quiet.violations + few.violations
    assert [("lookups", 0.0), ("lookups", 99.0)] == [
        (one.name, one.value) for one in quiet.measurements + few.measurements if one.name == "lookups"
    ]


def test_expired_and_evicted_keys_are_measured():
    now = ServerInfo(run_id="a", keyspace_hits=0, keyspace_misses=0, expired_keys=50, evicted_keys=20)
    then = ServerInfo(run_id="a", keyspace_hits=0, keyspace_misses=0, expired_keys=0, evicted_keys=0)

    measured = judged(now, hits=HITS, earlier=before(said(then), 300)).measurements

    assert {"keys expired per minute": 10.0, "keys evicted per minute": 4.0, "lookups": 0.0} == {
        one.name: one.value for one in measured
    }


def test_first_sample_is_unknown_and_the_slow_log_is_judged(redis):
    set_config(redis, slowlog_log_slower_than="10000")
    say(redis, "DEBUG", "SLEEP", "0.02")

    findings, problem = judging.judged_and_missing(
        test_cache.test_lookups_find_their_keys_and_are_fast, RedisCache, redis, hits=HITS, slow_commands={"P3": 0}
    )

    assert ProblemKind.FIRST_SAMPLE is problem.kind
    assert [Severity.P3] == [one.severity for one in findings.violations]


# The slow log


def test_a_fast_server_passes(redis):
    findings = judged(redis, slow_commands={"P3": 0})

    assert [] == findings.violations
    assert ["slow commands"] == [one.name for one in findings.measurements]


def test_slow_commands_are_counted_and_named_without_their_arguments(redis):
    say(redis, "DEBUG", "SLEEP", "0.02")
    say(redis, "EVAL", "redis.call('set', KEYS[1], ARGV[1]) for i = 1, 3000000 do end", "1", "key", "geheim")

    (finding,) = judged(redis, slow_commands={"P3": 1}).violations

    assert (Severity.P3, "slow commands 2 (in the last 5m)") == (finding.severity, finding.observed)
    assert {"DEBUG: 1 time", "EVAL: 1 time"} == {line.partition(",")[0] for line in finding.evidence}
    assert "geheim" not in str(finding)
    assert finding.since


def test_slow_commands_of_long_ago_do_not_count(redis):
    say(redis, "DEBUG", "SLEEP", "0.02")
    clock = look(redis).nodes[0].answer.server_time

    def an_hour_later(query):
        answer = judging.ask(redis, query)
        return judging.later(answer, clock, 3600) if query.name == "redis.info" else answer

    findings = judging.judged_by(
        test_cache.test_lookups_find_their_keys_and_are_fast, RedisCache, an_hour_later, slow_commands={"P3": 0}
    )

    assert [] == findings.violations


def test_disabled_slow_log_is_reported(redis):
    set_config(redis, slowlog_log_slower_than="-1")
    say(redis, "DEBUG", "SLEEP", "0.02")

    (finding,) = judged(redis, severity="P3", slow_commands={"P3": 0}, slower_than="10ms").violations

    assert ("slow log is off", "every command over 10ms") == (finding.observed, finding.expected)
    (command,) = commands(finding)
    assert command.endswith("config set slowlog-log-slower-than 10000")


def test_a_slow_log_of_slower_commands_only_is_found(redis):
    set_config(redis, slowlog_log_slower_than="2000000")

    (finding,) = judged(redis, severity="P3", slower_than="10ms").violations

    assert "slow log records only commands over 2s" == finding.observed
    set_config(redis, slowlog_log_slower_than="10000")
    assert [] == judged(redis, severity="P3", slower_than="10ms").violations


# Missing permissions


@pytest.mark.parametrize(
    ("forbidden", "fields", "allowed"),
    [
        ("slowlog|get", {"slow_commands": {"P3": 0}}, ["ping", "info", "config|get"]),
        ("config|get", {"severity": "P3", "slower_than": "1s"}, ["ping", "info", "slowlog|get"]),
        ("info", {"hits": HITS}, ["ping", "slowlog|get"]),
    ],
)
def test_denied_command_makes_its_limits_unknown(redis, forbidden, fields, allowed):
    say(redis, "ACL", "SETUSER", "opscheck", "on", ">pw", "-@all", *(f"+{one}" for one in allowed))
    target = judging.as_user(redis, "opscheck", "pw")

    with pytest.raises(CouldNotObserve) as raised:
        judged(target, **fields)

    problem = raised.value.problem
    assert (ProblemKind.DENIED, f"run as administrator: ACL SETUSER opscheck +{forbidden}") == (
        problem.kind,
        problem.advice,
    )
