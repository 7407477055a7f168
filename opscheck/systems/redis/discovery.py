"""A first policy for Redis and Valkey servers."""

from collections.abc import Mapping
from statistics import median
from typing import TypeVar

from opscheck.core.discovery import (
    Discovery,
    DiscoveryInput,
    Look,
    Proposal,
    ProposedTarget,
    Value,
    headroom,
    not_read,
    variables,
)
from opscheck.core.observation import CouldNotObserve, Problem, ProblemKind
from opscheck.core.published import published
from opscheck.core.units import Severity, format_bytes, format_duration
from opscheck.core.words import counted, some
from opscheck.systems.redis.info import RedisInfo, ServerInfo
from opscheck.systems.redis.ping import PingAnswer, RedisPing
from opscheck.systems.redis.servers import STATES, RedisQuery, Replies, Reply

A = TypeVar("A")

SCHEMES = frozenset({"redis", "rediss"})
_IMAGES = frozenset({"redis", "redis-stack", "redis-stack-server", "valkey"})
_LATENCY_S = 0.05
# A server takes its start for its last save.
_STARTING_S = 2.0


def discover(given: DiscoveryInput, look: Look) -> Discovery:
    """The servers of variables such as REDIS_URL, and of a compose file."""
    found = (one for one in variables(given.environment) if one.scheme in SCHEMES)
    targets = [
        ProposedTarget(id=one.id, fields={"kind": "redis", "url": one.reference}, seen=f"found in {one.name}")
        for one in found
    ]
    services, unpublished = published(given, _IMAGES, (6379,), SCHEMES)
    targets += [one.target("redis", "url", f"redis://{one.address}") for one in services]
    proposed = [propose(target, look) for target in targets]
    return Discovery.together([*proposed, Discovery(not_seen=tuple(unpublished))])


def propose(target: ProposedTarget, look: Look) -> Discovery:
    """Propose expectations of one server, by its own reports."""
    ping, info = RedisPing(target.id), RedisInfo(target.id)
    observe = look(target, (ping, info))
    not_seen = []
    try:
        said = _of_one(info, observe(info)).answer
    except CouldNotObserve as error:
        not_seen.append(not_read(target.id, "INFO", error))
        said = None
    try:
        answered = _of_one(ping, observe(ping)).answer
    except CouldNotObserve as error:
        not_seen.append(not_read(target.id, "PING", error))
        answered = None
    proposals = [_ping(target.id, answered), _clients(target.id, said), _memory(target.id, said)]
    if said is not None:
        proposals += [*_persistence(target.id, said, not_seen), *_replication(target.id, said)]
    return Discovery(targets=(target,), proposals=tuple(proposals), not_seen=tuple(not_seen))


def _of_one(query: RedisQuery[Replies[A]], replies: Replies[A]) -> Reply[A]:
    """The first reply. Raises CouldNotObserve where the server refused, or did not answer."""
    reply = replies.nodes[0]
    if reply.problem is not None:
        raise CouldNotObserve(query, reply.problem)
    if reply.refusal is not None:
        text = f"{STATES[reply.refusal].observed} ({reply.error})"
        raise CouldNotObserve(query, Problem(kind=ProblemKind.UNSUPPORTED, text=text))
    return reply


def _ping(target: str, answer: PingAnswer | None) -> Proposal:
    seen = median(answer.pings_s) if answer and answer.pings_s else 0.0
    slow = headroom(seen, _LATENCY_S)
    sample = f"PING took {format_duration(seen)} (one sample: look again in a week)" if seen else "PING: no answer"
    return Proposal(
        id=f"{target}-ping",
        check="redis.ping",
        target=target,
        fields={"latency": {"P2": format_duration(slow), "P1": format_duration(10 * slow)}},
        severity=Severity.P0,
        reason=f"{sample}; the limit is at least twice that, and {format_duration(_LATENCY_S)}.",
    )


