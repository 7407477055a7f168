"""The clients of Redis and Valkey servers."""

from dataclasses import dataclass

from opscheck import Findings, Observe
from opscheck.core.units import Percentage
from opscheck.systems.redis.clients import BLOCKED, FULL, MAX_CLIENTS, REJECTING, RedisClients
from opscheck.systems.redis.info import ServerInfo
from opscheck.systems.redis.rates import Rate, counted, grade_rate
from opscheck.systems.redis.servers import Refusal, Server, each_server

_REJECTIONS = Rate(name="clients turned away per minute", counter="rejected_connections", remedy=REJECTING)


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
                remedies=[MAX_CLIENTS],
                facts={"server": server.address},
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
    for name, value, limit in (
        ("places used", taken.share, expectation.used),
        ("places free", taken.free, expectation.free),
    ):
        findings.grade(
            name,
            value,
            limit,
            subject=server.address,
            detail=taken.detail,
            remedies=[FULL],
            facts={"server": server.address},
        )


def _judge_blocked(expectation: RedisClients, server: Server[ServerInfo], findings: Findings) -> None:
    if expectation.blocked is not None:
        findings.grade(
            "clients blocked",
            server.known(server.answer.blocked_clients, "blocked_clients"),
            expectation.blocked,
            subject=server.address,
            remedies=[BLOCKED],
            facts={"server": server.address},
        )


@dataclass(frozen=True)
class Places:
    """The places that a server has for clients."""

    used: int
    limit: int
    detail: str

    @property
    def share(self) -> Percentage:
        """The used part in percent; a limit of 0 is used up."""
        return Percentage(100.0 * self.used / self.limit if self.limit > 0 else 100.0)

    @property
    def free(self) -> int:
        """How many more are let in."""
        return max(0, self.limit - self.used)


def places(server: Server[ServerInfo]) -> Places:
    """How many places are taken. Raises CouldNotObserve where the server does not say."""
    info = server.answer
    limit = server.known(info.maxclients, "maxclients")
    clients = server.known(info.connected_clients, "connected_clients")
    # connected_clients leaves out replicas, which maxclients counts.
    replicas, cluster = info.connected_slaves or 0, info.cluster_connections or 0
    others = [f"{replicas} replicas"] * (replicas > 0) + [f"{cluster} connections of the cluster"] * (cluster > 0)
    used = clients + replicas + cluster
    return Places(used, limit, ", ".join([f"{used} of {limit}", *others]))
