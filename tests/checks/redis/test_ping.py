"""redis.ping against real servers: healthy, slow, and refusing in each way."""

import pytest

from checks.redis import test_ping
from opscheck import Findings, RedisTarget, Severity
from opscheck.demo.redis import Redis
from opscheck.systems.redis.ping import STATE_REMEDIES, PingAnswer, RedisPong
from opscheck.systems.redis.probe import open_session
from opscheck.systems.redis.servers import STATES, Refusal, Replies, Reply
from opscheck.testing import expect, judge
from opscheck.transport.processes import free_port
from tests.checks.redis.judging import commands
from tests.servers.redis import blocked_by_a_script, failing_snapshots, full_of_clients, loading

pytestmark = pytest.mark.usefixtures("redis_program")

TARGET = RedisTarget(kind="redis", url="redis://:geheim@cache.example:6379/0")


@pytest.fixture(name="redis", scope="module")
def _redis(redis_program):
    with Redis() as server:
        yield server


def judged(server: Redis | PingAnswer, **fields) -> Findings:
    target = TARGET if isinstance(server, PingAnswer) else RedisTarget(kind="redis", url=server.url)
    expectation = expect(RedisPong, target, **{"severity": "P0", "latency": {"P2": "4s", "P1": "5s"}} | fields)
    return judge(test_ping.test_the_server_says_pong, expectation, lambda query: _answer(server, target, query))


def _answer(server, target, query):
    if isinstance(server, PingAnswer):
        return Replies(nodes=(Reply(node="cache.example:6379", answer=server),))
    return open_session(target, 20).ask(query, 20)


def test_a_healthy_server_passes_with_its_latency(redis):
    findings = judged(redis)

    assert [] == findings.violations
    (latency,) = findings.measurements
    assert ("latency", "s", 4.0) == (latency.name, latency.unit, latency.limit)
    assert f"redis://127.0.0.1:{redis.port}/0" == latency.subject


def test_the_latency_is_measured_without_a_limit_too(redis):
    (latency,) = judged(redis, latency=None).measurements

    assert latency.limit is None


def test_a_slow_server_is_graded():
    (finding,) = judged(
        PingAnswer(connect_s=0.5, pings_s=(3.0, 0.25, 0.2, 0.3)), latency={"P2": "50ms", "P1": "500ms"}
    ).violations

    assert (Severity.P2, "<= 50ms") == (finding.severity, finding.expected)
    assert "latency 250ms (median of 3, connected in 500ms)" == finding.observed
    assert any(command.endswith("slowlog get 10") for command in commands(finding))


def expect_refusal(findings: Findings, word: str, observed: str) -> None:
    (finding,) = findings.violations
    assert (observed, "PONG", Severity.P0) == (finding.observed, finding.expected, finding.severity)
    assert finding.evidence[0].startswith(word)
    assert findings.measurements


def test_a_server_that_loads():
    with Redis() as redis, loading(redis):
        findings = judged(redis)

    expect_refusal(findings, "LOADING", "loading its data set from disk")


def test_a_server_without_its_disk(tmp_path):
    with Redis() as redis, failing_snapshots(redis, tmp_path / "gone"):
        findings = judged(redis)

    expect_refusal(findings, "MISCONF", "refuses writes because its last snapshot failed")


def test_a_server_that_a_script_blocks():
    with Redis() as redis, blocked_by_a_script(redis):
        findings = judged(redis)

    expect_refusal(findings, "BUSY", "blocked by a running script")


def test_a_server_with_too_many_clients():
    with Redis() as redis, full_of_clients(redis):
        findings = judged(redis)

    expect_refusal(findings, "ERR max number of clients", "maximum number of clients reached")


@pytest.mark.parametrize("refusal", Refusal)
def test_each_refusal_has_its_own_state_and_commands(refusal):
    (finding,) = judged(PingAnswer(refusal=refusal, error=f"{refusal} …", connect_s=0.1)).violations
    others = {
        command
        for other in Refusal
        if other is not refusal
        for command in commands(judged(PingAnswer(refusal=other, connect_s=0.1)).violations[0])
    }

    assert "redis://cache.example:6379/0" == finding.subject
    assert refusal is Refusal.OTHER or commands(finding)
    assert all(command.endswith(" ping") for command in others & set(commands(finding)))
    assert "geheim" not in str(finding)


def test_of_several_servers_the_one_that_is_gone_is_named():
    gone = free_port()
    with Redis() as redis:
        target = RedisTarget(kind="redis", url=f"{redis.url.rpartition('/')[0]},127.0.0.1:{gone}")
        expectation = expect(RedisPong, target, severity="P0")
        findings = judge(test_ping.test_the_server_says_pong, expectation, lambda query: _answer(redis, target, query))

    (finding,) = findings.violations
    assert (Severity.P0, f"connection refused by 127.0.0.1:{gone}") == (finding.severity, finding.observed)
    assert f"redis://127.0.0.1:{gone}" == finding.subject
    assert f"redis-cli -h 127.0.0.1 -p {gone} ping" in commands(finding)
    assert [f"redis://127.0.0.1:{redis.port}"] == [one.subject for one in findings.measurements]


def test_every_refusal_has_a_state_and_a_declared_remedy():
    assert set(Refusal) == set(STATES)
    assert set(Refusal) == set(STATE_REMEDIES)
    assert set(STATE_REMEDIES.values()) <= set(RedisPong.remedies)


def test_the_first_ping_is_not_counted_when_there_are_others():
    assert 0.25 == test_ping.ping_latency(PingAnswer(connect_s=1, pings_s=(9.0, 0.125, 0.25, 0.5)))
    assert 9.0 == test_ping.ping_latency(PingAnswer(connect_s=1, pings_s=(9.0,)))


def test_latency_detail_has_samples_and_connect_time():
    answer = PingAnswer(connect_s=1, pings_s=(9.0, 0.1, 0.2, 0.3))

    assert "median of 3, connected in 1s" == test_ping.described(answer)


@pytest.mark.parametrize("refusal", Refusal)
def test_a_server_alone_is_reached_by_the_targets_own_url(refusal):
    target = RedisTarget(kind="redis", url="redis://:geheim@cache.example:6379/0")
    (finding,) = judged(PingAnswer(refusal=refusal, connect_s=0.1)).violations

    assert finding.remediation.commands[0] == "redis-cli {{ connection }} ping"
    assert {"server": "redis://cache.example:6379/0"} == finding.facts
    assert set(target.facts()) == {"url", "connection"}