def _clients(target: str, info: ServerInfo | None) -> Proposal:
    known = info is not None and info.connected_clients is not None and info.maxclients is not None
    seen = f"{info.connected_clients} of {info.maxclients} clients connected. " if info and known else ""
    return Proposal(
        id=f"{target}-clients",
        check="redis.clients",
        target=target,
        fields={"used": {"P2": "80%", "P0": "95%"}},
        reason=f"{seen}At 100% the server refuses new clients.",
    )


def _memory(target: str, info: ServerInfo | None) -> Proposal:
    """Used memory, except on a server that evicts any key: that one is meant to be full."""
    if info is not None and info.maxmemory and (info.maxmemory_policy or "").startswith("allkeys"):
        return Proposal(
            id=f"{target}-memory",
            check="redis.memory",
            target=target,
            fields={"swapped": {"P2": "200MB"}},
            reason=(
                f"maxmemory-policy is {info.maxmemory_policy}: full memory is normal for a cache. "
                "To limit evictions too, set `evicted` and run with --state."
            ),
        )
    return Proposal(
        id=f"{target}-memory",
        check="redis.memory",
        target=target,
        fields={"used": {"P2": "80%", "P0": "95%"}},
        reason=f"{_memory_seen(info)} At 100% the server refuses writes.",
    )


def _memory_seen(info: ServerInfo | None) -> str:
    if info is None or info.used_memory is None:
        return "Memory was not read."
    if not info.maxmemory:
        return (
            f"{format_bytes(info.used_memory)} in use and no maxmemory: set one, or write `unlimited: true` "
            "for the memory of the machine."
        )
    return f"{format_bytes(info.used_memory)} of {format_bytes(info.maxmemory)} in use."


def _persistence(target: str, info: ServerInfo, not_seen: list[str]) -> list[Proposal]:
    """Persistence, as far as the server shows that it has any."""
    fields: Mapping[str, Value]
    if info.aof_enabled:
        fields, seen = {"by": "append-only"}, "The append-only file is on; a write to it that fails loses data."
    elif _has_saved(info):
        # Redis saves a single change after an hour.
        fields = {"age": {"P2": "2h", "P1": "24h"}}
        seen = "Snapshots keep the data; Redis saves a single change after an hour."
    else:
        not_seen.append(
            f"{target}: persistence not proposed: it has not saved since its start; add redis.persistence "
            "where its data must survive a restart"
        )
        return []
    return [
        Proposal(
            id=f"{target}-persistence",
            check="redis.persistence",
            target=target,
            fields=fields,
            severity=Severity.P1,
            reason=seen,
        )
    ]


def _has_saved(info: ServerInfo) -> bool:
    if info.rdb_saves:
        return True
    if info.rdb_last_save_time is None or info.counting_since is None:
        return False
    return info.rdb_last_save_time > info.counting_since.timestamp() + _STARTING_S


def _replication(target: str, info: ServerInfo) -> list[Proposal]:
    """The role that it has, and the replicas that it has; nothing of a server alone."""
    fields: Mapping[str, Value]
    lag = {"P2": "10s", "P1": "1m"}
    online = sorted(one.address for one in info.replicas if one.state == "online")
    if info.cluster_enabled:
        fields, seen = {"cluster": True}, "The server is a node of a cluster; a cluster that lacks a slot is down."
    elif info.is_primary is False:
        fields, seen = {"role": "replica", "lag": lag}, "The server is a replica."
    elif online:
        least = {"P1": 1} if len(online) == 1 else {"P2": len(online), "P1": 1}
        fields = {"role": "primary", "replicas": least, "lag": lag}
        seen = f"The server is a primary with {counted(len(online), 'replica')} online: {some(online)}."
    else:
        return []
    return [
        Proposal(
            id=f"{target}-replication",
            check="redis.replication",
            target=target,
            fields=fields,
            severity=Severity.P1,
            reason=seen,
        )
    ]
