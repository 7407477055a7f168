"""Redis and Valkey servers that belong together."""

from collections.abc import Sequence

from opscheck import Findings, Observe, Severity
from opscheck.systems.redis.expectations.replication import RedisReplication
from opscheck.systems.redis.queries.cluster import ClusterState
from opscheck.systems.redis.queries.info import ServerInfo
from opscheck.systems.redis.readings.cluster import serves, slot_faults
from opscheck.systems.redis.readings.replication import (
    Fault,
    behind,
    has_replicas,
    link_fault,
    missing,
    online,
    replica_lines,
    role_fault,
    set_fault,
    stranger,
)
from opscheck.systems.redis.readings.servers import Server, each_server, run_each, servers


def test_replicas_follow_one_primary(expectation: RedisReplication, observe: Observe, findings: Findings) -> None:
    """
    There is one primary, and its replicas follow.

    Without a replica the data is gone with one machine; a replica that does not follow serves what was true once. Two
    primaries each take writes that the other never sees, and one of them will lose its own.
    """

    def judge_cluster(server: Server[ClusterState]) -> None:
        _judge_cluster(server, findings)

    def judge_server(server: Server[ServerInfo]) -> None:
        _judge_server(expectation, server, answered, observe, findings)

    everyone = servers(expectation, expectation.info, observe(expectation.info))
    answered = [one for one in everyone if one.reply.answer is not None]
    steps = [lambda: run_each(judge_server, everyone)]
    if expectation.has_one_primary and answered:
        steps.insert(0, lambda: _judge_set(expectation, answered, findings))
    if expectation.cluster:
        steps.insert(0, lambda: each_server(expectation, expectation.cluster_state, observe, judge_cluster))
    run_each(lambda step: step(), steps)


def _judge_cluster(server: Server[ClusterState], findings: Findings) -> None:
    facts = {"broken_cluster": server.address}
    if not serves(server):
        seen = f"cluster_state is {server.answer.cluster_state}"
        findings.add(subject=server.address, observed=seen, expected="ok", severity=Severity.P0, facts=facts)
    for fault in slot_faults(server):
        _add(findings, server.address, fault, facts)


def _judge_set(expectation: RedisReplication, answered: Sequence[Server[ServerInfo]], findings: Findings) -> None:
    fault = set_fault(answered)
    if fault is None:
        return
    primaries = [one.address for one in answered if one.answer.is_primary]
    if primaries:
        facts = {"first_primary": primaries[0], "second_primary": primaries[1]}
        _add(findings, expectation.target.address, fault, facts, Severity.P0)
    else:
        facts = {"leaderless": answered[0].address}
        _add(findings, expectation.target.address, fault, facts, expectation.worst_severity)


def _judge_server(
    expectation: RedisReplication,
    server: Server[ServerInfo],
    answered: Sequence[Server[ServerInfo]],
    observe: Observe,
    findings: Findings,
) -> None:
    fault = role_fault(server, expectation)
    if fault is not None:
        _add(findings, server.address, fault, {"misplaced": server.address})
    if not server.answer.is_primary:
        _judge_link(expectation, server, answered, observe, findings)
    if has_replicas(server, expectation):
        _judge_replicas(expectation, server, findings)


def _judge_link(
    expectation: RedisReplication,
    server: Server[ServerInfo],
    answered: Sequence[Server[ServerInfo]],
    observe: Observe,
    findings: Findings,
) -> None:
    facts = {"cut_off": server.address}
    down = link_fault(server, observe.now)
    fault = down or stranger(server, [] if expectation.cluster else answered)
    if fault is not None:
        _add(findings, server.address, fault, facts)
    if down is None and expectation.lag is not None:
        silent = server.known(server.answer.master_last_io_seconds_ago, "master_last_io_seconds_ago")
        findings.grade("silence of its primary", silent, expectation.lag, unit="s", subject=server.address, facts=facts)


def _judge_replicas(expectation: RedisReplication, server: Server[ServerInfo], findings: Findings) -> None:
    following = online(server)
    lonely = {"lonely": server.address}
    findings.grade(
        "replicas online",
        len(following),
        expectation.replicas,
        subject=server.address,
        evidence=replica_lines(server.answer),
        facts=lonely,
    )
    for fault in missing(server, expectation):
        _add(findings, server.address, fault, lonely)
    for replica in following:
        subject, facts = f"replica {replica.address}", {"trailing": server.address}
        if expectation.lag is not None:
            silent = server.known(replica.lag, f"the lag of {replica.address}")
            findings.grade("lag", silent, expectation.lag, unit="s", subject=subject, facts=facts)
        if expectation.behind is not None:
            lacking = behind(server, replica)
            findings.grade("behind", lacking, expectation.behind, subject=subject, unit="B", facts=facts)


def _add(
    findings: Findings, subject: str, fault: Fault, facts: dict[str, str], severity: Severity | None = None
) -> None:
    findings.add(
        subject=subject,
        observed=fault.observed,
        expected=fault.expected,
        severity=severity,
        since=fault.since,
        evidence=fault.evidence,
        facts=facts,
    )
