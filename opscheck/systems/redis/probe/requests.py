"""Queries several servers concurrently, so that a silent one delays no other."""

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from msgspec.structs import replace

from opscheck.core.observation import ProbeError
from opscheck.systems.redis.probe.node import Node, Refused
from opscheck.systems.redis.servers import Reply
from opscheck.transport.concurrency import completed
from opscheck.transport.connect import GRACE_S

# Of several servers, one that is silent must not cost the answers of the others: they are waited for a little less
# long than the query may take.
_SHARE = 0.9


def of_each(nodes: Sequence[Node], ask: Callable[[Node, float], Any], timeout_s: float) -> list[Reply[Any]]:
    """The reply of each server, in their order. Raises ProbeError when none of them answers."""
    replies = _replies(nodes, ask, timeout_s)
    problems = [reply.problem for reply in replies if reply.problem is not None]
    if len(problems) < len(replies):
        return replies
    error = ProbeError(problems[0].kind, problems[0].text)
    # The target is down when all of its servers are.
    error.problem = replace(problems[0], target_down=all(problem.target_down for problem in problems))
    raise error


def _replies(nodes: Sequence[Node], ask: Callable[[Node, float], Any], timeout_s: float) -> list[Reply[Any]]:
    started = time.monotonic()
    if len(nodes) == 1:
        return [_reply(nodes[0], ask, started + timeout_s + GRACE_S)]
    deadline = started + timeout_s * _SHARE
    jobs = [partial(_reply, node, ask, deadline) for node in nodes]
    replies: dict[int, Reply[Any]] = {}
    # A thread that a name server keeps is left behind.
    for number, reply in completed(jobs, deadline + timeout_s * (1 - _SHARE) / 2, threads=len(nodes)):
        if isinstance(reply, BaseException):
            raise reply  # a fault of opscheck
        replies[number] = reply
    return [
        replies.get(number) or Reply(node=str(node.address), problem=node.late("answer from", started).problem)
        for number, node in enumerate(nodes)
    ]


def _reply(node: Node, ask: Callable[[Node, float], Any], deadline: float) -> Reply[Any]:
    try:
        return Reply(node=str(node.address), answer=ask(node, deadline))
    except Refused as refused:
        return Reply(node=str(node.address), refusal=refused.refusal, error=refused.error)
    except ProbeError as error:
        return Reply(node=str(node.address), problem=error.problem)
