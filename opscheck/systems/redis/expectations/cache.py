"""What can be expected of how well and how fast a Redis or Valkey server serves."""

from collections.abc import Iterable
from typing import Annotated, Any, ClassVar, Self

from pydantic import AfterValidator, model_validator
from pydantic_core import PydanticCustomError

from opscheck.core.expectation import Remediation
from opscheck.core.interval_expectation import OverInterval
from opscheck.core.limits import values
from opscheck.core.query import Query
from opscheck.core.units import Count, Duration, Graded, GradedMinimum, Percentage, PositiveCount, Timeout
from opscheck.systems.redis.expectations.base import OfInfo
from opscheck.systems.redis.queries.slowlog import LONGEST_LOG, RedisSlowerThan, RedisSlowLog

_ALL = 100.0


def _within_the_log(limit: Graded[Count]) -> Graded[Count]:
    if max(values(limit)) >= LONGEST_LOG:
        raise PydanticCustomError(
            "limit_unreachable", "fewer than {all}: no more entries of the slow log are read", {"all": LONGEST_LOG}
        )
    return limit


def _between(limit: GradedMinimum[Percentage]) -> GradedMinimum[Percentage]:
    if not all(0 < value <= _ALL for value in values(limit)):
        raise PydanticCustomError("limit_unreachable", "more than 0%, and at most 100%")
    return limit


class RedisCache(OverInterval, OfInfo, check="redis.cache"):
    """
    What is looked up is found, and commands are fast.

    The share of lookups that find their key is taken over the interval, and only where there were enough: counted from
    the start it hides what happens now. Slow commands are those in the slow log; their arguments are never read out.
    """

    any_limit_of = ("hits", "slow_commands", "slower_than")
    # One name for each state: a command that names a state is left out of findings about another one.
    fact_names: ClassVar = {
        "missing": "the server's URL, when too many lookups find nothing",
        "slow": "the server's URL, when commands were slow",
        "slowest": "the name of the command that took longest",
        "unlogged": "the server's URL, when its slow log does not hold what it should",
        "threshold": "how many microseconds a command may take before the log must hold it",
    }
    default_remediation = Remediation(
        summary="See which keys are asked for in vain, and replace commands that read whole collections",
        commands=(
            "redis-cli -u {{ missing }} info stats | grep -E '^(keyspace_(hits|misses)|evicted_keys|expired_keys)'",
            "redis-cli -u {{ missing }} info keyspace  # how many keys there are, and how long they live",
            "redis-cli -u {{ slow }} slowlog get 10  # shows arguments: keys, values, perhaps passwords",
            "redis-cli -u {{ slow }} command info {{ slowest }}",
            "redis-cli -u {{ slow }} --bigkeys  # reads every key, in small steps",
            "redis-cli -u {{ unlogged }} config set slowlog-log-slower-than {{ threshold }}",
        ),
    )

    hits: Annotated[GradedMinimum[Percentage], AfterValidator(_between)] | None = None
    """How many of the lookups must find their key, in percent, over the interval."""
    lookups: PositiveCount = 1000
    """Over fewer lookups `hits` is not judged; they are measured all the same."""
    slow_commands: Annotated[Graded[Count], AfterValidator(_within_the_log)] | None = None
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
        """The question which commands were slow."""
        return RedisSlowLog(self.target.name, finds=self.info.finds)

    @property
    def logged(self) -> RedisSlowerThan:
        """The question which commands are taken for slow."""
        return RedisSlowerThan(self.target.name, finds=self.info.finds)

    def looks_at(self) -> Iterable[Query[Any]]:
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
