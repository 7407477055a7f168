"""The replication of a PostgreSQL server."""

from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from functools import partial
from typing import Any, NamedTuple

from opscheck import ByteSize, Duration, Findings, Observe, Remedy
from opscheck.core.findings import FindingParts, judge_all
from opscheck.core.observation import CouldNotObserve, Problem, ProblemKind, Sample
from opscheck.core.units import format_bytes, format_duration
from opscheck.systems.postgres import replicas as of_replicas
from opscheck.systems.postgres.replicas import DEFAULT_SILENCE, Replica
from opscheck.systems.postgres.replication import (
    CONNECT,
    CREATE_SLOT,
    DROP_LOST_SLOT,
    DROP_SLOT,
    FIND_SERVER,
    RESUME,
    SET_KEEP_SIZE,
    SHOW_RECEIVER,
    SHOW_REPLAY,
    SHOW_REPLICA,
    SHOW_SLOT,
    SHOW_SLOT_OF_REPLICA,
    PostgresReplication,
    Receiver,
    Replay,
    Replication,
    Slot,
    Slots,
)

_EVIDENCE = 10
_BY_ITS_CLOCK = "replies have the time of the replica's clock: a slow clock looks the same"
_SUGGESTED = ByteSize(20_000_000_000)
_MEGABYTE = 2**20
_WILD = frozenset("*?[")
_FOR_SLOT = (SHOW_SLOT, DROP_SLOT)


class Inactive(NamedTuple):
    """The time that a slot has had no consumer."""

    at_least: Duration
    at_most: Duration | None
    """None if no run saw it with a consumer; equal to `at_least` where the server reports it."""
    since: datetime | None


def test_replicas_are_connected_and_current(
    expectation: PostgresReplication, observe: Observe, findings: Findings
) -> None:
    """
    Replicas are connected and within the lag limits, and no slot retains too much WAL.

    A missing or lagging replica cannot take over without losing commits, and serves stale reads. An unused slot retains
    WAL until the disk is full and the server stops.
    """
    here = findings.on(expectation.server)
    judge_all(
        lambda: _judge_slots(expectation, observe, here),
        lambda: _judge_replication(expectation, observe, here),
    )


def _judge_replication(expectation: PostgresReplication, observe: Observe, findings: Findings) -> None:
    if not expectation.judges_replication:
        return
    answer = observe(expectation.replication)
    role = "standby" if answer.standby else "primary"
    if expectation.role not in (None, "any", role):
        findings.add(observed=f"the server is a {role}", expected=f"a {expectation.role}", remedies=(FIND_SERVER,))
    replicas = of_replicas.replicas(answer, expectation.replicas, expectation.state)
    _judge_number(expectation, answer, replicas, findings)
    judge_all(
        *(partial(_judge_replica, expectation, answer, replica, findings) for replica in replicas),
        lambda: _judge_standby(expectation, answer, findings),
    )


def _judge_number(
    expectation: PostgresReplication, answer: Replication, replicas: list[Replica], findings: Findings
) -> None:
    """The missing replicas, and the number of connected ones."""
    parts: FindingParts = {"evidence": of_replicas.connected(answer.senders), "remedies": (CONNECT,)}
    for name in of_replicas.missing_names(answer, expectation.replicas):
        here, missing = findings.on(f"replica {name}"), parts
        if not _WILD & set(name):
            missing = {**parts, "remedies": (CONNECT, SHOW_SLOT_OF_REPLICA), "facts": {"replica": name}}
        here.add(observed="not connected", expected=expectation.state, **missing)
    if expectation.needs_a_replica and not answer.standby and not replicas:
        findings.add(observed="no replica is connected", expected="a connected replica", remedies=(CONNECT,))
    there = [replica for replica in replicas if replica.in_state]
    findings.grade("replicas", len(there), expectation.minimum, **parts)
    findings.grade("synchronous replicas", sum(one.synchronous for one in there), expectation.sync, **parts)


