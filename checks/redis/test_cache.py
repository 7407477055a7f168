"""The hit ratio and the slow log of Redis and Valkey servers."""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import partial

from opscheck import Findings, Observe
from opscheck.core.findings import judge_all
from opscheck.core.units import Percentage, format_duration
from opscheck.core.words import counted
from opscheck.systems.redis.cache import MISSED, SLOW, UNLOGGED, RedisCache, SlowCommand, SlowerThan, SlowLog
from opscheck.systems.redis.info import ServerInfo, growth, interval_of, per_minute
from opscheck.systems.redis.servers import Server, each_server

_MILLION = 1_000_000
_SHOWN = 5


def test_lookups_find_their_keys_and_are_fast(expectation: RedisCache, observe: Observe, findings: Findings) -> None:
    """
    The hit ratio and the slow log are within their limits.

    Cache misses move the load to the database. One slow command blocks all others, because the server runs one at a
    time.
    """
    judge_log = partial(_judge_log, expectation)
    judge_slow = partial(_judge_slow, expectation, observe)
    judge_hits = partial(_judge_hits, expectation, observe)
    steps = []
    if expectation.slower_than is not None:
        steps.append(lambda: each_server(expectation, expectation.logged, observe, findings, judge_log))
    if expectation.slow_commands is not None:
        steps.append(lambda: each_server(expectation, expectation.slow_log, observe, findings, judge_slow))
    if expectation.hits is not None:
        steps.append(lambda: each_server(expectation, expectation.info, observe, findings, judge_hits))
    judge_all(*steps)


def _judge_log(expectation: RedisCache, server: Server[SlowerThan], findings: Findings) -> None:
    """Judge the threshold of the slow log: with the log off, a server looks fast."""
    wanted, logged = float(expectation.slower_than or 0), server.answer.microseconds
    if logged < 0:
        observed = "slow log is off"
    elif logged > wanted * _MILLION:
        observed = f"slow log records only commands over {format_duration(logged / _MILLION)}"
    else:
        return
    findings.add(
        observed=observed,
        expected=f"every command over {format_duration(wanted)}",
        remedies=[UNLOGGED],
        facts={"threshold": int(wanted * _MILLION)},
    )


def _judge_slow(expectation: RedisCache, observe: Observe, server: Server[SlowLog], findings: Findings) -> None:
    first = _clock_of(server.reply.node, expectation, observe).timestamp() - float(expectation.within)
    slow = [one for one in server.answer.commands if one.at >= first]
    slowest = max(slow, key=lambda one: one.microseconds, default=None)
    findings.grade(
        "slow commands",
        len(slow),
        expectation.slow_commands,
        detail=f"in the last {format_duration(expectation.within)}",
        since=datetime.fromtimestamp(min(one.at for one in slow), UTC) if slow else None,
        evidence=_most_often(slow),
        remedies=[SLOW],
        facts={"slowest": slowest.command.lower()} if slowest else {},
    )


def _clock_of(node: str, expectation: RedisCache, observe: Observe) -> datetime:
    """The server's own clock, which its slow log uses; ours where INFO does not contain it."""
    info = next((reply.answer for reply in observe(expectation.info).nodes if reply.node == node), None)
    return (info.server_time if info else None) or observe.now


def _most_often(slow: Sequence[SlowCommand]) -> Iterator[str]:
    """The most frequent slow commands, a line each, without arguments."""
    for name, count in Counter(one.command for one in slow).most_common(_SHOWN):
        longest = max(one.microseconds for one in slow if one.command == name)
        yield f"{name}: {counted(count, 'time')}, at most {format_duration(longest / _MILLION)}"


def _judge_hits(expectation: RedisCache, observe: Observe, server: Server[ServerInfo], findings: Findings) -> None:
    over = interval_of(server, expectation, observe)
    hits = growth(server, over, "keyspace_hits")
    lookups = hits + growth(server, over, "keyspace_misses")
    findings.measure("lookups", lookups)
    findings.measure("keys expired per minute", per_minute(server, over, "expired_keys"))
    findings.measure("keys evicted per minute", per_minute(server, over, "evicted_keys"))
    if lookups >= expectation.lookups:
        detail = f"{hits} of {lookups} lookups {over.text}"
        findings.grade("hits", Percentage(100.0 * hits / lookups), expectation.hits, detail=detail, remedies=[MISSED])
