"""redis.memory: a Redis or Valkey server has memory for what is written."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from opscheck.core.field_types import ShareUsed
from opscheck.core.intervals import OverInterval
from opscheck.core.remedy import Former, Remedy
from opscheck.core.units import ByteSize, Count, Graded, Severity
from opscheck.systems.redis.info import OfInfo

FULL = Remedy(
    "Find what fills the memory, let it expire, or give the server more",
    "redis-cli -u {{ server }} info memory | grep -E '^(used_memory|maxmemory|mem_not_counted)'",
    "redis-cli -u {{ server }} --memkeys  # the largest keys; reads every key, in small steps",
    "redis-cli -u {{ server }} info keyspace  # keys, and how many of them ever expire",
    "redis-cli -u {{ server }} config set maxmemory {{ raised }}  # where the machine has it, and more to fork",
)
STUCK = Remedy(
    "Find what uses memory beside the keys, such as clients' buffers",
    "redis-cli -u {{ server }} memory stats  # what is not a key: clients' buffers, scripts, replicas",
    "redis-cli -u {{ server }} client list | grep -oE ' (addr|omem|tot-mem)=[^ ]+' | paste - - -",
)
UNLIMITED = Remedy(
    "Set a maxmemory below what the server can have, with room for what is not a key",
    "redis-cli -u {{ server }} config get maxmemory",
)
LIMIT = Remedy(
    UNLIMITED.summary,
    "redis-cli -u {{ server }} config set maxmemory {{ suggested }}  # and in its configuration file",
)
EVICTING = Remedy(
    "Find what fills the memory, let it expire sooner, or give the server more",
    "redis-cli -u {{ server }} info stats | grep -E '^(evicted|expired)_keys'",
    "redis-cli -u {{ server }} config get 'maxmemory*'",
)
LOSSY = Remedy(
    "Choose a policy that evicts no key that is needed",
    "redis-cli -u {{ server }} config get maxmemory-policy",
    "redis-cli -u {{ server }} config set maxmemory-policy noeviction  # when full it then refuses writes",
)
FRAGMENTED = Remedy(
    "Defragment the memory, or restart the server",
    "redis-cli -u {{ server }} memory doctor",
    "redis-cli -u {{ server }} config set activedefrag yes  # refused where it was built without jemalloc",
)
SWAPPING = Remedy(
    "Give the machine more memory, or the server less to hold",
    "redis-cli -u {{ server }} info memory | grep -E '^(used_memory_rss|used_memory|total_system_memory):'",
    "redis-cli -u {{ server }} info server | grep process_id  # then VmSwap in /proc/<pid>/status there",
)

Ratio = Annotated[float, Field(ge=1)]


class RedisMemory(OverInterval, OfInfo, check="redis.memory"):
    """
    Memory stays within its limit, and no needed key is evicted.

    What a full server does is its eviction policy's word. With `noeviction` it refuses writes, so `used` is held to
    `maxmemory`. With `allkeys-…` it is meant to be full, and makes room by evicting: judge `evicted`. With `volatile-…`
    it can evict keys that have a time to live and no others; how much memory they hold is estimated by their number. A
    server without `maxmemory` grows until the kernel kills it: that is found unless the policy says `unlimited`.
    """

    any_limit_of = ("used", "evicted", "fragmentation", "swapped")
    remedies = (FULL, STUCK, UNLIMITED, LIMIT, EVICTING, LOSSY, FRAGMENTED, SWAPPING)
    fact_names: ClassVar = {
        "server": "the server's URL without credentials",
        "raised": "a quarter more bytes than its maxmemory",
        "suggested": "three quarters of the bytes that it can have at all",
    }
    former_fact_names: ClassVar = {
        "full": Former("server", FULL),
        "stuck": Former("server", STUCK),
        "unlimited": Former("server", UNLIMITED),
        "evicting": Former("server", EVICTING),
        "lossy": Former("server", LOSSY),
        "fragmented": Former("server", FRAGMENTED),
        "swapping": Former("server", SWAPPING),
    }

    used: ShareUsed | None = None
    """How much may be used of `maxmemory`, or of `limit` where that is smaller, in percent."""
    limit: ByteSize | None = None
    """What the server can have at all, such as its container's memory limit; INFO does not know of it."""
    unlimited: bool = False
    """
    True accepts a server without `maxmemory`.

    `used` is then held to `limit`, else to the memory of its machine.
    """
    purpose: Literal["cache", "store"] | None = None
    """
    What the keys are. In a `store` every key is needed: no key may be evicted where `evicted` says nothing else, and
    a policy that may evict any key is found. In a `cache` evictions are held to `evicted` alone.
    """
    evicted: Graded[Count] | None = None
    """How many keys may be evicted in a minute, over the interval."""
    fragmentation: Graded[Ratio] | None = None
    """How many times the memory that it uses the server may hold."""
    fragmented_above: ByteSize = ByteSize(200_000_000)
    """Fragmentation of fewer bytes is not judged: of a small server's memory much is always its own."""
    swapped: Graded[ByteSize] | None = None
    """How much of the memory that it uses may not be in memory, but swapped out."""

    @property
    def eviction_limit(self) -> Graded[Count] | None:
        """What evictions are held to."""
        if self.evicted is None and self.purpose == "store":
            return Graded(steps=((self.ungraded_severity, 0),))
        return self.evicted

    @property
    def mild_severity(self) -> Severity:
        """How bad it is that nothing bounds the memory; what then happens is what the limits grade."""
        milder = [limit.steps[0][0] for limit in self.limits().values()]
        return self.severity or max(milder, default=Severity.P2)
