"""The replication of a PostgreSQL server."""

from typing import Any

from opscheck import Findings, Observe
from opscheck.core.observation import CouldNotObserve
from opscheck.systems.postgres import replicas as of_replicas
from opscheck.systems.postgres.readings import slots as of_slots
from opscheck.systems.postgres.readings import standby as of_standby
from opscheck.systems.postgres.readings.standby import Standstill
from opscheck.systems.postgres.replicas import Replica
from opscheck.systems.postgres.replication import PostgresReplication, Replication, Slot, Slots

_EVIDENCE = 10
_BY_ITS_CLOCK = "replies are dated by the replica's clock: one that is slow looks the same"


def test_replicas_are_there_and_near(expectation: PostgresReplication, observe: Observe, findings: Findings) -> None:
    """
    Replicas are connected and near, and no slot makes the server keep WAL until its disk is full.

    A replica that is missing or far behind cannot take over, or takes over and what was committed since is lost;
    reads from it are old. A slot that nobody uses keeps every byte of WAL until the disk is full and the server stops.
    """
    unknown: list[CouldNotObserve] = []
    if expectation.judges_slots:
        unknown += _judge_slots(expectation, observe, findings)
    if expectation.judges_replication:
        answer = observe(expectation.replication)
        _judge_role(expectation, answer, findings)
        unknown += _judge_replicas(expectation, answer, findings)
        if answer.standby:
            _judge_standby(expectation, answer, findings)
    if unknown:
        raise unknown[0]


def _judge_role(expectation: PostgresReplication, answer: Replication, findings: Findings) -> None:
    role = "standby" if answer.standby else "primary"
    if expectation.role not in (None, "any", role):
        observed, expected = f"the server is a {role}", f"a {expectation.role}"
        findings.add(subject=_server(expectation), observed=observed, expected=expected)


def _judge_replicas(expectation: PostgresReplication, answer: Replication, findings: Findings) -> list[CouldNotObserve]:
    replicas = of_replicas.replicas(expectation, answer)
    _judge_who_is_there(expectation, answer, replicas, findings)
    unknown = []
    for replica in replicas:
        try:
            _judge_replica(expectation, answer, replica, findings)
        except CouldNotObserve as error:
            unknown.append(error)
    return unknown


def _judge_who_is_there(
    expectation: PostgresReplication, answer: Replication, replicas: list[Replica], findings: Findings
) -> None:
    there = [replica for replica in replicas if replica.in_state]
    evidence = of_replicas.connected(answer.senders)
    for name in of_replicas.missing_names(expectation, answer):
        findings.add(
            subject=f"replica {name}",
            observed="not connected",
            expected=expectation.state,
            evidence=evidence,
            facts=of_replicas.missing_facts(name),
        )
    if expectation.needs_a_replica and not answer.standby and not replicas:
        findings.add(subject=_server(expectation), observed="no replica is connected", expected="one that has a lag")
    synchronous = sum(replica.synchronous for replica in there)
    for what, count, limit in (
        ("replicas", len(there), expectation.minimum),
        ("synchronous replicas", synchronous, expectation.sync),
    ):
        findings.grade(what, count, limit, subject=_server(expectation), evidence=evidence)


def _judge_replica(expectation: PostgresReplication, answer: Replication, replica: Replica, findings: Findings) -> None:
    about: dict[str, Any] = {"subject": replica.subject, "facts": replica.facts}
    silent = of_replicas.silence(expectation, answer, replica)
    if expectation.replicas is not None and not replica.in_state:
        findings.add(observed=replica.detail, expected=expectation.state, **about)
    if silent is not None:
        observed, expected = f"no reply for {silent[0]}", f"a reply in the last {silent[1]}"
        findings.add(observed=observed, expected=expected, evidence=[_BY_ITS_CLOCK], **about)
    if expectation.lag_bytes is not None:
        size = of_replicas.behind_bytes(expectation, replica)
        findings.grade("WAL not replayed", size, expectation.lag_bytes, detail=replica.detail, **about)
    if expectation.lag is not None and silent is None:
        seconds = of_replicas.lag(expectation, replica)
        findings.grade("lag", seconds, expectation.lag, detail=replica.detail, **about)