def _judge_replica(expectation: PostgresReplication, answer: Replication, replica: Replica, findings: Findings) -> None:
    here, query, detail = findings.on(replica.subject, **replica.facts), expectation.replication, replica.detail
    remedies = (CONNECT, SHOW_REPLICA) if replica.facts else (CONNECT,)
    silent = of_replicas.silence(answer, replica, expectation.silence)
    if expectation.replicas is not None and not replica.in_state:
        here.add(observed=detail, expected=expectation.state, remedies=remedies)
    if silent is not None:
        observed, expected = f"no reply for {silent[0]}", f"a reply in the last {silent[1]}"
        here.add(observed=observed, expected=expected, evidence=[_BY_ITS_CLOCK], remedies=remedies)
    if expectation.lag_bytes is not None:
        size = of_replicas.behind_bytes(query, replica)
        here.grade("WAL not replayed", size, expectation.lag_bytes, detail=detail, remedies=remedies)
    if expectation.lag is not None and silent is None:
        here.grade("lag", of_replicas.lag(query, replica), expectation.lag, detail=detail, remedies=remedies)


def _judge_standby(expectation: PostgresReplication, answer: Replication, findings: Findings) -> None:
    """A standby's own receiver and replay."""
    if not answer.standby:
        return
    replay = own_replay(expectation, answer)
    paused, cut_off = report_pause(replay, findings), report_cut_off(expectation, answer, replay, findings)
    if paused or cut_off:
        return  # the lag of the received WAL would be small, and wrong
    detail, parts = lag_detail(replay), _at(replay.replayed, SHOW_REPLAY)
    if expectation.lag_bytes is not None:
        size = unreplayed_bytes(expectation, answer, replay)
        findings.grade("WAL not replayed", size, expectation.lag_bytes, detail=detail, **parts)
    if expectation.lag is not None:
        findings.grade("lag", replay_lag(expectation, replay), expectation.lag, detail=detail, **parts)


def own_replay(expectation: PostgresReplication, answer: Replication) -> Replay:
    """A standby's replay. Raises CouldNotObserve for an answer without one."""
    if answer.replay is None:
        raise _unknown(expectation, "the standby does not report its replay position")
    return answer.replay


def report_pause(replay: Replay, findings: Findings) -> bool:
    """True if its replay is paused, which is a violation."""
    if replay.pause == "not paused":
        return False
    observed = f"replay is {replay.pause}" if replay.pause == "paused" else replay.pause
    parts = _at(replay.replayed, RESUME)
    findings.add(observed=observed, expected="replay that is not paused", evidence=_progress(replay), **parts)
    return True


def report_cut_off(expectation: PostgresReplication, answer: Replication, replay: Replay, findings: Findings) -> bool:
    """
    True if no WAL reaches the standby, which is a violation; not while its receiver gets messages.

    Raises CouldNotObserve where that is unknown: it never had a receiver, or silence proves nothing.
    """
    if expectation.log_shipping:
        return False
    receiver = answer.receiver
    observed, expected = "", "a streaming WAL receiver"
    if receiver is None:
        if replay.received is None and not replay.follows:
            text = "the standby has no WAL receiver, and primary_conninfo is not set: its primary's position is unknown"
            advice = "judge its primary, or set `log_shipping: true` if it is fed from an archive"
            raise _unknown(expectation, text, advice)
        observed = "no WAL receiver: disconnected from its primary"
    elif receiver.status != "streaming":
        observed = f"the WAL receiver is {receiver.status}"
    elif (silent := _silence(expectation, receiver, replay)) is not None:
        observed, expected = silent
    if observed:
        sender = [f"sender {receiver.sender}"] if receiver and receiver.sender else []
        parts = _at(replay.received or replay.replayed, SHOW_RECEIVER)
        findings.add(observed=observed, expected=expected, evidence=[*sender, *_progress(replay)], **parts)
    return bool(observed)


def _silence(expectation: PostgresReplication, receiver: Receiver, replay: Replay) -> tuple[str, str] | None:
    """The observed and expected time of a sender that has been silent for too long."""
    allowed = expectation.silence or replay.receiver_timeout_s or DEFAULT_SILENCE
    silent = receiver.silent_s
    if silent is None:
        raise _unknown(expectation, "the WAL receiver does not report its last message")
    if silent <= allowed:
        return None
    observed = f"nothing received for {format_duration(silent)}"
    if expectation.silence is None and not replay.receiver_timeout_s:
        text = f"{observed}, and wal_receiver_timeout is 0: an idle sender and a dead one look the same"
        raise _unknown(expectation, text, "set `silence`, or wal_receiver_timeout on the standby")
    return observed, f"a message in the last {format_duration(allowed)}"


