"""The expectation of `memcached.connections`."""

from typing import ClassVar

from opscheck import Expectation, Remedy, ShareUsed
from opscheck_memcached.stats import ReadStats
from opscheck_memcached.target import MemcachedTarget

FIND_CLIENTS = Remedy(
    "Find the client that opens too many connections; then fix its pool, or start memcached with a larger -c",
    "printf 'stats conns\\r\\nquit\\r\\n' | nc {{ host }} {{ port }} | grep addr",
)


class MemcachedConnections(Expectation, check="memcached.connections"):
    """Connections stay under the server's limit."""

    remedies: ClassVar = (FIND_CLIENTS,)

    target: MemcachedTarget
    used: ShareUsed
    """Share of the connection limit that is used. At 100% new clients wait until another one leaves."""

    def queries(self) -> list[ReadStats]:
        """The server's statistics."""
        return [ReadStats(self.target.name)]
