"""How well and how fast Redis and Valkey servers serve."""

from opscheck import Findings, Observe
from opscheck.core.units import format_duration
from opscheck.systems.redis.expectations.cache import RedisCache
from opscheck.systems.redis.queries.info import ServerInfo
from opscheck.systems.redis.queries.slowlog import SlowerThan, SlowLog
from opscheck.systems.redis.readings.cache import clock_of, lookups, slowness, unlogged
from opscheck.systems.redis.readings.counting import counted, per_minute
from opscheck.systems.redis.readings.servers import Server, each_server, run_each


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
    run_each(lambda step: step(), steps)


def _judge_log(expectation: RedisCache, server: Server[SlowerThan], findings: Findings) -> None:
    wanted = float(expectation.slower_than or 0)
    fault = unlogged(server.answer, wanted)
    if fault is not None:
        findings.add(
            subject=server.address,
            observed=fault,
            expected=f"every command that takes longer than {format_duration(wanted)}",
            facts={"unlogged": server.address, "threshold": str(int(wanted * 1_000_000))},
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
        facts={"slow": server.address} | named,
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
            facts={"missing": server.address},
        )
