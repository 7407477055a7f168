"""INFO: its fields, its query, the base of its expectations, and the growth of its counters."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec

from opscheck.core.findings import Observe
from opscheck.core.intervals import Interval, OverInterval, interval
from opscheck.core.observation import Observation, Sample
from opscheck.core.query import Identity, Query
from opscheck.systems.redis.servers import STATES, OfServers, RedisQuery, Refusal, Replies, Server

_COUNTERS = (
    "total_commands_processed",
    "rejected_connections",
    "expired_keys",
    "evicted_keys",
    "keyspace_hits",
    "keyspace_misses",
)


class Replica(msgspec.Struct, frozen=True, kw_only=True):
    """A replica, as its primary reports it."""

    address: str
    """Its announced host:port."""
    state: str | None = None
    """`online`, or a step of its first synchronisation: wait_bgsave, send_bulk."""
    offset: int | None = None
    """The replication offset that it acknowledged, in bytes."""
    lag: int | None = None
    """Seconds since its last acknowledgement."""


class Database(msgspec.Struct, frozen=True, kw_only=True):
    """One numbered database that has keys."""

    name: str
    keys: int | None = None
    expires: int | None = None
    """Number of its keys with a TTL."""


class ServerInfo(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """
    The fields of INFO, under their own names.

    A field is None where the server does not report it: it is too old, a managed service hides it, or its
    value cannot be parsed.
    """

    redis_version: str | None = None
    server_name: str | None = None
    valkey_version: str | None = None
    run_id: str | None = None
    server_time_usec: int | None = None
    uptime_in_seconds: int | None = None

    connected_clients: int | None = None
    cluster_connections: int | None = None
    maxclients: int | None = None
    blocked_clients: int | None = None

    used_memory: int | None = None
    used_memory_rss: int | None = None
    total_system_memory: int | None = None
    maxmemory: int | None = None
    maxmemory_policy: str | None = None
    mem_fragmentation_ratio: float | None = None
    mem_fragmentation_bytes: int | None = None
    mem_not_counted_for_evict: int | None = None

    loading: bool | None = None
    async_loading: bool | None = None
    rdb_changes_since_last_save: int | None = None
    rdb_last_save_time: int | None = None
    rdb_last_bgsave_status: str | None = None
    rdb_saves: int | None = None
    aof_enabled: bool | None = None
    aof_last_bgrewrite_status: str | None = None
    aof_last_write_status: str | None = None

    total_commands_processed: int | None = None
    rejected_connections: int | None = None
    expired_keys: int | None = None
    evicted_keys: int | None = None
    keyspace_hits: int | None = None
    keyspace_misses: int | None = None
    current_eviction_exceeded_time: int | None = None

    role: str | None = None
    connected_slaves: int | None = None
    replicas: tuple[Replica, ...] = ()
    master_host: str | None = None
    master_port: int | None = None
    master_link_status: str | None = None
    master_last_io_seconds_ago: int | None = None
    master_sync_in_progress: bool | None = None
    master_link_down_since_seconds: int | None = None
    master_replid: str | None = None
    master_repl_offset: int | None = None

    cluster_enabled: bool | None = None
    databases: tuple[Database, ...] | None = None
    """Empty where no database has a key; None where the server does not report it."""

    @property
    def product(self) -> str:
        """
        Product and version; empty where it does not report them.

        Valkey reports `redis_version` 7.2.4 too, for older clients.
        """
        if self.valkey_version is not None:
            return f"Valkey {self.valkey_version}"
        if self.redis_version is None:
            return ""
        other = self.server_name if self.server_name not in {None, "redis"} else None
        return f"{other}, compatible with Redis {self.redis_version}" if other else f"Redis {self.redis_version}"

    @property
    def is_primary(self) -> bool | None:
        """True for a primary, False for a replica; None where it does not report its role."""
        return {"master": True, "slave": False, "primary": True, "replica": False}.get(self.role or "")

    @property
    def epoch(self) -> str:
        """Its run: counters are reset when it starts."""
        return self.run_id or ""

    @property
    def server_time(self) -> datetime | None:
        """Its own clock; None before Redis 6.2."""
        return None if self.server_time_usec is None else moment(self.server_time_usec / 1e6)

    @property
    def counting_since(self) -> datetime | None:
        """The time of its start, by its own clock."""
        if self.server_time is None or self.uptime_in_seconds is None:
            return None
        return moment(self.server_time.timestamp() - self.uptime_in_seconds)


@dataclass(frozen=True)
class RedisInfo(RedisQuery[Replies[ServerInfo]], name="redis.info", remembered=True):
    """
    INFO, once on a new connection, for all expectations that are judged by it.

    It contains the limits too, so that CONFIG GET is not needed.
    """

    command = "info"


@dataclass(frozen=True)
class RedisIdentity(RedisQuery[Identity], name="redis.identity"):
    """Product, version and role. Sent with queries that need INFO too."""

    command = "info"

    def text(self) -> str:
        """For people."""
        return "read product, version and role"


class OfInfo(OfServers):
    """Base of expectations that are judged by INFO."""

    @property
    def info(self) -> RedisInfo:
        """The query that they share."""
        return self.query(RedisInfo)

    def queries(self) -> Iterable[Query[Any]]:
        """The queries it is judged by."""
        yield self.info

    def evidence_queries(self) -> Iterable[Query[Any]]:
        """Product, version and role, for the report."""
        yield self.query(RedisIdentity)


def moment(seconds: float) -> datetime | None:
    """A time in seconds since 1970; None for a number that is not a time."""
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, OSError, ValueError):
        return None


def loaded(server: Server[ServerInfo]) -> ServerInfo:
    """INFO of a server with its data set. Raises CouldNotObserve while it loads."""
    info = server.answer
    if info.loading or info.async_loading:
        state = STATES[Refusal.LOADING]
        text = f"{server.reply.node}: {state.observed}, so its numbers are not meaningful yet"
        raise server.unknown(text, state.meaning)
    return info


def interval_of(server: Server[ServerInfo], expectation: OverInterval, observe: Observe) -> Interval[ServerInfo]:
    """The server's INFO now and in an earlier run. Raises CouldNotObserve as `interval` does."""
    return interval(expectation, server.query, _OneServer(server, observe))  # type: ignore[arg-type]  # its part of it


def growth(server: Server[ServerInfo], over: Interval[ServerInfo], name: str) -> int:
    """The growth of a counter. Raises CouldNotObserve where the server does not report it, or did not before."""
    now = server.known(getattr(over.now, name), name)
    before = 0 if over.earlier is None else server.known(getattr(over.earlier, name), name)
    return int(now - before)


def per_minute(server: Server[ServerInfo], over: Interval[ServerInfo], name: str) -> float:
    """The growth of a counter per minute. Raises CouldNotObserve where the server does not report it."""
    # The uptime by the server's own clock, which may differ from ours.
    lifetime = over.seconds if over.earlier else server.known(over.now.uptime_in_seconds, "uptime_in_seconds")
    return growth(server, over, name) * 60 / max(1.0, lifetime or 0.0)


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
        """CONFIG RESETSTAT resets the counters without a restart: a counter is then smaller than before."""
        counters = ((getattr(earlier, name), getattr(self.server.answer, name)) for name in _COUNTERS)
        if any(before is not None and now is not None and now < before for before, now in counters):
            return msgspec.structs.replace(earlier, run_id="reset since")
        return earlier
