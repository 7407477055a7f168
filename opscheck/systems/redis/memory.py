"""redis.memory: the memory of a Redis or Valkey server."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from opscheck.core.field_types import ShareUsed
from opscheck.core.intervals import OverInterval
from opscheck.core.remedy import Former
from opscheck.core.units import ByteSize, Count, Graded, Severity
from opscheck.systems.redis.info import OfInfo
from opscheck.systems.redis.servers import PASSWORD, SERVER_FACTS, redis_cli

FULL = redis_cli(
    "Find the largest keys, give them a TTL, or raise maxmemory",
    "info memory | grep -E '^(used_memory|maxmemory|mem_not_counted)'",
    "--memkeys  # the largest keys; scans every key, in small steps",
    "info keyspace  # number of keys, and of keys with a TTL",
    "config set maxmemory {{ raised }}  # if the machine has it, plus memory for fork",
)
STUCK = redis_cli(
    "Find the memory that is not used by keys, such as client buffers",
    "memory stats  # memory outside keys: client buffers, scripts, replicas",
    "client list | grep -oE ' (addr|omem|tot-mem)=[^ ]+' | paste - - -",
)
UNLIMITED = redis_cli(
    "Set maxmemory below the memory limit, with room for client buffers and fork",
    "config get maxmemory",
)
LIMIT = redis_cli(
    UNLIMITED.summary,
    "config set maxmemory {{ suggested }}  # and in its configuration file",
)
EVICTING = redis_cli(
    "Find the largest keys, shorten their TTL, or raise maxmemory",
    "info stats | grep -E '^(evicted|expired)_keys'",
    "config get 'maxmemory*'",
)
LOSSY = redis_cli(
    "Choose an eviction policy that keeps the needed keys",
    "config get maxmemory-policy",
    "config set maxmemory-policy noeviction  # a full server then refuses writes",
)
FRAGMENTED = redis_cli(
    "Defragment the memory, or restart the server",
    "memory doctor",
    "config set activedefrag yes  # refused if built without jemalloc",
)
SWAPPING = redis_cli(
    "Give the machine more memory, or store less data",
    "info memory | grep -E '^(used_memory_rss|used_memory|total_system_memory):'",
    "info server | grep process_id  # then VmSwap in /proc/<pid>/status there",
)

Ratio = Annotated[float, Field(ge=1)]


class RedisMemory(OverInterval, OfInfo, check="redis.memory"):
    """
    Memory stays within its limit, and no needed key is evicted.

    The eviction policy decides the meaning of a full server. With `noeviction` it refuses writes, so `used` is compared
    with `maxmemory`. With `allkeys-…` it is meant to be full and evicts keys: limit `evicted`. With `volatile-…` it
    evicts only keys with a TTL; their share of the memory is estimated by their number. A server without `maxmemory`
    grows until the kernel kills it; this is a violation unless the policy sets `unlimited`.
    """

    any_limit_of = ("used", "evicted", "fragmentation", "swapped")
    remedies = (PASSWORD, FULL, STUCK, UNLIMITED, LIMIT, EVICTING, LOSSY, FRAGMENTED, SWAPPING)
    fact_names: ClassVar = {
        **SERVER_FACTS,
        "raised": "its maxmemory plus a quarter, in bytes",
        "suggested": "three quarters of its memory limit, in bytes",
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
    """Maximum used share of `maxmemory`, or of `limit` where that is smaller, in percent."""
    limit: ByteSize | None = None
    """The memory limit around the server, such as its container's; INFO does not report it."""
    unlimited: bool = False
    """
    True accepts a server without `maxmemory`.

    `used` is then compared with `limit`, else with the memory of its machine.
    """
    purpose: Literal["cache", "store"] | None = None
    """
    The purpose of the keys. In a `store` every key is needed: `evicted` is 0 by default, and an `allkeys-…` policy is a
    violation. In a `cache` only `evicted` limits evictions.
    """
    evicted: Graded[Count] | None = None
    """Maximum number of keys evicted per minute, over the interval."""
    fragmentation: Graded[Ratio] | None = None
    """Maximum fragmentation ratio: resident memory divided by used memory."""
    fragmented_above: ByteSize = ByteSize(200_000_000)
    """Fragmentation of fewer bytes is not judged: a small server has a high ratio by nature."""
    swapped: Graded[ByteSize] | None = None
    """Maximum amount of used memory that is swapped out."""

    @property
    def eviction_limit(self) -> Graded[Count] | None:
        """The limit of evictions."""
        if self.evicted is None and self.purpose == "store":
            return Graded(steps=((self.ungraded_severity, 0),))
        return self.evicted

    @property
    def mild_severity(self) -> Severity:
        """Severity of an unbounded memory: the lowest of the limits, which grade its consequences."""
        lowest = [limit.steps[0][0] for limit in self.limits().values()]
        return self.severity or max(lowest, default=Severity.P2)
