"""The expectation of `memcached.memory`."""

from typing import ClassVar

from opscheck import Count, Graded, OverInterval, Remedy, ShareUsed
from opscheck_memcached.stats import ReadStats
from opscheck_memcached.target import MemcachedTarget

MORE_MEMORY = Remedy(
    "Find the kind of item that fills the cache; then store less of it, or start memcached with a larger -m",
    "printf 'stats items\\r\\nstats slabs\\r\\nquit\\r\\n' | nc {{ host }} {{ port }}",
)


class MemcachedMemory(OverInterval, check="memcached.memory"):
    """Items fit in memory: little of it is used, or few items are evicted."""

    any_limit_of: ClassVar = ("used", "evictions")
    remedies: ClassVar = (MORE_MEMORY,)

    target: MemcachedTarget
    used: ShareUsed | None = None
    """Share of the memory limit that items take. A cache that is meant to be full has no such limit."""
    evictions: Graded[Count] | None = None
    """Maximum number of items that are evicted between two runs; needs `--state`."""

    def queries(self) -> list[ReadStats]:
        """The server's statistics."""
        return [ReadStats(self.target.name)]
