"""The one query of all checks: a server's statistics."""

from dataclasses import dataclass

import msgspec

from opscheck import Permission, Query


class Stats(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to `stats`."""

    version: str
    started: int
    """When the server started, in seconds of Unix time."""
    used: int
    """Bytes used by items."""
    limit: int
    """Maximum number of bytes for items (`-m`)."""
    evictions: int
    """Number of evicted items that had not expired, since the server started."""
    connections: int
    max_connections: int
    """Maximum number of connections (`-c`)."""

    @property
    def epoch(self) -> str:
        """Counters compare between two answers of one start of the server."""
        return str(self.started)


@dataclass(frozen=True)
class Login(Permission):
    """A user in the server's authentication file; without such a file every client may read statistics."""

    user: str = "opscheck"

    @property
    def risk(self) -> str:
        """Memcached has users, but no privileges."""
        return "a user of memcached may read and write every item"


@dataclass(frozen=True)
class ReadStats(Query[Stats], name="memcached.stats", remembered=True):
    """A server's statistics. Answers are kept from run to run, because evictions are a counter."""

    def permissions(self) -> tuple[Permission, ...]:
        """A user, where the server has an authentication file."""
        return (Login(),)

    def text(self) -> str:
        """The query as `explain` shows it."""
        return "stats"