def replay_lag(expectation: PostgresReplication, replay: Replay) -> Duration:
    """
    The lag of its replay in time. Raises CouldNotObserve where that is unknown.

    Only for a connected standby: a disconnected one that has replayed everything would never have a lag.
    """
    if replay.caught_up_s is not None and not expectation.log_shipping:
        return Duration(replay.caught_up_s)
    if replay.replayed_age_s is None:
        raise _unknown(expectation, "no transaction replayed since the standby started: its lag is unknown")
    return Duration(max(0.0, replay.replayed_age_s))


def unreplayed_bytes(expectation: PostgresReplication, answer: Replication, replay: Replay) -> ByteSize:
    """The WAL that its sender reported and it has not replayed. Raises CouldNotObserve without a receiver."""
    sizes = [replay.unreplayed_bytes, answer.receiver.sent_bytes if answer.receiver else None]
    known = [size for size in sizes if size is not None]
    if not known or (expectation.log_shipping and answer.receiver is None):
        raise _unknown(expectation, "without a WAL receiver the amount of WAL is unknown", "use only `lag`")
    return ByteSize(max(0, *known))


def lag_detail(replay: Replay) -> str:
    """The numbers behind a lag."""
    last = "none since its start" if replay.replayed_age_s is None else f"{format_duration(replay.replayed_age_s)} ago"
    delay = f", recovery_min_apply_delay is {format_duration(replay.delay_s)}" if replay.delay_s else ""
    return f"received {replay.received or 'nothing'}, replayed {replay.replayed}, last transaction {last}{delay}"


def _progress(replay: Replay) -> list[str]:
    waiting = format_bytes(replay.unreplayed_bytes or 0)
    return [lag_detail(replay), f"{waiting} received and not replayed"]


def _at(lsn: str | None, remedy: Remedy) -> dict[str, Any]:
    """The remedy for a standby at this position."""
    return {"remedies": (remedy,), "facts": {"lsn": lsn}} if lsn else {}


def _judge_slots(expectation: PostgresReplication, observe: Observe, findings: Findings) -> None:
    if not expectation.judges_slots:
        return
    answer, patterns = observe(expectation.kept), expectation.slots
    slots = [slot for slot in answer.slots if patterns is None or any(fnmatchcase(slot.name, one) for one in patterns)]
    findings.measure("slots", len(slots))
    for pattern in patterns or ():
        if not any(fnmatchcase(slot.name, pattern) for slot in answer.slots):
            here = findings.on(f"slot {pattern}")
            here.add(observed="does not exist", expected="a slot of this name", remedies=(CREATE_SLOT,))
    if expectation.slot_unlimited is not None and slots and answer.keep_bytes is None:
        findings.add(
            observed="max_slot_wal_keep_size is -1: slots retain WAL until the disk is full",
            expected="a max_slot_wal_keep_size that fits on the disk",
            severity=expectation.slot_unlimited,
            evidence=[f"{slot.name}: {described(slot)}" for slot in slots[:_EVIDENCE]],
            remedies=(SET_KEEP_SIZE,),
            facts={"keep_size": keep_size(expectation)},
        )
    judge_all(*(partial(_judge_slot, expectation, observe, slot, findings) for slot in slots))


def _judge_slot(expectation: PostgresReplication, observe: Observe, slot: Slot, findings: Findings) -> None:
    here = findings.on(f"slot {slot.name}", slot=slot.name)
    _judge_kept_wal(expectation, slot, here)
    _judge_use(expectation, observe, slot, here)


