"""What a standby receives and replays."""

from dataclasses import dataclass

from opscheck.core.observation import CouldNotObserve, Problem, ProblemKind
from opscheck.core.units import ByteSize, Duration, format_bytes, format_duration
from opscheck.systems.postgres.replicas import DEFAULT_SILENCE
from opscheck.systems.postgres.replication import PostgresReplication, Receiver, Replay, Replication

_STREAMING = "streaming"
_NOT_PAUSED = "not paused"


@dataclass(frozen=True)
class Standstill:
    """Why a standby's copy grows old, whatever its lag."""

    observed: str
    expected: str
    evidence: list[str]
    facts: dict[str, str]


def own_replay(expectation: PostgresReplication, answer: Replication) -> Replay:
    """Its replay. Raises CouldNotObserve for an answer without one."""
    if answer.replay is None:
        raise _unknown(expectation, "a standby that does not tell what it has replayed")
    return answer.replay


def cut_off(expectation: PostgresReplication, answer: Replication, replay: Replay) -> Standstill | None:
    """
    Why nothing reaches the standby; None while its receiver is connected and hears from its sender.

    Raises CouldNotObserve where nobody can tell: it never had a receiver, or its silence means nothing.
    """
    if expectation.log_shipping:
        return None
    receiver = answer.receiver
    if receiver is None:
        if replay.received is None and not replay.follows:
            raise _unknown(
                expectation,
                "this standby has no receiver, and primary_conninfo is not set: nothing tells how far its primary is",
                "judge its primary, or set `log_shipping: true` where it is fed from an archive",
            )
        return _standstill("no WAL receiver: it is cut off from its primary", replay)
    if receiver.status != _STREAMING:
        return _standstill(f"the WAL receiver is {receiver.status}", replay, receiver)
    return _silence(expectation, receiver, replay)


def paused(replay: Replay) -> Standstill | None:
    """Whether its replay is paused; None while it is not."""
    if replay.pause == _NOT_PAUSED:
        return None
    return Standstill(
        observed=f"replay is {replay.pause}" if replay.pause == "paused" else replay.pause,
        expected="replay that goes on",
        evidence=_progress(replay),
        facts={"paused_at": replay.replayed} if replay.replayed else {},
    )


def replay_lag(expectation: PostgresReplication, replay: Replay) -> Duration:
    """
    How far its replay is behind in time. Raises CouldNotObserve where nobody knows.

    To be asked of a standby that is not cut off: one that has replayed all it got would have no lag for ever.
    """
    if replay.caught_up_s is not None and not expectation.log_shipping:
        return Duration(replay.caught_up_s)
    if replay.replayed_age_s is None:
        raise _unknown(expectation, "no transaction has been replayed since the standby started, so its lag is unknown")
    return Duration(max(0.0, replay.replayed_age_s))


def unreplayed_bytes(expectation: PostgresReplication, answer: Replication, replay: Replay) -> ByteSize:
    """What its sender told of and is not replayed. Raises CouldNotObserve where nothing was received."""
    told = [replay.unreplayed_bytes, answer.receiver.sent_bytes if answer.receiver else None]
    known = [size for size in told if size is not None]
    if not known or (expectation.log_shipping and answer.receiver is None):
        raise _unknown(expectation, "without a receiver nothing tells how much WAL there is", "judge `lag` alone")
    return ByteSize(max(0, *known))


def lag_detail(replay: Replay) -> str:
    """What a lag is made of."""
    last = "none since its start" if replay.replayed_age_s is None else f"{format_duration(replay.replayed_age_s)} ago"
    delay = f", recovery_min_apply_delay is {format_duration(replay.delay_s)}" if replay.delay_s else ""
    return f"received {replay.received or 'nothing'}, replayed {replay.replayed}, last transaction {last}{delay}"


def lag_facts(replay: Replay) -> dict[str, str]:
    """What remediation commands may name of a standby that lags."""
    return {"replayed": replay.replayed} if replay.replayed else {}


def _silence(expectation: PostgresReplication, receiver: Receiver, replay: Replay) -> Standstill | None:
    allowed = expectation.silence or replay.receiver_timeout_s or DEFAULT_SILENCE
    silent = receiver.silent_s
    if silent is None:
        raise _unknown(expectation, "the WAL receiver does not tell when it last heard from its sender")
    if silent <= allowed:
        return None
    if expectation.silence is None and not replay.receiver_timeout_s:
        raise _unknown(
            expectation,
            f"nothing was received for {format_duration(silent)}, and wal_receiver_timeout is 0: an idle sender and "
            "a dead one look alike",
            "set `silence`, or wal_receiver_timeout on the standby",
        )
    observed = f"nothing was received for {format_duration(silent)}"
    return _standstill(observed, replay, receiver, f"a message in the last {format_duration(allowed)}")


def _standstill(
    observed: str, replay: Replay, receiver: Receiver | None = None, expected: str = "a WAL receiver that streams"
) -> Standstill:
    known = replay.received or replay.replayed
    sender = [f"its sender is {receiver.sender}"] if receiver and receiver.sender else []
    return Standstill(observed, expected, [*sender, *_progress(replay)], {"cut_off": known} if known else {})


def _progress(replay: Replay) -> list[str]:
    waiting = format_bytes(replay.unreplayed_bytes or 0)
    return [lag_detail(replay), f"{waiting} received and not replayed"]


def _unknown(expectation: PostgresReplication, text: str, advice: str = "") -> CouldNotObserve:
    return CouldNotObserve(expectation.replication, Problem(kind=ProblemKind.UNSUPPORTED, text=text, advice=advice))
