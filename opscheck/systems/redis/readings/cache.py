"""What the counters and the slow log tell of how a server serves."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from opscheck.core.findings import Observe
from opscheck.core.intervals import Interval
from opscheck.core.units import Percentage, format_duration
from opscheck.systems.redis.expectations.cache import RedisCache
from opscheck.systems.redis.queries.info import ServerInfo
from opscheck.systems.redis.queries.slowlog import SlowCommand, SlowerThan, SlowLog
from opscheck.systems.redis.readings.counting import growth
from opscheck.systems.redis.readings.servers import Server

_MILLION = 1_000_000
_SHOWN = 5


@dataclass(frozen=True)
class Lookups:
    """What was looked up over an interval."""

    hits: int
    misses: int
    text: str
    """The interval, in words."""

    @property
    def all(self) -> int:
        """Hits and misses."""
        return self.hits + self.misses

    @property
    def share(self) -> Percentage:
        """The share of hits; of no lookups, all."""
        return Percentage(100.0 * self.hits / self.all if self.all else 100.0)

    @property
    def detail(self) -> str:
        """What the share is made of."""
        return f"{self.hits} of {self.all} lookups {self.text}"


def lookups(server: Server[ServerInfo], over: Interval[ServerInfo]) -> Lookups:
    """What was looked up. Raises CouldNotObserve where the server does not count it."""
    return Lookups(growth(server, over, "keyspace_hits"), growth(server, over, "keyspace_misses"), over.text)


@dataclass(frozen=True)
class Slowness:
    """The commands of the slow log that count."""

    commands: Sequence[SlowCommand]

    @property
    def since(self) -> datetime | None:
        """When the first of them ran, by the server's clock."""
        return datetime.fromtimestamp(min(one.at for one in self.commands), UTC) if self.commands else None

    @property
    def slowest(self) -> SlowCommand | None:
        """The one that took longest."""
        return max(self.commands, key=lambda one: one.microseconds, default=None)

    @property
    def evidence(self) -> list[str]:
        """The commands that were slow most often, a line each, without arguments."""
        most = Counter(one.command for one in self.commands).most_common(_SHOWN)
        return [f"{name} {count} times, at most {_longest(name, self.commands)}" for name, count in most]


def slowness(answer: SlowLog, expectation: RedisCache, clock: datetime) -> Slowness:
    """What stands in the log of the time that counts."""
    first = clock.timestamp() - float(expectation.within)
    return Slowness([one for one in answer.commands if one.at >= first])


def clock_of(node: str, expectation: RedisCache, observe: Observe) -> datetime:
    """The server's own clock, which its slow log goes by; ours where INFO does not tell it."""
    said = next((reply.answer for reply in observe(expectation.info).nodes if reply.node == node), None)
    return (said.server_time if said else None) or observe.now


def unlogged(answer: SlowerThan, slower_than: float) -> str | None:
    """What is wrong with what the slow log is kept of; None when it holds what it should."""
    if answer.microseconds < 0:
        return "the slow log is off"
    if answer.microseconds > slower_than * _MILLION:
        return f"the slow log holds what takes longer than {format_duration(answer.microseconds / _MILLION)}"
    return None


def _longest(name: str, commands: Iterable[SlowCommand]) -> str:
    return format_duration(max(one.microseconds for one in commands if one.command == name) / _MILLION)