def _judge_kept_wal(expectation: PostgresReplication, slot: Slot, findings: Findings) -> None:
    if (how := lost(slot)) is not None:
        expected, severity = "a slot that retains its WAL", expectation.worst_severity
        findings.add(observed=how, expected=expected, severity=severity, remedies=(DROP_LOST_SLOT,))
        return
    if slot.wal_status == "unreserved":
        observed, severity = (
            "wal_status is unreserved: the next checkpoint may remove its WAL",
            expectation.mild_slot_severity,
        )
        findings.add(observed=observed, expected="reserved", severity=severity, remedies=_FOR_SLOT)
    for what, size, limit in (
        ("WAL retained", slot.retained_bytes, expectation.slot_retained),
        ("WAL until lost", slot.safe_bytes, expectation.slot_safe),
    ):
        if size is not None:  # 0 bytes until it is lost is the worst value, not a missing one
            findings.grade(what, size, limit, unit="B", detail=described(slot), remedies=_FOR_SLOT)


def _judge_use(expectation: PostgresReplication, observe: Observe, slot: Slot, findings: Findings) -> None:
    limit, found = expectation.slot_inactive, _inactive(expectation, observe, slot)
    if limit is None or found is None:
        return
    seconds = found.at_least
    if seconds == found.at_most or limit.severity(seconds):
        detail = described(slot)
        findings.grade("inactive for", seconds, limit, detail=detail, since=found.since, remedies=_FOR_SLOT)
    worst = limit.steps[-1][0] if found.at_most is None else limit.severity(found.at_most)
    if limit.severity(seconds) != worst:  # the two bounds have different verdicts
        seen = f"for at least {format_duration(seconds)}" if seconds else "and no earlier run saw it"
        why = observe.observation(expectation.kept).forgotten
        text = f"slot {slot.name} is inactive, {seen}; PostgreSQL reports the time from 17 on{why and f': {why}'}"
        advice = "use a state file (--state FILE) in every run"
        raise CouldNotObserve(expectation.kept, Problem(kind=ProblemKind.FIRST_SAMPLE, text=text, advice=advice))


def lost(slot: Slot) -> str | None:
    """The reason of its loss; None while it is not lost."""
    if slot.invalid:
        return f"the slot is invalid: {slot.invalid}"
    return "its WAL is gone: wal_status is lost" if slot.wal_status == "lost" else None


def described(slot: Slot) -> str:
    """The kind and the state of a slot."""
    kind = f"{'temporary ' if slot.temporary else ''}{'logical' if slot.logical else 'physical'}"
    use = "active" if slot.active else "inactive"
    return ", ".join([kind, use, *([slot.wal_status] if slot.wal_status else [])])


def keep_size(expectation: PostgresReplication) -> str:
    """A suggested max_slot_wal_keep_size: the last limit on retained WAL."""
    most = expectation.slot_retained.steps[-1][1] if expectation.slot_retained else _SUGGESTED
    return f"{max(1, int(most / _MEGABYTE))}MB"


def _inactive(expectation: PostgresReplication, observe: Observe, slot: Slot) -> Inactive | None:
    """The time of its inactivity; None while it is active, or inactive by design."""
    if slot.active or slot.synced:
        return None
    answer = observe(expectation.kept)
    if slot.inactive_since is not None:
        age = _age(answer, slot.inactive_since)
        return Inactive(age, age, slot.inactive_since)
    return _as_seen(answer, slot, observe.earlier(expectation.kept))


def _as_seen(answer: Slots, slot: Slot, earlier: tuple[Sample[Slots], ...]) -> Inactive:
    """A slot that did not move between samples had no consumer; one that moved, or did not exist, had one."""
    least: datetime | None = None
    for sample in reversed(earlier):
        if sample.answer.epoch != answer.epoch:
            break
        before = next((one for one in sample.answer.slots if one.name == slot.name), None)
        if before is None or before.active or before.restart_lsn != slot.restart_lsn:
            return Inactive(_age(answer, least), _age(answer, sample.answer.taken_at), least)
        least = sample.answer.taken_at
    return Inactive(_age(answer, least), None, least)


def _age(answer: Slots, since: datetime | None) -> Duration:
    return Duration(max(timedelta(), answer.taken_at - since).total_seconds() if since else 0.0)


def _unknown(expectation: PostgresReplication, text: str, advice: str = "") -> CouldNotObserve:
    return CouldNotObserve(expectation.replication, Problem(kind=ProblemKind.UNSUPPORTED, text=text, advice=advice))
