"""Querying Redis servers as a run does, and the problems in place of answers."""

from typing import Any

import pytest

from opscheck import RedisTarget
from opscheck.core.observation import ProbeError, Problem
from opscheck.systems.redis.probe import open_session
from tests.servers.redis import ScriptedServer


def ask(url: str, query: Any, timeout_s: float = 5, **fields: Any) -> Any:
    """The answers of all servers of a target."""
    session = open_session(RedisTarget(kind="redis", url=url, **fields), timeout_s)
    try:
        return session.ask(query, timeout_s)
    finally:
        session.close()


def ask_one(url: str, query: Any, **fields: Any) -> Any:
    """The answer of the one server of a target."""
    (reply,) = ask(url, query, **fields).nodes
    return reply.answer


def problem_of(url: str, query: Any, **fields: Any) -> Problem:
    """Why no server of a target answers."""
    with pytest.raises(ProbeError) as raised:
        ask(url, query, **fields)
    return raised.value.problem


def local(server: ScriptedServer, user: str = "") -> str:
    """The URL of a scripted server."""
    return f"redis://{user}127.0.0.1:{server.port}"
