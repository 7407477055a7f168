"""redis.cache: lookups find their keys, and commands are fast."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Self

import msgspec
from pydantic import model_validator
from pydantic_core import PydanticCustomError

from opscheck.core.field_types import only, values
from opscheck.core.intervals import OverInterval
from opscheck.core.query import Query
from opscheck.core.remedy import Former, Remedy
from opscheck.core.units import Count, Duration, Graded, GradedMinimum, Percentage, PositiveCount, Timeout
from opscheck.systems.redis.info import OfInfo
from opscheck.systems.redis.servers import RedisQuery, Replies

LONGEST_LOG = 128
"""The number of entries that are read; by default a server keeps no more."""
SLOWER_THAN = "slowlog-log-slower-than"
"""The setting that says what the slow log is kept of."""


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

    command = "slowlog|get"

    def text(self) -> str:
        """As typed to the server."""
        return f"{super().text()} {LONGEST_LOG}"


class SlowerThan(msgspec.Struct, frozen=True, kw_only=True):
    """From how many microseconds on a command is written to the slow log; negative when none is."""

    microseconds: int


@dataclass(frozen=True)
class RedisSlowerThan(RedisQuery[Replies[SlowerThan]], name="redis.slower-than"):
    """Whether the slow log is kept at all, and of what. The command shows every other setting too."""

    command = "config|get"

    def text(self) -> str:
        """As typed to the server."""
        return f"{super().text()} {SLOWER_THAN}"


MISSED = Remedy(
    "See which keys are looked up in vain, and whether they expire or are evicted too soon",
    "redis-cli -u {{ server }} info stats | grep -E '^(keyspace_(hits|misses)|evicted_keys|expired_keys)'",
    "redis-cli -u {{ server }} info keyspace  # how many keys there are, and how long they live",
)
SLOW = Remedy(
    "Replace the commands that read whole collections",
    "redis-cli -u {{ server }} slowlog get 10  # shows arguments: keys, values, perhaps passwords",
    "redis-cli -u {{ server }} command info {{ slowest }}",
    "redis-cli -u {{ server }} --bigkeys  # reads every key, in small steps",
)
UNLOGGED = Remedy(
    "Have the slow log hold every command that takes too long",
    "redis-cli -u {{ server }} config set slowlog-log-slower-than {{ threshold }}",
)

_ALL = 100.0
_WITHIN_THE_LOG = only(
    lambda limit: max(values(limit)) < LONGEST_LOG,
    "limit_unreachable",
    f"fewer than {LONGEST_LOG}: no more entries of the slow log are read",
)
_BETWEEN = only(
    lambda limit: all(0 < value <= _ALL for value in values(limit)),
    "limit_unreachable",
    "more than 0%, and at most 100%",
)


class RedisCache(OverInterval, OfInfo, check="redis.cache"):
    """
    The hit ratio and the slow log are within their limits.

    The share of lookups that find their key is taken over the interval, and only where there were enough: counted from
    the start it hides what happens now. Slow commands are those in the slow log; their arguments are never read out.
    """

    any_limit_of = ("hits", "slow_commands", "slower_than")
    remedies = (MISSED, SLOW, UNLOGGED)
    fact_names: ClassVar = {
        "server": "the server's URL without credentials",
        "slowest": "the name of the command that took longest",
        "threshold": "how many microseconds a command may take before the log must hold it",
    }
    former_fact_names: ClassVar = {
        "missing": Former("server", MISSED),
        "slow": Former("server", SLOW),
        "unlogged": Former("server", UNLOGGED),
    }

    hits: Annotated[GradedMinimum[Percentage], _BETWEEN] | None = None
    """How many of the lookups must find their key, in percent, over the interval."""
    lookups: PositiveCount = 1000
    """Over fewer lookups `hits` is not judged; they are measured all the same."""
    slow_commands: Annotated[Graded[Count], _WITHIN_THE_LOG] | None = None
    """How many commands of the last `within` may stand in the slow log."""
    within: Timeout = Duration(300)
    """How far back slow commands count."""
    slower_than: Duration | None = None
    """
    What the slow log must hold: every command that takes longer than this.

    A log that is off, or kept of slower commands only, is then found; without this it looks like a fast server. Asks
    CONFIG GET, a right that shows every setting, passwords among them.
    """

    @property
    def slow_log(self) -> RedisSlowLog:
        """The query for the slow log."""
        return self.query(RedisSlowLog)

    @property
    def logged(self) -> RedisSlowerThan:
        """The query for the threshold of the slow log."""
        return self.query(RedisSlowerThan)

    def queries(self) -> Iterable[Query[Any]]:
        """INFO, and of the others those whose answers are judged."""
        yield self.info
        if self.slow_commands is not None:
            yield self.slow_log
        if self.slower_than is not None:
            yield self.logged

    @model_validator(mode="after")
    def _severity_where_there_is_no_grade(self) -> Self:
        if self.slower_than is not None and self.severity is None:
            raise PydanticCustomError("severity_missing", "`severity` beside `slower_than`, which has no grades")
        return self
