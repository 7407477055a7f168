"""Judging checks of Redis by answers of real servers, and by answers of the test."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from opscheck import Findings, RedisTarget
from opscheck.core.observation import CouldNotObserve, ProbeError, Problem, Sample
from opscheck.core.record import Finding
from opscheck.core.remedy import fact_text
from opscheck.core.templates import render
from opscheck.demo.redis import Redis
from opscheck.systems.redis.info import RedisInfo, ServerInfo
from opscheck.systems.redis.probe import open_session
from opscheck.systems.redis.servers import Refusal, Replies, Reply
from opscheck.testing import NOON, Answers, expect, judge
from tests.servers.redis import eventually

ELSEWHERE = RedisTarget(kind="redis", url="redis://:geheim@cache.example:6379/0")
ADDRESS = "redis://cache.example:6379/0"


def ask(server: Redis | RedisTarget, query) -> Any:
    """The answer of a real server, or the problem in its place."""
    target = server if isinstance(server, RedisTarget) else RedisTarget(kind="redis", url=server.url)
    try:
        return open_session(target, 20).ask(query, 20)
    except ProbeError as error:
        return error.problem


def look(server: Redis) -> Replies[ServerInfo]:
    """INFO of a real server."""
    return ask(server, RedisInfo("target"))


def said(answer: Any, node: str = "cache.example:6379") -> Replies:
    """The answer of a server that is not there."""
    return Replies(nodes=(Reply(node=node, answer=answer),))


def before(answer: Replies, seconds: float) -> Mapping[Any, list[Sample]]:
    """An answer that an earlier run was given."""
    return {RedisInfo("target"): [Sample(taken_at=NOON - timedelta(seconds=seconds), answer=answer)]}


def judged(check, kind, server: Redis | RedisTarget | Any, *, earlier=None, **fields) -> Findings:
    """Run the check against a real server, or against an answer of the test's own."""
    if isinstance(server, Redis):
        target = RedisTarget(kind="redis", url=server.url)
    else:
        target = server if isinstance(server, RedisTarget) else ELSEWHERE
    expectation = expect(kind, target, **fields)

    def answer(query):
        return ask(target, query) if isinstance(server, Redis | RedisTarget) else said(server)

    return judge(check, expectation, answer, earlier=earlier)


def commands(finding: Finding) -> list[str]:
    """The commands that it brings and that its facts complete."""
    facts = {name: fact_text(value) for name, value in ELSEWHERE.facts().items()} | finding.facts
    rendered = [render(command, facts) for command in finding.remediation.commands]
    return [command for command in rendered if command]


def judged_reply(check, kind, target: RedisTarget, error: str, **fields) -> Findings:
    """Run the check against a server that refuses in these words."""
    refused = Reply(node="cache.example:6379", refusal=Refusal(error.partition(" ")[0]), error=error)
    return judge(check, expect(kind, target, **fields), lambda _: Replies(nodes=(refused,)))


def eventually_blocked(server: Redis) -> None:
    """Wait until a client is."""
    eventually(lambda: look(server).nodes[0].answer.blocked_clients == 1, "no client waits")


def judged_by(check, kind, answer, **fields) -> Findings:
    """Run the check on the answers of a function."""
    return judge(check, expect(kind, ELSEWHERE, **fields), answer)


def judged_and_missing(check, kind, server: Redis, **fields) -> tuple[Findings, Problem]:
    """The findings before a value was missing, and the problem."""
    expectation = expect(kind, RedisTarget(kind="redis", url=server.url), **fields)
    findings = Findings(expectation)
    with pytest.raises(CouldNotObserve) as raised:
        check(expectation, Answers(lambda query: ask(server, query), NOON), findings)
    return findings, raised.value.problem


def later(answer: Replies[ServerInfo], clock: datetime, seconds: int) -> Replies[ServerInfo]:
    """INFO of a server, with another time on its clock."""
    (reply,) = answer.nodes
    said_later = replace(reply.answer, server_time_usec=int((clock.timestamp() + seconds) * 1_000_000))
    return Replies(nodes=(replace(reply, answer=said_later),))


def as_user(server: Redis, user: str, password: str) -> RedisTarget:
    """The server, as another user than its administrator."""
    return RedisTarget(kind="redis", url=f"redis://{user}:{password}@127.0.0.1:{server.port}/0")
