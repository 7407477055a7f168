"""Redis and Valkey servers that belong together."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from opscheck import Findings, Observe, Severity
from opscheck.core.findings import judge_all
from opscheck.core.observation import Problem, ProblemKind
from opscheck.core.record import Finding
from opscheck.core.units import Graded, format_duration
from opscheck.systems.redis.info import Replica, ServerInfo
from opscheck.systems.redis.replication import (
    BROKEN_CLUSTER,
    CUT_OFF,
    LEADERLESS,
    LONELY,
    MISPLACED,
    TRAILING,
    TWO_PRIMARIES,
    ClusterState,
    RedisReplication,
)
from opscheck.systems.redis.servers import Server, each_server, run_each, servers

_ONLINE = "online"
_ROLES = {True: "primary", False: "replica", None: "unknown role"}
_SLOTS = 16384


def test_replicas_follow_one_primary(expectation: RedisReplication, observe: Observe, findings: Findings) -> None:
    """
    There is one primary, and its replicas follow.

    Without a replica the data is gone with one machine; a replica that does not follow serves what was true once. Two
    primaries each take writes that the other never sees, and one of them will lose its own.
    """

    def judge_cluster(server: Server[ClusterState]) -> None:
        findings.report_all(broken_cluster(expectation, server))

    def judge_server(server: Server[ServerInfo]) -> None:
        findings.report_all(misplaced(expectation, server))
        if not server.answer.is_primary:
            _judge_link(expectation, server, answered, observe, findings)
        if server.answer.is_primary or expectation.role == "replica":
            _judge_replicas(expectation, server, findings)

    everyone = servers(expectation, expectation.info, observe(expectation.info))
    answered = [one for one in everyone if one.reply.answer is not None]
    steps = [lambda: run_each(judge_server, everyone)]
    if expectation.has_one_primary and answered:
        steps.insert(0, lambda: findings.report_all(not_one_primary(expectation, answered)))
    if expectation.cluster:
        steps.insert(0, lambda: each_server(expectation, expectation.cluster_state, observe, judge_cluster))
    judge_all(*steps)


def broken_cluster(expectation: RedisReplication, server: Server[ClusterState]) -> Iterator[Finding]:
    """
    A cluster that does not serve, or not every slot, as this node sees it.

    Raises CouldNotObserve where it does not say.
    """

    def finding(observed: str, expected: str, severity: Severity | None = None) -> Finding:
        return expectation.finding(
            subject=server.address,
            observed=observed,
            expected=expected,
            severity=severity,
            remedies=[BROKEN_CLUSTER],
            facts={"server": server.address},
        )

    cluster = server.answer
    state = server.known(cluster.cluster_state, "cluster_state")
    if state != "ok":
        yield finding(f"cluster_state is {state}", "ok", Severity.P0)
    assigned = server.known(cluster.cluster_slots_assigned, "cluster_slots_assigned")
    if assigned < _SLOTS:
        yield finding(f"{_SLOTS - assigned} slots belong to no node", f"{_SLOTS} slots assigned")
    if failing := server.known(cluster.cluster_slots_fail, "cluster_slots_fail"):
        yield finding(f"the nodes of {failing} slots have failed", "none")
    if suspected := server.known(cluster.cluster_slots_pfail, "cluster_slots_pfail"):
        yield finding(f"the nodes of {suspected} slots do not answer this one", "none")


def not_one_primary(expectation: RedisReplication, answered: Sequence[Server[ServerInfo]]) -> Iterator[Finding]:
    """
    Servers of one set without a primary, or with more than one.

    Raises CouldNotObserve where they are a cluster, whose primaries are many.
    """
    for one in answered:
        if one.answer.cluster_enabled:
            text, advice = f"{one.reply.node} is a node of a cluster", "write `cluster: true` in the expectation"
            raise one.unknown(Problem(kind=ProblemKind.UNSUPPORTED, text=text, advice=advice))
    primaries = [one for one in answered if one.answer.is_primary]
    if not primaries:
        yield expectation.finding(
            subject=expectation.target.address,
            observed=f"none of {len(answered)} servers that answer is the primary",
            expected="1 primary",
            severity=expectation.worst_severity,
            evidence=[f"{one.address}: {_ROLES[one.answer.is_primary]}" for one in answered],
            remedies=[LEADERLESS],
            facts={"server": answered[0].address},
        )
    if len(primaries) > 1:
        yield expectation.finding(
            subject=expectation.target.address,
            observed=f"{len(primaries)} primaries: {', '.join(one.address for one in primaries)}",
            expected="1 primary",
            severity=Severity.P0,
            evidence=map(_history, primaries),
            remedies=[TWO_PRIMARIES],
            facts={"first_primary": primaries[0].address, "second_primary": primaries[1].address},
        )


def _history(server: Server[ServerInfo]) -> str:
    info = server.answer
    up = "?" if info.uptime_in_seconds is None else format_duration(info.uptime_in_seconds)
    return (
        f"{server.address}: up for {up}, {info.connected_slaves} replicas, {info.connected_clients} clients, "
        f"history {info.master_replid} at {info.master_repl_offset}"
    )


def misplaced(expectation: RedisReplication, server: Server[ServerInfo]) -> Iterator[Finding]:
    """Another role than the policy expects. Raises CouldNotObserve where the server does not say its role."""
    is_primary = server.known(server.answer.is_primary, "role")
    wanted = expectation.role
    if wanted is None and expectation.target.is_one_server and not expectation.cluster:
        wanted = "primary"  # it is replicas that are expected of it
    if wanted is not None and _ROLES[is_primary] != wanted:
        follows = "" if is_primary else f" of {_primary_of(server.answer)}"
        yield expectation.finding(
            subject=server.address,
            observed=f"it is a {_ROLES[is_primary]}{follows}",
            expected=f"a {wanted}",
            remedies=[MISPLACED],
            facts={"server": server.address},
        )


def _judge_link(
    expectation: RedisReplication,
    server: Server[ServerInfo],
    answered: Sequence[Server[ServerInfo]],
    observe: Observe,
    findings: Findings,
) -> None:
    down = _cut_off(expectation, server, observe.now)
    finding = down or _stranger(expectation, server, [] if expectation.cluster else answered)
    if finding is not None:
        findings.report(finding)
    if down is None and expectation.lag is not None:
        findings.grade(
            "silence of its primary",
            server.known(server.answer.master_last_io_seconds_ago, "master_last_io_seconds_ago"),
            expectation.lag,
            unit="s",
            subject=server.address,
            remedies=[CUT_OFF],
            facts={"server": server.address},
        )


def _cut_off(expectation: RedisReplication, server: Server[ServerInfo], now: datetime) -> Finding | None:
    """A replica without a link to its primary. Raises CouldNotObserve where the server does not say."""
    info = server.answer
    status = server.known(info.master_link_status, "master_link_status")
    if status == "up":
        return None
    syncing = ", while it copies the data set" if info.master_sync_in_progress else ""
    down = info.master_link_down_since_seconds
    since = None if down is None or down < 0 else _ago(info.server_time or now, down)
    length = f" for {format_duration(down)}" if since is not None and down else ""
    return expectation.finding(
        subject=server.address,
        observed=f"its link to {_primary_of(info)} is {status}{length}{syncing}",
        expected="up",
        since=since,
        remedies=[CUT_OFF],
        facts={"server": server.address},
    )


def _stranger(
    expectation: RedisReplication, server: Server[ServerInfo], answered: Sequence[Server[ServerInfo]]
) -> Finding | None:
    """A replica that follows, but not the primary of its set."""
    primaries = [one for one in answered if one.answer.is_primary]
    own = server.answer.master_replid
    if len(primaries) != 1 or own is None or server.answer.master_link_status != "up":
        return None
    history = primaries[0].answer.master_replid
    if history is None or own == history:
        return None
    return expectation.finding(
        subject=server.address,
        observed=f"it follows {_primary_of(server.answer)}, which has another history",
        expected=primaries[0].address,
        remedies=[CUT_OFF],
        facts={"server": server.address},
    )


def _primary_of(info: ServerInfo) -> str:
    return f"{info.master_host}:{info.master_port}"


def _ago(now: datetime, seconds: int) -> datetime | None:
    try:
        return now - timedelta(seconds=seconds)
    except OverflowError:
        return None


def _judge_replicas(expectation: RedisReplication, server: Server[ServerInfo], findings: Findings) -> None:
    following, facts = _online(server), {"server": server.address}
    findings.grade(
        "replicas online",
        len(following),
        expectation.replicas,
        subject=server.address,
        evidence=[f"{one.address}: {one.state or 'state unknown'}" for one in server.answer.replicas],
        remedies=[LONELY],
        facts=facts,
    )
    states = {one.address: one.state for one in server.answer.replicas}
    for address in expectation.replica_addresses:
        state = f"in state {states[address]}" if address in states else "not connected"
        if states.get(address) != _ONLINE:
            observed = f"replica {address} is {state}"
            findings.add(subject=server.address, observed=observed, expected=_ONLINE, remedies=[LONELY], facts=facts)
    for replica in following:
        _judge_lag(expectation, server, replica, findings)


def _online(server: Server[ServerInfo]) -> list[Replica]:
    """The replicas that follow. Raises CouldNotObserve where the server does not say which it has."""
    connected = server.known(server.answer.connected_slaves, "connected_slaves")
    if connected > len(server.answer.replicas):
        raise server.unsaid("the state of its replicas")
    return [one for one in server.answer.replicas if one.state == _ONLINE]


def _judge_lag(expectation: RedisReplication, server: Server[ServerInfo], replica: Replica, findings: Findings) -> None:
    def grade(name: str, value: float, limit: Graded[Any], unit: str) -> None:
        findings.grade(
            name,
            value,
            limit,
            unit=unit,
            subject=f"replica {replica.address}",
            remedies=[TRAILING],
            facts={"server": server.address},
        )

    if expectation.lag is not None:
        grade("lag", server.known(replica.lag, f"the lag of {replica.address}"), expectation.lag, "s")
    if expectation.behind is not None:
        written = server.known(server.answer.master_repl_offset, "master_repl_offset")
        offset = server.known(replica.offset, f"the offset of {replica.address}")
        grade("behind", max(0, written - offset), expectation.behind, "B")
