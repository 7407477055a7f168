"""Asks several servers at the same time, so that one that is silent delays nobody."""

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
# long than the question may take.
_SHARE = 0.9


def of_each(nodes: Sequence[Node], ask: Callable[[Node, float], Any], timeout_s: float) -> list[Reply[Any]]:
    """What each server says, in their order; asked at the same time, so that one that is silent delays nobody."""
    started = time.monotonic()
    if len(nodes) == 1:
        return [_reply(nodes[0], ask, started + timeout_s + GRACE_S)]
    deadline = started + timeout_s * _SHARE
    finished: queue.SimpleQueue[tuple[int, Reply[Any] | Exception]] = queue.SimpleQueue()

    def run(place: int, node: Node) -> None:
        try:
            finished.put((place, _reply(node, ask, deadline)))
        except Exception as error:  # noqa: BLE001 - a fault of opscheck; it is raised where somebody waits
            finished.put((place, error))

    for place, node in enumerate(nodes):
        # A thread that a name server keeps is left behind; a pool would wait for it.
        threading.Thread(target=run, args=(place, node), daemon=True).start()
    replies: dict[int, Reply[Any]] = {}
    while len(replies) < len(nodes):
        try:
            place, reply = finished.get(timeout=max(0.0, deadline + timeout_s * (1 - _SHARE) / 2 - time.monotonic()))
        except queue.Empty:
            break
        if isinstance(reply, Exception):
            raise reply
        replies[place] = reply
    waited = time.monotonic() - started
    return [replies.get(place) or _silent(node, waited) for place, node in enumerate(nodes)]


def _silent(node: Node, waited: float) -> Reply[Any]:
    text = f"no answer from {node.place} in {format_duration(waited)}"
    return Reply(node=str(node.place), problem=late(text, waited).problem)


def _reply(node: Node, ask: Callable[[Node, float], Any], deadline: float) -> Reply[Any]:
    try:
        return Reply(node=str(node.place), answer=ask(node, deadline))
    except Refused as refused:
        return Reply(node=str(node.place), refusal=refused.refusal, error=refused.error)
    except ProbeError as error:
        return Reply(node=str(node.place), problem=error.problem)


def raised(replies: Sequence[Reply[Any]]) -> ProbeError:
    """The first of the servers' problems, to be raised for the target; it is down when all of them are."""
    problem = replies[0].problem or Problem(kind=ProblemKind.BROKEN, text="no server has a problem")
    down = all(reply.problem is not None and reply.problem.target_down for reply in replies)
    error = ProbeError(problem.kind, problem.text)
    error.problem = replace(problem, target_down=down)
    return error
