"""What INFO tells of a server's memory."""

from dataclasses import dataclass

from opscheck.core.units import Percentage, format_bytes
from opscheck.systems.redis.expectations.memory import RedisMemory
from opscheck.systems.redis.queries.info import ServerInfo
from opscheck.systems.redis.readings.servers import Server
from opscheck.systems.redis.readings.starting import loaded

_RAISED, _SUGGESTED = 1.25, 0.75
# For how long, or by how much, a server that evicts may be above its maxmemory: eviction works in small steps.
_EXCEEDED_MS, _EXCEEDED_SHARE = 10_000, 105.0


@dataclass(frozen=True)
class Room:
    """The memory that a server uses, and what it may use."""

    share: Percentage
    """Used of the limit."""
    kept: Percentage | None
    """The part of the limit that no eviction makes free; None where eviction makes room whatever is there."""
    stuck: bool
    """It evicts, and has been above its limit all the same."""
    limit: int
    detail: str


def room(server: Server[ServerInfo], expectation: RedisMemory) -> Room:
    """How full it is. Raises CouldNotObserve where the server does not say what that takes."""
    info = loaded(server)
    maxmemory = server.known(info.maxmemory, "maxmemory")
    if 0 < maxmemory <= (expectation.limit or maxmemory):
        return _below_maxmemory(server, info, maxmemory)
    limit = int(expectation.limit or server.known(info.total_system_memory, "total_system_memory"))
    # What the kernel counts, and not what the allocator gave away.
    used = max(server.known(info.used_memory, "used_memory"), info.used_memory_rss or 0)
    whose = "`limit`" if expectation.limit else "the memory of its machine"
    share = Percentage(100.0 * used / limit if limit else 100.0)
    return Room(share, share, stuck=False, limit=limit, detail=f"{_of(used, limit)}, {whose}")


def _below_maxmemory(server: Server[ServerInfo], info: ServerInfo, maxmemory: int) -> Room:
    # The buffers of replicas and of the append-only file do not count against maxmemory.
    used = max(0, server.known(info.used_memory, "used_memory") - (info.mem_not_counted_for_evict or 0))
    policy = server.known(info.maxmemory_policy, "maxmemory_policy")
    share = Percentage(100.0 * used / maxmemory)
    detail = f"{_of(used, maxmemory)}, {policy}"
    if policy.startswith("allkeys-"):
        return Room(share, None, stuck=_exceeds(info, share), limit=maxmemory, detail=detail)
    if policy.startswith("volatile-"):
        mortal, what = _mortal(server, info)
        kept = Percentage(share * (1 - mortal))
        stuck = mortal > 0 and _exceeds(info, share)
        return Room(share, kept, stuck=stuck, limit=maxmemory, detail=f"{detail}, {what}")
    return Room(share, share, stuck=False, limit=maxmemory, detail=detail)


def _mortal(server: Server[ServerInfo], info: ServerInfo) -> tuple[float, str]:
    """The part of the keys that can be evicted because they have a time to live."""
    databases = server.known(info.databases, "its keyspace")
    keys = sum(server.known(one.keys, f"keys of {one.name}") for one in databases)
    expires = sum(server.known(one.expires, f"expires of {one.name}") for one in databases)
    if not expires:
        return 0.0, "no key has a time to live, so none can be evicted"
    return min(1.0, expires / max(keys, 1)), f"{expires} of {keys} keys have a time to live and can be evicted"


def _exceeds(info: ServerInfo, share: Percentage) -> bool:
    if info.current_eviction_exceeded_time is not None:  # Redis 7
        return info.current_eviction_exceeded_time > _EXCEEDED_MS
    return share > _EXCEEDED_SHARE


def unbounded(server: Server[ServerInfo], expectation: RedisMemory) -> tuple[str, str] | None:
    """What is observed and expected where nothing keeps the server from using more than there is; None where it is."""
    maxmemory = server.known(server.answer.maxmemory, "maxmemory")
    if maxmemory == 0:
        return None if expectation.unlimited else ("maxmemory is not set: it grows until it is killed", "a maxmemory")
    if expectation.limit is not None and maxmemory > expectation.limit:
        seen = f"maxmemory is {format_bytes(maxmemory)}, and it is killed at {format_bytes(expectation.limit)}"
        return seen, f"a maxmemory of at most {format_bytes(expectation.limit)}"
    return None


@dataclass(frozen=True)
class Fragmentation:
    """Memory that a server holds and does not use."""

    ratio: float
    judged: bool
    """False where it is too little memory to say anything."""
    detail: str


def fragmentation(server: Server[ServerInfo], expectation: RedisMemory) -> Fragmentation:
    """How fragmented its memory is. Raises CouldNotObserve where the server does not say."""
    info = loaded(server)
    ratio = server.known(info.mem_fragmentation_ratio, "mem_fragmentation_ratio")
    used = server.known(info.used_memory, "used_memory")
    wasted = info.mem_fragmentation_bytes
    if wasted is None:  # before Redis 4
        wasted = server.known(info.used_memory_rss, "used_memory_rss") - used
    judged = wasted > expectation.fragmented_above
    return Fragmentation(ratio, judged, f"{format_bytes(wasted)} beside {format_bytes(used)} in use")


def swapped(server: Server[ServerInfo]) -> int:
    """How many of the bytes that it uses are not in memory; pages that were never touched count too."""
    info = loaded(server)
    rss = server.known(info.used_memory_rss, "used_memory_rss")
    return max(0, server.known(info.used_memory, "used_memory") - rss)


def raised(limit: int) -> str:
    """A quarter more."""
    return str(int(limit * _RAISED))


def suggested(server: Server[ServerInfo], expectation: RedisMemory) -> dict[str, str]:
    """The fact that names a maxmemory; empty where nobody knows what there is."""
    there = expectation.limit or server.answer.total_system_memory
    return {"suggested": str(int(there * _SUGGESTED))} if there else {}


def _of(used: int, limit: int) -> str:
    return f"{format_bytes(used)} of {format_bytes(limit)}"
