"""The clients of Redis and Valkey servers."""

from opscheck import Findings, Observe
from opscheck.systems.redis.expectations.clients import RedisClients
from opscheck.systems.redis.queries.base import Refusal
from opscheck.systems.redis.queries.info import ServerInfo
from opscheck.systems.redis.readings.clients import places
from opscheck.systems.redis.readings.counting import Rate, counted, grade_rate
from opscheck.systems.redis.readings.servers import Server, each_server

_REJECTIONS = Rate(name="clients turned away per minute", counter="rejected_connections", fact="rejecting")


def test_clients_can_connect(expectation: RedisClients, observe: Observe, findings: Findings) -> None:
    """
    Clients can still connect, and none was turned away.

    At its limit the server refuses every new connection, and with it each request that needs one. An application that
    leaks connections takes all others down with it.
    """

    def judge(server: Server[ServerInfo]) -> None:
        if server.reply.refusal is Refusal.MAX_CLIENTS:
            findings.add(
                subject=server.address,
                observed=f"refused: {server.reply.error}",
                expected="a place for one more client",
                severity=expectation.worst_severity,
                facts={"max_clients": server.address},
            )
            return
        _judge_places(expectation, server, findings)
        _judge_blocked(expectation, server, findings)
        if expectation.rejected is not None:
            grade_rate(_REJECTIONS, expectation.rejected, server, counted(server, expectation, observe), findings)

    each_server(expectation, expectation.info, observe, judge)


def _judge_places(expectation: RedisClients, server: Server[ServerInfo], findings: Findings) -> None:
    if expectation.used is None and expectation.free is None:
        return
    taken = places(server)
    facts = {"full": server.address}
    findings.grade(
        "places used", taken.share, expectation.used, subject=server.address, detail=taken.detail, facts=facts
    )
    findings.grade(
        "places free", taken.free, expectation.free, subject=server.address, detail=taken.detail, facts=facts
    )


def _judge_blocked(expectation: RedisClients, server: Server[ServerInfo], findings: Findings) -> None:
    if expectation.blocked is not None:
        findings.grade(
            "clients blocked",
            server.known(server.answer.blocked_clients, "blocked_clients"),
            expectation.blocked,
            subject=server.address,
            facts={"blocking": server.address},
        )
