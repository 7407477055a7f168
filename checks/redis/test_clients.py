"""The clients of Redis and Valkey servers."""

from opscheck import Findings, Observe
from opscheck.core.units import Percentage
from opscheck.core.words import counted
from opscheck.systems.redis.clients import BLOCKED, FULL, MAX_CLIENTS, REJECTING, RedisClients
from opscheck.systems.redis.info import ServerInfo, interval_of, per_minute
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
                observed=f"connection refused: {server.reply.error}",
                expected="a free client connection",
                severity=expectation.worst_severity,
                remedies=[MAX_CLIENTS],
            )
            return
        _judge_connections(expectation, server, here)
        _judge_blocked(expectation, server, here)
        if (limit := expectation.rejected) is not None:
            over = interval_of(server, expectation, observe)
            rate = per_minute(server, over, "rejected_connections")
            here.grade("rejected connections per minute", rate, limit, detail=over.text, remedies=[REJECTING])

    each_server(expectation, expectation.info, observe, findings, judge)


def _judge_connections(expectation: RedisClients, server: Server[ServerInfo], findings: Findings) -> None:
    if expectation.used is None and expectation.free is None:
        return
    info = server.answer
    limit = server.known(info.maxclients, "maxclients")
    clients = server.known(info.connected_clients, "connected_clients")
    # connected_clients does not count replicas; maxclients does.
    replicas, cluster = info.connected_slaves or 0, info.cluster_connections or 0
    others = [counted(replicas, "replica")] * (replicas > 0)
    others += [counted(cluster, "cluster connection")] * (cluster > 0)
    used = clients + replicas + cluster
    detail = ", ".join([f"{used} of {limit}", *others])
    share = Percentage(100.0 * used / limit if limit > 0 else 100.0)
    findings.grade("connections used", share, expectation.used, detail=detail, remedies=[FULL])
    findings.grade("connections free", max(0, limit - used), expectation.free, detail=detail, remedies=[FULL])


def _judge_blocked(expectation: RedisClients, server: Server[ServerInfo], findings: Findings) -> None:
    if expectation.blocked is not None:
        blocked = server.known(server.answer.blocked_clients, "blocked_clients")
        findings.grade("blocked clients", blocked, expectation.blocked, remedies=[BLOCKED])
