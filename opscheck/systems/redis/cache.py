"""redis.cache: the hit ratio and the slow log."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Self

import msgspec
from pydantic import model_validator
from pydantic_core import PydanticCustomError

from opscheck.core.field_types import only, values
from opscheck.core.intervals import OverInterval
from opscheck.core.query import Query
from opscheck.core.remedy import Former
from opscheck.core.units import Count, Duration, Graded, GradedMinimum, Percentage, PositiveCount, Timeout
from opscheck.systems.redis.info import OfInfo
from opscheck.systems.redis.servers import PASSWORD, SERVER_FACTS, RedisQuery, Replies, redis_cli

LONGEST_LOG = 128
"""Maximum number of slow log entries read; by default a server keeps no more."""
SLOWER_THAN = "slowlog-log-slower-than"
"""The setting with the threshold of the slow log."""


class SlowCommand(msgspec.Struct, frozen=True, kw_only=True):
    """An entry of the slow log."""

    at: int
    """Its time by the server's clock, in seconds since 1970."""
    microseconds: int
    command: str
    """Its name only: arguments contain keys, values and passwords."""


class SlowLog(msgspec.Struct, frozen=True, kw_only=True):
    """The slow log, newest first."""

    commands: tuple[SlowCommand, ...]


@dataclass(frozen=True)
class RedisSlowLog(RedisQuery[Replies[SlowLog]], name="redis.slowlog"):
    """SLOWLOG GET; only the names of commands are kept."""

    command = "slowlog|get"

    def text(self) -> str:
        """The command as it is typed into redis-cli."""
        return f"{super().text()} {LONGEST_LOG}"


class SlowerThan(msgspec.Struct, frozen=True, kw_only=True):
    """The threshold of the slow log in microseconds; negative when the log is off."""

    microseconds: int


@dataclass(frozen=True)
class RedisSlowerThan(RedisQuery[Replies[SlowerThan]], name="redis.slower-than"):
    """The threshold of the slow log. CONFIG GET can read every other setting too."""

    command = "config|get"

    def text(self) -> str:
        """The command as it is typed into redis-cli."""
        return f"{super().text()} {SLOWER_THAN}"


MISSED = redis_cli(
    "Find out which lookups miss, and whether keys expire or are evicted too early",
    "info stats | grep -E '^(keyspace_(hits|misses)|evicted_keys|expired_keys)'",
    "info keyspace  # number of keys, and their average TTL",
)
SLOW = redis_cli(
    "Replace commands that read whole collections, such as KEYS",
    "slowlog get 10  # prints arguments: keys, values, perhaps passwords",
    "command info {{ slowest }}",
    "--bigkeys  # scans every key, in small steps",
)
UNLOGGED = redis_cli(
    "Set the slow log's threshold to the limit of the policy",
    "config set slowlog-log-slower-than {{ threshold }}",
)

_ALL = 100.0
_WITHIN_THE_LOG = only(
    lambda limit: max(values(limit)) < LONGEST_LOG,
    "limit_unreachable",
    f"fewer than {LONGEST_LOG}, the maximum number of slow log entries read",
)
_BETWEEN = only(
    lambda limit: all(0 < value <= _ALL for value in values(limit)),
    "limit_unreachable",
    "more than 0%, and at most 100%",
)


class RedisCache(OverInterval, OfInfo, check="redis.cache"):
    """
    The hit ratio and the slow log are within their limits.

    The hit ratio covers the lookups of the interval, and is judged only when there were enough of them. A ratio since
    the server's start would hide a recent drop. Slow commands are entries of the slow log; arguments are never kept.
    """

    any_limit_of = ("hits", "slow_commands", "slower_than")
    remedies = (PASSWORD, MISSED, SLOW, UNLOGGED)
    fact_names: ClassVar = {
        **SERVER_FACTS,
        "slowest": "the name of the slowest command",
        "threshold": "the threshold of the slow log that the policy expects, in microseconds",
    }
    former_fact_names: ClassVar = {
        "missing": Former("server", MISSED),
        "slow": Former("server", SLOW),
        "unlogged": Former("server", UNLOGGED),
    }

    hits: Annotated[GradedMinimum[Percentage], _BETWEEN] | None = None
    """Minimum hit ratio: percentage of lookups that find their key, over the interval."""
    lookups: PositiveCount = 1000
    """Minimum number of lookups for `hits` to be judged; fewer are only measured."""
    slow_commands: Annotated[Graded[Count], _WITHIN_THE_LOG] | None = None
    """Maximum number of slow log entries in the last `within`."""
    within: Timeout = Duration(300)
    """Length of the time in which slow commands count."""
    slower_than: Duration | None = None
    """
    Maximum threshold of the slow log: it must record every command that takes longer than this.

    Finds a log that is off or has a higher threshold; otherwise the server would look fast. Needs the permission for
    CONFIG GET, which can read every setting, including passwords.
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
        """INFO, and SLOWLOG GET and CONFIG GET where they are judged."""
        yield self.info
        if self.slow_commands is not None:
            yield self.slow_log
        if self.slower_than is not None:
            yield self.logged

    @model_validator(mode="after")
    def _severity_where_there_is_no_grade(self) -> Self:
        if self.slower_than is not None and self.severity is None:
            raise PydanticCustomError("severity_missing", "`severity` with `slower_than`, which has no grades")
        return self
