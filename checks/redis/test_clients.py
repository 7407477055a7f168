"""The clients of Redis and Valkey servers."""

from opscheck import Findings, Observe
from opscheck.core.units import Percentage
from opscheck.systems.redis.clients import BLOCKED, FULL, MAX_CLIENTS, REJECTING, RedisClients
from opscheck.systems.redis.info import ServerInfo, counted, per_minute
from opscheck.systems.redis.servers import Refusal, Server, each_server


def test_clients_can_connect(expectation: RedisClients, observe: Observe, findings: Findings) -> None:
    """
    Clients can connect, and none was rejected.

    At maxclients the server refuses every new connection, and each request that needs one fails. One application that
    leaks connections takes all others down.
    """

    def judge(server: Server[ServerInfo], here: Findings) -> None:
        if server.reply.refusal is Refusal.MAX_CLIENTS:
            here.add(
                observed=f"refused: {server.reply.error}",
                expected="a place for one more client",
                severity=expectation.worst_severity,
                remedies=[MAX_CLIENTS],
            )
            return
        _judge_places(expectation, server, here)
        _judge_blocked(expectation, server, here)
        if (limit := expectation.rejected) is not None:
            over = counted(server, expectation, observe)
            rate = per_minute(server, over, "rejected_connections")
            here.grade("clients turned away per minute", rate, limit, detail=over.text, remedies=[REJECTING])

    each_server(expectation, expectation.info, observe, findings, judge)


def _judge_places(expectation: RedisClients, server: Server[ServerInfo], findings: Findings) -> None:
    if expectation.used is None and expectation.free is None:
        return
    info = server.answer
    limit = server.known(info.maxclients, "maxclients")
    clients = server.known(info.connected_clients, "connected_clients")
    # connected_clients leaves out replicas, which maxclients counts.
    replicas, cluster = info.connected_slaves or 0, info.cluster_connections or 0
    others = [f"{replicas} replicas"] * (replicas > 0) + [f"{cluster} connections of the cluster"] * (cluster > 0)
    used = clients + replicas + cluster
    detail = ", ".join([f"{used} of {limit}", *others])
    share = Percentage(100.0 * used / limit if limit > 0 else 100.0)
    findings.grade("places used", share, expectation.used, detail=detail, remedies=[FULL])
    findings.grade("places free", max(0, limit - used), expectation.free, detail=detail, remedies=[FULL])


def _judge_blocked(expectation: RedisClients, server: Server[ServerInfo], findings: Findings) -> None:
    if expectation.blocked is not None:
        blocked = server.known(server.answer.blocked_clients, "blocked_clients")
        findings.grade("clients blocked", blocked, expectation.blocked, remedies=[BLOCKED])
