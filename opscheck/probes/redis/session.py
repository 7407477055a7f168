"""A target of Redis or Valkey servers for the length of a run: each question goes to all of them at once."""

import queue
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from opscheck.probes.contact import GRACE_S, late, trust
from opscheck.probes.redis.info import parse_info
from opscheck.probes.redis.node import Node, Refused
from opscheck.probes.redis.place import Place, places
from opscheck.probes.redis.slowlog import read_slow_log, read_slower_than
from opscheck.queries.base import Query
from opscheck.queries.observation import ProbeError, Problem, ProblemKind
from opscheck.queries.redis.base import Replies, Reply
from opscheck.queries.redis.info import RedisInfo, ServerInfo
from opscheck.queries.redis.ping import RedisPing
from opscheck.queries.redis.slowlog import RedisSlowerThan, RedisSlowLog
from opscheck.targets import RedisTarget
from opscheck.units import format_duration

# Of several servers, one that is silent must not cost the answers of the others: they are waited for a little less
# long than the question may take.
_SHARE = 0.9


def open_session(target: RedisTarget, timeout_s: float) -> "RedisSession":
    """Connect to each server once, without a word. Raises ProbeError when none is there."""
    session = RedisSession(target)
    session.contact(timeout_s)
    return session


class RedisSession:
    """The servers of one target."""

    def __init__(self, target: RedisTarget) -> None:
        self._target = target
        self._named = [self._node(place) for place in places(target.url.get_secret_value())]

    def contact(self, timeout_s: float) -> None:
        """Reach at least one of the servers that the target names. Raises ProbeError."""
        replies = _of_each(self._named, lambda node, deadline: node.contact(deadline), timeout_s)
        if all(reply.problem is not None for reply in replies):
            raise _raised(replies[0])

    def ask(self, query: Query[Any], timeout_s: float) -> Replies[Any]:
        """Ask every server. Raises ProbeError when none of them answers."""
        replies = _of_each(self._named, lambda node, deadline: _answer(node, query, deadline), timeout_s)
        if all(reply.problem is not None for reply in replies):
            raise _raised(replies[0])
        return Replies(nodes=tuple(replies))

    def close(self) -> None:
        """Nothing is kept open."""

    def _node(self, place: Place) -> Node:
        return Node(place, trust(self._target.ca_file, self._target.client_certificate) if place.tls else None)


def _answer(node: Node, query: Query[Any], deadline: float) -> Any:
    match query:
        case RedisPing():
            return node.ping(query.samples, deadline)
        case RedisInfo():
            return read_info(node, deadline)
        case RedisSlowLog():
            return read_slow_log(node, deadline)
        case RedisSlowerThan():
            return read_slower_than(node, deadline)
    raise ProbeError(ProblemKind.UNSUPPORTED, f"a Redis server cannot be asked {query.text()}")


def read_info(node: Node, deadline: float) -> ServerInfo:
    """What a server says of itself. Raises as `Node.say`."""
    said = node.say("info", "INFO", deadline=deadline)
    info = parse_info(said.decode("utf-8", "replace")) if isinstance(said, bytes) else None
    if info is None:
        raise node.unreadable("info")
    return info


def _of_each(nodes: Sequence[Node], ask: Callable[[Node, float], Any], timeout_s: float) -> list[Reply[Any]]:
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


def _raised(reply: Reply[Any]) -> ProbeError:
    problem = reply.problem or Problem(kind=ProblemKind.BROKEN, text="")
    error = ProbeError(problem.kind, problem.text, problem.advice, target_down=problem.target_down)
    error.problem = problem
    return error
