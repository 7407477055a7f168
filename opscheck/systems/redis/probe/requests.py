"""Queries several servers concurrently, so that a silent one delays no other."""

import queue
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from msgspec.structs import replace

from opscheck.core.observation import ProbeError, Problem, ProblemKind
from opscheck.core.units import format_duration
from opscheck.systems.redis.probe.node import Node, Refused
from opscheck.systems.redis.servers import Reply
from opscheck.transport.connect import GRACE_S, late

# Of several servers, one that is silent must not cost the answers of the others: they are waited for a little less
# long than the query may take.
_SHARE = 0.9


def of_each(nodes: Sequence[Node], ask: Callable[[Node, float], Any], timeout_s: float) -> list[Reply[Any]]:
    """The reply of each server, in their order; queried concurrently, so that a silent one delays no other."""
    started = time.monotonic()
    if len(nodes) == 1:
        return [_reply(nodes[0], ask, started + timeout_s + GRACE_S)]
    deadline = started + timeout_s * _SHARE
    finished: queue.SimpleQueue[tuple[int, Reply[Any] | Exception]] = queue.SimpleQueue()

    def run(number: int, node: Node) -> None:
        try:
            finished.put((number, _reply(node, ask, deadline)))
        except Exception as error:  # noqa: BLE001 - a fault of opscheck; it is raised where somebody waits
            finished.put((number, error))

    for number, node in enumerate(nodes):
        # A thread that a name server keeps is left behind; a pool would wait for it.
        threading.Thread(target=run, args=(number, node), daemon=True).start()
    replies: dict[int, Reply[Any]] = {}
    while len(replies) < len(nodes):
        try:
            number, reply = finished.get(timeout=max(0.0, deadline + timeout_s * (1 - _SHARE) / 2 - time.monotonic()))
        except queue.Empty:
            break
        if isinstance(reply, Exception):
            raise reply
        replies[number] = reply
    waited = time.monotonic() - started
    return [replies.get(number) or _silent(node, waited) for number, node in enumerate(nodes)]


def _silent(node: Node, waited: float) -> Reply[Any]:
    text = f"no answer from {node.address} in {format_duration(waited)}"
    return Reply(node=str(node.address), problem=late(text, waited).problem)


def _reply(node: Node, ask: Callable[[Node, float], Any], deadline: float) -> Reply[Any]:
    try:
        return Reply(node=str(node.address), answer=ask(node, deadline))
    except Refused as refused:
        return Reply(node=str(node.address), refusal=refused.refusal, error=refused.error)
    except ProbeError as error:
        return Reply(node=str(node.address), problem=error.problem)


def raised(replies: Sequence[Reply[Any]]) -> ProbeError:
    """The first of the servers' problems, to be raised for the target; it is down when all of them are."""
    problem = replies[0].problem or Problem(kind=ProblemKind.BROKEN, text="no server has a problem")
    down = all(reply.problem is not None and reply.problem.target_down for reply in replies)
    error = ProbeError(problem.kind, problem.text)
    error.problem = replace(problem, target_down=down)
    return error
