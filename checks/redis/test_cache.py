"""How well and how fast Redis and Valkey servers serve."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from opscheck import Findings, Observe
from opscheck.core.findings import judge_all
from opscheck.core.intervals import Interval
from opscheck.core.units import Percentage, format_duration
from opscheck.systems.redis.cache import MISSED, SLOW, UNLOGGED, RedisCache, SlowCommand, SlowerThan, SlowLog
from opscheck.systems.redis.info import ServerInfo
from opscheck.systems.redis.rates import counted, growth, per_minute
from opscheck.systems.redis.servers import Server, each_server

_MILLION = 1_000_000
_SHOWN = 5


def test_lookups_find_their_keys_and_are_fast(expectation: RedisCache, observe: Observe, findings: Findings) -> None:
    """
    What is looked up is found, and commands are fast.

    A cache that is missed sends its load on to the database behind it. One slow command holds up all others, as a
    server runs one at a time.
    """

    def judge_log(server: Server[SlowerThan]) -> None:
        _judge_log(expectation, server, findings)

    def judge_slow(server: Server[SlowLog]) -> None:
        _judge_slow(expectation, server, observe, findings)

    def judge_hits(server: Server[ServerInfo]) -> None:
        _judge_hits(expectation, server, observe, findings)

    steps = []
    if expectation.slower_than is not None:
        steps.append(lambda: each_server(expectation, expectation.logged, observe, judge_log))
    if expectation.slow_commands is not None:
        steps.append(lambda: each_server(expectation, expectation.slow_log, observe, judge_slow))
    if expectation.hits is not None:
        steps.append(lambda: each_server(expectation, expectation.info, observe, judge_hits))
    judge_all(*steps)


def _judge_log(expectation: RedisCache, server: Server[SlowerThan], findings: Findings) -> None:
    wanted = float(expectation.slower_than or 0)
    fault = unlogged(server.answer, wanted)
    if fault is not None:
        findings.add(
            subject=server.address,
            observed=fault,
            expected=f"every command that takes longer than {format_duration(wanted)}",
            remedies=[UNLOGGED],
            facts={"server": server.address, "threshold": int(wanted * _MILLION)},
        )


def _judge_slow(expectation: RedisCache, server: Server[SlowLog], observe: Observe, findings: Findings) -> None:
    slow = slowness(server.answer, expectation, clock_of(server.reply.node, expectation, observe))
    named = {"slowest": slow.slowest.command.lower()} if slow.slowest else {}
    findings.grade(
        "slow commands",
        len(slow.commands),
        expectation.slow_commands,
        subject=server.address,
        detail=f"in the last {format_duration(expectation.within)}",
        since=slow.since,
        evidence=slow.evidence,
        remedies=[SLOW],
        facts={"server": server.address} | named,
    )


def _judge_hits(expectation: RedisCache, server: Server[ServerInfo], observe: Observe, findings: Findings) -> None:
    over = counted(server, expectation, observe)
    looked_up = lookups(server, over)
    findings.measure("lookups", looked_up.all, subject=server.address)
    for name, counter in (("keys expired per minute", "expired_keys"), ("keys evicted per minute", "evicted_keys")):
        findings.measure(name, per_minute(server, over, counter), subject=server.address)
    if looked_up.all >= expectation.lookups:
        findings.grade(
            "hits",
            looked_up.share,
            expectation.hits,
            subject=server.address,
            detail=looked_up.detail,
            remedies=[MISSED],
            facts={"server": server.address},
        )


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
    """The server's own clock, which its slow log uses; ours where INFO does not contain it."""
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