def _judge_standby(expectation: PostgresReplication, answer: Replication, findings: Findings) -> None:
    server = _server(expectation)
    replay = of_standby.own_replay(expectation, answer)
    paused = of_standby.paused(replay)
    _tell(paused, server, findings)
    cut_off = of_standby.cut_off(expectation, answer, replay)
    _tell(cut_off, server, findings)
    if paused or cut_off:
        return  # a lag of what it has received would be small, and wrong
    about: dict[str, Any] = {
        "subject": server,
        "detail": of_standby.lag_detail(replay),
        "facts": of_standby.lag_facts(replay),
    }
    if expectation.lag_bytes is not None:
        size = of_standby.unreplayed_bytes(expectation, answer, replay)
        findings.grade("WAL not replayed", size, expectation.lag_bytes, **about)
    if expectation.lag is not None:
        findings.grade("lag", of_standby.replay_lag(expectation, replay), expectation.lag, **about)


def _tell(found: Standstill | None, server: str, findings: Findings) -> None:
    if found is not None:
        observed, expected = found.observed, found.expected
        findings.add(subject=server, observed=observed, expected=expected, evidence=found.evidence, facts=found.facts)


def _judge_slots(expectation: PostgresReplication, observe: Observe, findings: Findings) -> list[CouldNotObserve]:
    answer = observe(expectation.kept)
    slots = of_slots.judged_slots(expectation, answer)
    findings.measure("slots", len(slots), subject=_server(expectation))
    for name in of_slots.missing_slots(expectation, answer):
        findings.add(subject=f"slot {name}", observed="not there", expected="a slot of this name")
    _judge_retention(expectation, answer, slots, findings)
    unknown = []
    for slot in slots:
        _judge_kept_wal(expectation, slot, findings)
        try:
            _judge_use(expectation, observe, slot, findings)
        except CouldNotObserve as error:
            unknown.append(error)
    return unknown


def _judge_retention(expectation: PostgresReplication, answer: Slots, slots: list[Slot], findings: Findings) -> None:
    if expectation.slot_unlimited is not None and slots and answer.keep_bytes is None:
        findings.add(
            subject=_server(expectation),
            observed="max_slot_wal_keep_size is -1: slots hold back WAL until the disk is full",
            expected="a max_slot_wal_keep_size that the disk has room for",
            severity=expectation.slot_unlimited,
            evidence=[f"{slot.name}: {of_slots.described(slot)}" for slot in slots[:_EVIDENCE]],
            facts={"keep_size": of_slots.keep_size(expectation)},
        )


def _judge_kept_wal(expectation: PostgresReplication, slot: Slot, findings: Findings) -> None:
    subject, facts, detail = f"slot {slot.name}", {"slot": slot.name}, of_slots.described(slot)
    lost = of_slots.lost(slot)
    if lost is not None:
        facts = {"lost_slot": slot.name}
        expected = "a slot whose consumer can go on"
        severity = expectation.worst_severity
        findings.add(subject=subject, observed=lost, expected=expected, severity=severity, facts=facts)
        return
    if of_slots.nearly_lost(slot):
        observed = "wal_status is unreserved: the next checkpoint may remove its WAL"
        severity = expectation.mild_slot_severity
        findings.add(subject=subject, observed=observed, expected="reserved", severity=severity, facts=facts)
    for what, size, limit in (
        ("WAL held back", slot.retained_bytes, expectation.slot_retained),
        ("WAL until lost", slot.safe_bytes, expectation.slot_safe),
    ):
        if size is not None:  # 0 bytes until it is lost are the worst, and no missing number
            findings.grade(what, size, limit, unit="B", subject=subject, detail=detail, facts=facts)


def _judge_use(expectation: PostgresReplication, observe: Observe, slot: Slot, findings: Findings) -> None:
    found = of_slots.inactive(expectation, observe, slot)
    if expectation.slot_inactive is None or found is None:
        return
    if found.known or expectation.slot_inactive.severity(found.at_least):
        findings.grade(
            "inactive for",
            found.at_least,
            expectation.slot_inactive,
            subject=f"slot {slot.name}",
            detail=of_slots.described(slot),
            since=found.since,
            facts={"slot": slot.name},
        )
    if not found.settles(expectation.slot_inactive):
        raise of_slots.unknown_since(expectation, observe, slot, found)


def _server(expectation: PostgresReplication) -> str:
    return expectation.target.address or expectation.target.name
