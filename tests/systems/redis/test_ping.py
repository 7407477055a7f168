"""Valid and invalid expectations of redis.ping."""

import pytest
from pydantic import ValidationError

from opscheck import RedisTarget, Severity
from opscheck.core.observation import Problem, ProblemKind
from opscheck.core.templates import malformed, unknown_names
from opscheck.systems.redis.ping import RedisPing, RedisPong
from opscheck.testing import expect

CACHE = RedisTarget(kind="redis", url="redis://:geheim@cache.example:6379/0")


def pong(**fields) -> RedisPong:
    return expect(RedisPong, CACHE, **{"severity": "P0"} | fields)


def test_the_contracts_own_example_is_valid():
    assert "P2 <= 50ms, P1 <= 500ms" == str(pong(latency={"P2": "50ms", "P1": "500ms"}).latency)


def test_two_expectations_share_one_query():
    assert {RedisPing("target")} == {*pong().queries(), *pong(latency="1s").queries()}


@pytest.mark.parametrize(
    "fields", [{"severity": None}, {"latency": 50}, {"samples": 0}, {"samples": True}, {"samples": 1000}], ids=str
)
def test_contradictory_fields_are_rejected(fields):
    with pytest.raises(ValidationError):
        pong(**fields)


def test_refused_connection_is_a_violation():
    for kind in (ProblemKind.UNREACHABLE, ProblemKind.UNREADABLE):
        assert Severity.P0 is pong().no_answer(Problem(kind=kind, text=""))


@pytest.mark.parametrize(("waited", "severity"), [(0.05, None), (0.06, Severity.P0), (None, None)])
def test_silence_proves_no_more_than_that_a_latency_limit_is_broken(waited, severity):
    problem = Problem(kind=ProblemKind.LATE, text="", waited_s=waited)

    assert severity == pong(latency={"P2": "50ms", "P1": "500ms"}).no_answer(problem)
    assert pong().no_answer(problem) is None


def test_denied_ping_is_unknown():
    assert pong(latency="1s").no_answer(Problem(kind=ProblemKind.DENIED, text="", waited_s=9)) is None


def test_remedies_are_well_formed_and_name_known_facts():
    for command in [command for remedy in RedisPong.remedies for command in remedy.commands]:
        assert [] == malformed(command)
        assert [] == unknown_names(command, pong())
