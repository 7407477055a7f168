"""The memory of Redis and Valkey servers."""

from opscheck import Findings, Observe
from opscheck.systems.redis.expectations.memory import RedisMemory
from opscheck.systems.redis.queries.info import ServerInfo
from opscheck.systems.redis.readings.counting import Rate, counted, grade_rate
from opscheck.systems.redis.readings.memory import fragmentation, raised, room, suggested, swapped, unbounded
from opscheck.systems.redis.readings.servers import Server, each_server

_EVICTIONS = Rate(name="keys evicted per minute", counter="evicted_keys", fact="evicting")


def test_there_is_memory_for_what_is_written(expectation: RedisMemory, observe: Observe, findings: Findings) -> None:
    """
    There is memory for what is written, and nothing that is needed is thrown away.

    A full server refuses every write, or evicts keys that somebody still needs; one without a limit grows until the
    kernel kills it, and takes along what was not saved.
    """

    def judge(server: Server[ServerInfo]) -> None:
        _judge_bounds(expectation, server, findings)
        _judge_room(expectation, server, findings)
        _judge_waste(expectation, server, findings)
        if expectation.eviction_limit is not None:
            over = counted(server, expectation, observe)
            grade_rate(_EVICTIONS, expectation.eviction_limit, server, over, findings)

    each_server(expectation, expectation.info, observe, judge)


def _judge_bounds(expectation: RedisMemory, server: Server[ServerInfo], findings: Findings) -> None:
    fault = unbounded(server, expectation)
    if fault is not None:
        facts = {"unlimited": server.address} | suggested(server, expectation)
        severity = expectation.mild_severity
        findings.add(subject=server.address, observed=fault[0], expected=fault[1], severity=severity, facts=facts)
    policy = server.answer.maxmemory_policy or ""
    if expectation.purpose == "store" and policy.startswith("allkeys-"):
        findings.add(
            subject=server.address,
            observed=f"maxmemory-policy {policy} may evict any key",
            expected="noeviction, or volatile-…: in a store every key is needed",
            severity=expectation.mild_severity,
            facts={"lossy": server.address},
        )


def _judge_room(expectation: RedisMemory, server: Server[ServerInfo], findings: Findings) -> None:
    if expectation.used is None:
        return
    found = room(server, expectation)
    findings.measure("memory used", found.share, subject=server.address)
    if found.stuck:
        findings.add(
            subject=server.address,
            observed=f"memory used {found.share} ({found.detail}): evicting keys does not make room",
            expected="at most 100% once keys are evicted",
            severity=expectation.worst_severity,
            facts={"stuck": server.address},
        )
    elif found.kept is not None:
        facts = {"full": server.address, "raised": raised(found.limit)}
        findings.grade(
            "memory that stays in use",
            found.kept,
            expectation.used,
            subject=server.address,
            detail=found.detail,
            facts=facts,
        )


def _judge_waste(expectation: RedisMemory, server: Server[ServerInfo], findings: Findings) -> None:
    if expectation.fragmentation is not None:
        waste = fragmentation(server, expectation)
        findings.grade(
            "fragmentation",
            waste.ratio,
            expectation.fragmentation if waste.judged else None,
            subject=server.address,
            detail=waste.detail,
            facts={"fragmented": server.address},
        )
    if expectation.swapped is not None:
        findings.grade(
            "memory swapped out",
            swapped(server),
            expectation.swapped,
            subject=server.address,
            facts={"swapping": server.address},
        )
