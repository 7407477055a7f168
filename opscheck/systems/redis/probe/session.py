"""Sessions with the Redis or Valkey servers of a target: each query goes to all of them at once."""

import time
from collections.abc import Sequence
from typing import Any

from opscheck.core.observation import ProbeError, ProblemKind
from opscheck.core.query import Query
from opscheck.systems.redis.cache import RedisSlowerThan, RedisSlowLog
from opscheck.systems.redis.info import RedisIdentity, RedisInfo
from opscheck.systems.redis.ping import RedisPing
from opscheck.systems.redis.probe.discovery import find_nodes
from opscheck.systems.redis.probe.node import Node, of_each
from opscheck.systems.redis.probe.readers import identity, read_cluster, read_info, read_slow_log, read_slower_than
from opscheck.systems.redis.replication import RedisCluster
from opscheck.systems.redis.servers import Replies
from opscheck.systems.redis.target import RedisTarget


def open_session(target: RedisTarget, timeout_s: float) -> "RedisSession":
    """Discover the servers, and connect to each once. Raises ProbeError without a connection."""
    started = time.monotonic()
    nodes = find_nodes(target, timeout_s)
    left = started + timeout_s - time.monotonic()
    of_each(nodes, lambda node, deadline: node.contact(deadline), left)
    return RedisSession(nodes)


class RedisSession:
    """The servers of one target."""

    def __init__(self, nodes: Sequence[Node]) -> None:
        self._nodes = nodes

    def ask(self, query: Query[Any], timeout_s: float) -> Any:
        """Query every server. Raises ProbeError without an answer."""
        if isinstance(query, RedisIdentity):
            return identity(self._nodes, timeout_s)
        replies = of_each(self._nodes, lambda node, deadline: _answer(node, query, deadline), timeout_s)
        return Replies(nodes=tuple(replies))

    def close(self) -> None:
        """No connection stays open."""


def _answer(node: Node, query: Query[Any], deadline: float) -> Any:
    match query:
        case RedisPing():
            return node.ping(query.samples, deadline)
        case RedisInfo():
            return read_info(node, deadline)
        case RedisCluster():
            return read_cluster(node, deadline)
        case RedisSlowLog():
            return read_slow_log(node, deadline)
        case RedisSlowerThan():
            return read_slower_than(node, deadline)
    raise ProbeError(ProblemKind.UNSUPPORTED, f"the Redis probe does not answer {query.name}")
