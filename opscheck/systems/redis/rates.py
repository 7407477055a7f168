"""Counters of INFO, and how fast they grew between two runs on one server of a target."""

from dataclasses import dataclass
from typing import Any

import msgspec

from opscheck.core.findings import Observe
from opscheck.core.intervals import Interval, OverInterval, interval
from opscheck.core.observation import Observation, Sample
from opscheck.core.query import Query
from opscheck.systems.redis.info import ServerInfo
from opscheck.systems.redis.servers import Server

_MINUTE = 60.0
_COUNTERS = (
    "total_commands_processed",
    "rejected_connections",
    "expired_keys",
    "evicted_keys",
    "keyspace_hits",
    "keyspace_misses",
)


def counted(server: Server[ServerInfo], expectation: OverInterval, observe: Observe) -> Interval[ServerInfo]:
    """What the server says now and said before. Raises CouldNotObserve as `interval` does."""
    return interval(expectation, server.query, _OneServer(server, observe))  # type: ignore[arg-type]  # its part of it


def growth(server: Server[ServerInfo], over: Interval[ServerInfo], name: str) -> int:
    """By how much a counter grew. Raises CouldNotObserve where the server does not count it, or did not before."""
    now = server.known(getattr(over.now, name), name)
    before = 0 if over.earlier is None else server.known(getattr(over.earlier, name), name)
    return int(now - before)


def per_minute(server: Server[ServerInfo], over: Interval[ServerInfo], name: str) -> float:
    """How fast a counter grew. Raises CouldNotObserve where the server does not count it."""
    # A lifetime by the server's own clock, which may be another than ours.
    lifetime = over.seconds if over.earlier else server.known(over.now.uptime_in_seconds, "uptime_in_seconds")
    return growth(server, over, name) * _MINUTE / max(1.0, lifetime or 0.0)


@dataclass(frozen=True)
class _OneServer:
    """`observe` for the answers of one server of a target."""

    server: Server[ServerInfo]
    observe: Observe

    def __call__(self, query: Query[Any]) -> ServerInfo:  # noqa: ARG002 - as every `observe`
        return self.server.answer

    def observation(self, query: Query[Any]) -> Observation:
        whole = self.observe.observation(query)
        samples = tuple(sample for one in whole.earlier for sample in self._of(one))
        return msgspec.structs.replace(whole, answer=self.server.answer, earlier=samples)

    def _of(self, sample: Sample[Any]) -> list[Sample[ServerInfo]]:
        return [
            Sample(taken_at=sample.taken_at, answer=self._comparable(reply.answer))
            for reply in sample.answer.nodes
            if reply.node == self.server.reply.node and reply.answer is not None
        ]

    def _comparable(self, earlier: ServerInfo) -> ServerInfo:
        """CONFIG RESETSTAT resets the counters without a restart; a counter that has become smaller shows it."""
        if any(_shrank(getattr(earlier, name), getattr(self.server.answer, name)) for name in _COUNTERS):
            return msgspec.structs.replace(earlier, run_id="reset since")
        return earlier


def _shrank(before: int | None, now: int | None) -> bool:
    return before is not None and now is not None and now < before
