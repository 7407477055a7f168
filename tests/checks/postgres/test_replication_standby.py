"""The evaluation of a standby, without a server."""

from typing import Any

import pytest

from checks.postgres.test_replication import (
    lag_detail,
    own_replay,
    replay_lag,
    report_cut_off,
    report_pause,
    unreplayed_bytes,
)
from opscheck import Findings, PostgresTarget
from opscheck.core.observation import CouldNotObserve
from opscheck.systems.postgres.replication import PostgresReplication, Receiver, Replay, Replication
from opscheck.testing import expect

TARGET = PostgresTarget(kind="postgres", dsn="postgresql://someone@127.0.0.1/shop")
STREAMING = Receiver(status="streaming", silent_s=1.0, sender="10.0.0.1:5432", sent_bytes=0)


def expectation(**fields: Any) -> PostgresReplication:
    return expect(PostgresReplication, TARGET, lag={"P1": "5m"}, **fields)


def replay(**changed: Any) -> Replay:
    fields = {
        "received": "0/5000000",
        "replayed": "0/5000000",
        "unreplayed_bytes": 0,
        "replayed_age_s": 7200.0,
        "pause": "not paused",
        "delay_s": 0.0,
        "receiver_timeout_s": 60.0,
        "follows": True,
        "caught_up_s": 0.0,
    }
    return Replay(**(fields | changed))


def receiver(**changed: Any) -> Receiver:
    fields = {"status": "streaming", "silent_s": 1.0, "sender": "10.0.0.1:5432", "sent_bytes": 0}
    return Receiver(**(fields | changed))


def standby(receiver: Receiver | None, replay: Replay | None) -> Replication:
    return Replication(standby=True, senders=(), sender_timeout_s=60.0, receiver=receiver, replay=replay)


def judged(receiver: Receiver | None, where: Replay, **fields: Any) -> str | None:
    findings = Findings(expectation(**fields))
    cut_off = report_cut_off(expectation(**fields), standby(receiver, where), where, findings)
    return only(findings, found=cut_off)


def only(findings: Findings, *, found: bool) -> str | None:
    """The finding; None where `found` is None."""
    observed = [one.observed for one in findings.violations]
    assert found == bool(observed)
    return observed[0] if observed else None


@pytest.mark.parametrize(
    ("line", "where", "observed"),
    [
        pytest.param(receiver(), replay(), None, id="streams"),
        pytest.param(None, replay(), "no WAL receiver: disconnected from its primary", id="disconnected"),
        pytest.param(
            None, replay(received=None), "no WAL receiver: disconnected from its primary", id="never connected"
        ),
        pytest.param(
            None, replay(follows=False), "no WAL receiver: disconnected from its primary", id="told to forget it"
        ),
        pytest.param(receiver(status="waiting"), replay(), "the WAL receiver is waiting", id="waits"),
        pytest.param(receiver(silent_s=61.0), replay(), "nothing received for 1m1s", id="silent"),
        pytest.param(receiver(silent_s=61.0), replay(receiver_timeout_s=300.0), None, id="a patient one"),
    ],
)
def test_disconnected_standby_is_violated(line, where, observed):
    assert observed == judged(line, where)


@pytest.mark.parametrize(
    ("line", "where", "why"),
    [
        pytest.param(None, replay(received=None, follows=False), "primary_conninfo is not set", id="log shipping"),
        pytest.param(None, replay(received=None, follows=None), "primary_conninfo is not set", id="hidden"),
        pytest.param(
            receiver(silent_s=61.0), replay(receiver_timeout_s=0.0), "wal_receiver_timeout is 0", id="no time-out"
        ),
        pytest.param(receiver(silent_s=None), replay(), "does not report its last message", id="nothing heard"),
    ],
)
def test_standby_without_evidence_is_unknown(line, where, why):
    with pytest.raises(CouldNotObserve, match=why):
        judged(line, where)


def test_silence_limit_comes_from_the_policy():
    assert judged(receiver(silent_s=11.0), replay(receiver_timeout_s=0.0), silence="10s") is not None
    assert judged(receiver(silent_s=200.0), replay(), silence="5m") is None


def test_log_shipping_needs_no_receiver():
    assert judged(None, replay(received=None, follows=False), log_shipping=True) is None


@pytest.mark.parametrize(
    ("state", "observed"),
    [("not paused", None), ("paused", "replay is paused"), ("pause requested", "pause requested")],
)
def test_requested_pause_is_violated(state, observed):
    findings = Findings(expectation())

    assert observed == only(findings, found=report_pause(replay(pause=state), findings))


@pytest.mark.parametrize(
    ("changed", "fields", "seconds"),
    [
        pytest.param({}, {}, 0, id="an idle primary"),
        pytest.param({"caught_up_s": 0.3}, {}, 0.3, id="a commit after hours"),
        pytest.param({"caught_up_s": None, "replayed_age_s": 90.0}, {}, 90, id="behind"),
        pytest.param({"caught_up_s": None, "replayed_age_s": -2.0}, {}, 0, id="clocks that differ"),
        pytest.param({}, {"log_shipping": True}, 7200, id="log shipping"),
    ],
)
def test_lag_of_a_standby_is_judged(changed, fields, seconds):
    assert seconds == replay_lag(expectation(**fields), replay(**changed))


def test_lag_without_replayed_transaction_is_unknown():
    with pytest.raises(CouldNotObserve, match="no transaction replayed since the standby started"):
        replay_lag(expectation(), replay(caught_up_s=None, replayed_age_s=None))


@pytest.mark.parametrize(
    ("line", "changed", "size"),
    [
        pytest.param(receiver(), {}, 0, id="near"),
        pytest.param(receiver(sent_bytes=900), {"unreplayed_bytes": 100}, 900, id="on its way"),
        pytest.param(receiver(sent_bytes=-50), {}, 0, id="just connected"),
        pytest.param(receiver(sent_bytes=None), {"unreplayed_bytes": 100}, 100, id="its sender told nothing"),
    ],
)
def test_unreplayed_bytes_of_a_standby_are_judged(line, changed, size):
    where = replay(**changed)

    assert size == unreplayed_bytes(expectation(), standby(line, where), where)


def test_bytes_are_unknown_without_a_receiver():
    where = replay(received=None, unreplayed_bytes=None)

    with pytest.raises(CouldNotObserve, match="without a WAL receiver the amount of WAL is unknown"):
        unreplayed_bytes(expectation(log_shipping=True), standby(None, where), where)


def test_configured_delay_is_reported():
    assert "last transaction 2h ago, recovery_min_apply_delay is 1h" in lag_detail(replay(delay_s=3600.0))


def test_answer_without_replay_is_unknown():
    with pytest.raises(CouldNotObserve):
        own_replay(expectation(), standby(STREAMING, None))
