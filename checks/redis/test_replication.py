"""The replication and the clusters of Redis and Valkey servers."""

from collections.abc import Sequence

from opscheck import Findings, Observe, Severity
from opscheck.core.findings import judge_all
from opscheck.core.units import format_duration
from opscheck.core.words import counted
from opscheck.systems.redis.info import Replica, ServerInfo, moment
from opscheck.systems.redis.replication import (
    BROKEN_CLUSTER,
    CUT_OFF,
    LEADERLESS,
    LONELY,
    MISPLACED,
    TRAILING,
    TWO_PRIMARIES,
    ClusterState,
    RedisCluster,
    RedisReplication,
)
from opscheck.systems.redis.servers import Server, each_server, servers

_ONLINE = "online"
_ROLES = {True: "primary", False: "replica", None: "unknown role"}
_SLOTS = 16384


def test_replicas_follow_one_primary(expectation: RedisReplication, observe: Observe, findings: Findings) -> None:
    """
    There is one primary, and its replicas are connected and in sync.

    Without a replica the data is lost with one machine, and a replica out of sync serves stale data. Of two primaries,
    one loses its writes.
    """

    def judge_server(server: Server[ServerInfo], here: Findings) -> None:
        _judge_role(expectation, server, here)
        if not server.answer.is_primary:
            _judge_link(expectation, server, [] if expectation.cluster else answered, observe, here)
        if server.answer.is_primary or expectation.role == "replica":
            _judge_replicas(expectation, server, here)

    everyone = servers(expectation, expectation.info, observe(expectation.info))
    answered = [one for one in everyone if one.reply.answer is not None]
    steps = [lambda: each_server(expectation, expectation.info, observe, findings, judge_server)]
    if expectation.has_one_primary and answered:
        steps.insert(0, lambda: _judge_set(expectation, answered, findings.on(expectation.target.address)))
    if expectation.cluster:
        query = expectation.query(RedisCluster)
        steps.insert(0, lambda: each_server(expectation, query, observe, findings, _judge_cluster))
    judge_all(*steps)


def _judge_cluster(server: Server[ClusterState], findings: Findings) -> None:
    """
    Judge the state and the slots of the cluster, as this node reports them.

    Raises CouldNotObserve where it does not report them.
    """
    cluster, remedies = server.answer, [BROKEN_CLUSTER]
    state = server.known(cluster.cluster_state, "cluster_state")
    if state != "ok":
        observed = f"cluster_state is {state}"
        findings.add(observed=observed, expected="ok", severity=Severity.P0, remedies=remedies)
    assigned = server.known(cluster.cluster_slots_assigned, "cluster_slots_assigned")
    if assigned < _SLOTS:
        observed = f"{counted(_SLOTS - assigned, 'slot')} without a node"
        findings.add(observed=observed, expected=f"{_SLOTS} slots assigned", remedies=remedies)
    if failing := server.known(cluster.cluster_slots_fail, "cluster_slots_fail"):
        findings.add(observed=f"nodes of {counted(failing, 'slot')} failed", expected="none", remedies=remedies)
    if suspected := server.known(cluster.cluster_slots_pfail, "cluster_slots_pfail"):
        observed = f"nodes of {counted(suspected, 'slot')} do not respond to this node"
        findings.add(observed=observed, expected="none", remedies=remedies)


def _judge_set(expectation: RedisReplication, answered: Sequence[Server[ServerInfo]], findings: Findings) -> None:
    """
    Judge that the servers of one set have one primary.

    Raises CouldNotObserve for a cluster, which has several primaries.
    """
    for one in answered:
        if one.answer.cluster_enabled:
            text = f"{one.reply.node} is a cluster node"
            raise one.unknown(text, "write `cluster: true` in the expectation")
    primaries = [one for one in answered if one.answer.is_primary]
    if not primaries:
        findings.add(
            observed=f"no primary among {counted(len(answered), 'server')} that responded",
            expected="1 primary",
            severity=expectation.worst_severity,
            evidence=[f"{one.address}: {_ROLES[one.answer.is_primary]}" for one in answered],
            remedies=[LEADERLESS],
            facts=answered[0].facts,
        )
    if len(primaries) > 1:
        findings.add(
            observed=f"{len(primaries)} primaries: {', '.join(one.address for one in primaries)}",
            expected="1 primary",
            severity=Severity.P0,
            evidence=map(_history, primaries),
            remedies=[TWO_PRIMARIES],
            facts={
                "first_primary": primaries[0].address,
                "second_primary": primaries[1].address,
                "first_connection": primaries[0].connection,
                "second_connection": primaries[1].connection,
            },
        )


