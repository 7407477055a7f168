"""The questions which commands were slow, and which a server takes for slow. Their arguments are never kept."""

from dataclasses import dataclass

import msgspec

from opscheck.systems.redis.queries.base import RedisQuery, Replies

LONGEST_LOG = 128
"""How many entries are asked for; by default a server keeps no more."""


class SlowCommand(msgspec.Struct, frozen=True, kw_only=True):
    """A command that took long."""

    at: int
    """When it ran: the server's clock, in seconds since 1970."""
    microseconds: int
    command: str
    """Its name alone: arguments hold keys, values and passwords."""


class SlowLog(msgspec.Struct, frozen=True, kw_only=True):
    """The slow log, newest first."""

    commands: tuple[SlowCommand, ...]


@dataclass(frozen=True)
class RedisSlowLog(RedisQuery[Replies[SlowLog]], name="redis.slowlog"):
    """SLOWLOG GET, of which the names of commands are kept."""

    def commands(self) -> tuple[str, ...]:
        """SLOWLOG GET, and no RESET."""
        return ("slowlog|get",)

    def text(self) -> str:
        """As typed to the server."""
        return f"SLOWLOG GET {LONGEST_LOG}"


class SlowerThan(msgspec.Struct, frozen=True, kw_only=True):
    """From how many microseconds on a command is written to the slow log; negative when none is."""

    microseconds: int


@dataclass(frozen=True)
class RedisSlowerThan(RedisQuery[Replies[SlowerThan]], name="redis.slower-than"):
    """Whether the slow log is kept at all, and of what."""

    def commands(self) -> tuple[str, ...]:
        """CONFIG GET, which shows every other setting too."""
        return ("config|get",)

    def text(self) -> str:
        """As typed to the server."""
        return "CONFIG GET slowlog-log-slower-than"
