"""The memory of Redis and Valkey servers."""

from opscheck import Findings, Observe
from opscheck.core.units import Percentage, format_bytes
from opscheck.systems.redis.info import ServerInfo, interval_of, loaded, per_minute
from opscheck.systems.redis.memory import (
    EVICTING,
    FRAGMENTED,
    FULL,
    LIMIT,
    LOSSY,
    STUCK,
    SWAPPING,
    UNLIMITED,
    RedisMemory,
)
from opscheck.systems.redis.servers import Server, each_server

_RAISED, _SUGGESTED = 1.25, 0.75
# Eviction works in small steps: a server may exceed its maxmemory for this time, or by this share.
_EXCEEDED_MS, _EXCEEDED_SHARE = 10_000, 105.0


def test_there_is_memory_for_what_is_written(expectation: RedisMemory, observe: Observe, findings: Findings) -> None:
    """
    Memory stays within its limit, and no needed key is evicted.

    A full server refuses writes, or evicts keys that are still needed. Without maxmemory it grows until the kernel
    kills it, and unsaved data is lost.
    """

    def judge(server: Server[ServerInfo], here: Findings) -> None:
        _judge_bounds(expectation, server, here)
        _judge_room(expectation, server, here)
        _judge_waste(expectation, server, here)
        if (limit := expectation.eviction_limit) is not None:
            over = interval_of(server, expectation, observe)
            rate = per_minute(server, over, "evicted_keys")
            here.grade("keys evicted per minute", rate, limit, detail=over.text, remedies=[EVICTING])

    each_server(expectation, expectation.info, observe, findings, judge)


def _judge_bounds(expectation: RedisMemory, server: Server[ServerInfo], findings: Findings) -> None:
    """Judge maxmemory against the memory limit, and the eviction policy against the purpose of the keys."""
    maxmemory, limit = server.known(server.answer.maxmemory, "maxmemory"), expectation.limit
    observed = expected = ""
    if maxmemory == 0 and not expectation.unlimited:
        observed, expected = "maxmemory is not set: the server grows until it is killed", "maxmemory is set"
    elif limit is not None and maxmemory > limit:
        observed = f"maxmemory {format_bytes(maxmemory)} is above the memory limit of {format_bytes(limit)}"
        expected = f"maxmemory <= {format_bytes(limit)}"
    severity, there = expectation.mild_severity, limit or server.answer.total_system_memory
    if observed:
        findings.add(
            observed=observed,
            expected=expected,
            severity=severity,
            remedies=[UNLIMITED, LIMIT] if there else [UNLIMITED],
            facts={"suggested": int(there * _SUGGESTED)} if there else {},
        )
    policy = server.answer.maxmemory_policy or ""
    if expectation.purpose == "store" and policy.startswith("allkeys-"):
        findings.add(
            observed=f"maxmemory-policy {policy} may evict any key",
            expected="noeviction or volatile-…, as a store needs every key",
            severity=severity,
            remedies=[LOSSY],
        )


def _judge_room(expectation: RedisMemory, server: Server[ServerInfo], findings: Findings) -> None:
    """Judge the used share. Raises CouldNotObserve where the server does not report the numbers."""
    if expectation.used is None:
        return
    info = loaded(server)
    maxmemory = server.known(info.maxmemory, "maxmemory")
    if 0 < maxmemory <= (expectation.limit or maxmemory):
        limit = maxmemory
        # The buffers of replicas and of the append-only file do not count against maxmemory.
        used = max(0, server.known(info.used_memory, "used_memory") - (info.mem_not_counted_for_evict or 0))
        policy = server.known(info.maxmemory_policy, "maxmemory_policy")
        evictable, what = _evictable(server, info, policy)
    else:
        limit = int(expectation.limit or server.known(info.total_system_memory, "total_system_memory"))
        # Resident memory: the kernel counts this, not the allocator's numbers.
        used = max(server.known(info.used_memory, "used_memory"), info.used_memory_rss or 0)
        policy, evictable = "", 0.0
        what = "`limit`" if expectation.limit else "memory of the machine"
    share = Percentage(100.0 * used / limit if limit else 100.0)
    detail = f"{format_bytes(used)} of {format_bytes(limit)}, {what}"
    findings.measure("memory used", share)
    if evictable > 0 and _exceeds(info, share):
        findings.add(
            observed=f"memory used {share} ({detail}): eviction frees no memory",
            expected="<= 100% after eviction",
            severity=expectation.worst_severity,
            remedies=[STUCK],
        )
    elif not policy.startswith("allkeys-"):
        findings.grade(
            "non-evictable memory",
            Percentage(share * (1 - evictable)),
            expectation.used,
            detail=detail,
            remedies=[FULL],
            facts={"raised": int(limit * _RAISED)},
        )


def _evictable(server: Server[ServerInfo], info: ServerInfo, policy: str) -> tuple[float, str]:
    """The share of the keys that the policy can evict, and a description."""
    if not policy.startswith("volatile-"):
        return float(policy.startswith("allkeys-")), policy
    databases = server.known(info.databases, "its keyspace")
    keys = sum(server.known(one.keys, f"keys of {one.name}") for one in databases)
    expires = sum(server.known(one.expires, f"expires of {one.name}") for one in databases)
    if not expires:
        return 0.0, f"{policy}, no key has a TTL, so none can be evicted"
    part = min(1.0, expires / max(keys, 1))
    return part, f"{policy}, {expires} of {keys} keys have a TTL and can be evicted"


def _exceeds(info: ServerInfo, share: Percentage) -> bool:
    if info.current_eviction_exceeded_time is not None:  # Redis 7
        return info.current_eviction_exceeded_time > _EXCEEDED_MS
    return share > _EXCEEDED_SHARE


def _judge_waste(expectation: RedisMemory, server: Server[ServerInfo], findings: Findings) -> None:
    if expectation.fragmentation is None and expectation.swapped is None:
        return
    info = loaded(server)
    if expectation.fragmentation is not None:
        ratio = server.known(info.mem_fragmentation_ratio, "mem_fragmentation_ratio")
        used = server.known(info.used_memory, "used_memory")
        wasted = info.mem_fragmentation_bytes
        if wasted is None:  # before Redis 4
            wasted = server.known(info.used_memory_rss, "used_memory_rss") - used
        # A ratio of few bytes means nothing.
        limit = expectation.fragmentation if wasted > expectation.fragmented_above else None
        detail = f"{format_bytes(wasted)} above {format_bytes(used)} in use"
        findings.grade("fragmentation", ratio, limit, detail=detail, remedies=[FRAGMENTED])
    if expectation.swapped is not None:
        rss = server.known(info.used_memory_rss, "used_memory_rss")
        # Pages that were never touched count as swapped out too.
        absent = max(0, server.known(info.used_memory, "used_memory") - rss)
        findings.grade("swapped memory", absent, expectation.swapped, remedies=[SWAPPING])