def _history(server: Server[ServerInfo]) -> str:
    info = server.answer
    up = "?" if info.uptime_in_seconds is None else format_duration(info.uptime_in_seconds)
    return (
        f"{server.address}: up for {up}, replicas: {info.connected_slaves}, clients: {info.connected_clients}, "
        f"replication ID {info.master_replid}, offset {info.master_repl_offset}"
    )


def _judge_role(expectation: RedisReplication, server: Server[ServerInfo], findings: Findings) -> None:
    """Judge its role. Raises CouldNotObserve where the server does not report it."""
    is_primary = server.known(server.answer.is_primary, "role")
    wanted = expectation.role
    if wanted is None and expectation.target.is_one_server and not expectation.cluster:
        wanted = "primary"  # the policy expects replicas of it
    if wanted is not None and _ROLES[is_primary] != wanted:
        follows = "" if is_primary else f" of {_primary_of(server.answer)}"
        observed = f"{_ROLES[is_primary]}{follows}"
        findings.add(observed=observed, expected=wanted, remedies=[MISPLACED])


def _judge_link(
    expectation: RedisReplication,
    server: Server[ServerInfo],
    others: Sequence[Server[ServerInfo]],
    observe: Observe,
    findings: Findings,
) -> None:
    """Judge the link of a replica to the primary of its set."""
    info = server.answer
    status = server.known(info.master_link_status, "master_link_status")
    if status != "up":
        syncing = ", initial sync in progress" if info.master_sync_in_progress else ""
        down = info.master_link_down_since_seconds
        clock = info.server_time or observe.now
        since = None if down is None or down < 0 else moment(clock.timestamp() - down)
        length = f" for {format_duration(down)}" if since is not None and down else ""
        observed = f"link to {_primary_of(info)} is {status}{length}{syncing}"
        findings.add(observed=observed, expected="up", since=since, remedies=[CUT_OFF])
        return
    primaries = [one for one in others if one.answer.is_primary]
    histories = {info.master_replid, *(one.answer.master_replid for one in primaries)}
    if len(primaries) == 1 and len(histories) > 1 and None not in histories:
        observed = f"follows {_primary_of(info)}, which has another replication ID"
        findings.add(observed=observed, expected=primaries[0].address, remedies=[CUT_OFF])
    if expectation.lag is not None:
        silence = server.known(info.master_last_io_seconds_ago, "master_last_io_seconds_ago")
        findings.grade("time since last data from primary", silence, expectation.lag, unit="s", remedies=[CUT_OFF])


def _primary_of(info: ServerInfo) -> str:
    return f"{info.master_host}:{info.master_port}"


def _judge_replicas(expectation: RedisReplication, server: Server[ServerInfo], findings: Findings) -> None:
    following = _online(server)
    findings.grade(
        "replicas online",
        len(following),
        expectation.replicas,
        evidence=[f"{one.address}: {one.state or 'state unknown'}" for one in server.answer.replicas],
        remedies=[LONELY],
    )
    states = {one.address: one.state for one in server.answer.replicas}
    for address in expectation.replica_addresses:
        state = f"in state {states[address]}" if address in states else "not connected"
        if states.get(address) != _ONLINE:
            findings.add(observed=f"replica {address} is {state}", expected=_ONLINE, remedies=[LONELY])
    for replica in following:
        _judge_lag(expectation, server, replica, findings.on(f"replica {replica.address}"))


def _online(server: Server[ServerInfo]) -> list[Replica]:
    """The online replicas. Raises CouldNotObserve where the server does not list all of them."""
    connected = server.known(server.answer.connected_slaves, "connected_slaves")
    if connected > len(server.answer.replicas):
        raise server.unreported("the state of its replicas")
    return [one for one in server.answer.replicas if one.state == _ONLINE]


def _judge_lag(expectation: RedisReplication, server: Server[ServerInfo], replica: Replica, findings: Findings) -> None:
    if expectation.lag is not None:
        lag = server.known(replica.lag, f"the lag of {replica.address}")
        findings.grade("lag", lag, expectation.lag, unit="s", remedies=[TRAILING])
    if expectation.behind is not None:
        written = server.known(server.answer.master_repl_offset, "master_repl_offset")
        behind = max(0, written - server.known(replica.offset, f"the offset of {replica.address}"))
        findings.grade("behind", behind, expectation.behind, unit="B", remedies=[TRAILING])
