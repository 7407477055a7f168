"""The evaluation of slots, without a server."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from checks.postgres.test_replication import described, keep_size, lost
from checks.postgres.test_replication import test_replicas_are_connected_and_current as check
from opscheck import PostgresTarget, Severity
from opscheck.core.observation import CouldNotObserve, Sample
from opscheck.systems.postgres.replication import PostgresReplication, ReadSlots, Slot, Slots
from opscheck.testing import NOON, expect, judge

TARGET = PostgresTarget(kind="postgres", dsn="postgresql://someone@127.0.0.1/shop")
QUERY = ReadSlots("target")
INACTIVE = {"slot_inactive": {"P2": "10m", "P1": "1h"}}


def slot(name: str = "standby_1", **changed: Any) -> Slot:
    fields = {
        "name": name,
        "logical": False,
        "temporary": False,
        "active": False,
        "synced": False,
        "restart_lsn": "0/5000000",
        "retained_bytes": 100,
        "wal_status": "reserved",
        "safe_bytes": None,
        "invalid": None,
        "inactive_since": None,
    }
    return Slot(**(fields | changed))


def slots(*there: Slot, at: datetime = NOON, epoch: str = "7/1", keep_bytes: int | None = None) -> Slots:
    return Slots(epoch=epoch, taken_at=at, keep_bytes=keep_bytes, slots=there)


def seen(minutes: float, *there: Slot, epoch: str = "7/1") -> Sample[Slots]:
    at = NOON - timedelta(minutes=minutes)
    return Sample(taken_at=at, answer=slots(*there, at=at, epoch=epoch))


def found(*there: Slot, earlier: list[Sample[Slots]] | None = None, **fields: Any) -> list[tuple[Severity, str]]:
    expectation = expect(PostgresReplication, TARGET, **fields)
    given = None if earlier is None else {QUERY: earlier}
    judged = judge(check, expectation, {QUERY: slots(*there)}, earlier=given)
    return [(one.severity, one.observed) for one in judged.violations]


@pytest.mark.parametrize("safe", [0, -16777216])
def test_safe_wal_size_of_zero_is_judged(safe):
    ((severity, observed),) = found(slot(safe_bytes=safe), slot_safe={"P2": "1GB", "P0": "100MB"})

    assert Severity.P0 == severity
    assert observed.startswith("WAL until lost ")


def test_server_without_slots_passes():
    assert [] == found(slot_retained={"P1": "5GB"}, slot_unlimited="P2", **INACTIVE)


@pytest.mark.parametrize(
    ("changed", "how"),
    [
        ({}, None),
        ({"wal_status": None, "restart_lsn": None, "retained_bytes": None}, None),
        ({"wal_status": "unreserved"}, None),
        ({"wal_status": "lost"}, "its WAL is gone: wal_status is lost"),
        ({"wal_status": "lost", "invalid": "wal_removed"}, "the slot is invalid: wal_removed"),
        ({"invalid": "conflict"}, "the slot is invalid: conflict"),
    ],
)
def test_lost_slot_has_its_reason(changed, how):
    assert how == lost(slot(**changed))


def test_lost_slot_has_one_finding():
    gone = slot(wal_status="lost", retained_bytes=10**12, safe_bytes=0)
    judged = found(gone, slot_retained={"P2": "5GB", "P0": "20GB"}, slot_safe={"P1": "1GB"})

    assert [(Severity.P0, "its WAL is gone: wal_status is lost")] == judged


def test_unreserved_slot_has_the_first_severity():
    judged = [found(slot(wal_status=status), slot_safe={"P1": "1GB"}) for status in ("extended", "unreserved")]

    assert [[], [(Severity.P1, "wal_status is unreserved: the next checkpoint may remove its WAL")]] == judged
    assert "logical, active, unreserved" == described(slot(wal_status="unreserved", logical=True, active=True))


@pytest.mark.parametrize(
    ("earlier", "observed"),
    [
        pytest.param([seen(61, slot())], ["inactive for 1h1m"], id="never moved"),
        pytest.param([seen(90, slot(active=True)), seen(61, slot())], ["inactive for 1h1m"], id="used before that"),
        pytest.param([seen(9, slot(active=True))], [], id="used lately"),
        pytest.param([seen(9, slot(restart_lsn="0/1"))], [], id="moved lately"),
        pytest.param([seen(9)], [], id="made lately"),
        pytest.param([seen(20, slot(active=True)), seen(11, slot())], ["inactive for 11m"], id="some time ago"),
    ],
)
def test_inactivity_before_17_comes_from_earlier_runs(earlier, observed):
    judged = [text for _, text in found(slot(), earlier=earlier, **INACTIVE)]

    assert observed == [text.partition(" (")[0] for text in judged]


@pytest.mark.parametrize(
    ("earlier", "why"),
    [
        pytest.param(None, "no earlier run saw it.* from 17 on: no state file", id="no state file"),
        pytest.param([], "no earlier run saw it", id="the first run"),
        pytest.param([seen(9, slot())], "for at least 9m", id="not for long"),
        pytest.param([seen(11, slot())], "for at least 11m", id="long, perhaps longer"),
        pytest.param([seen(20, slot(active=True)), seen(9, slot())], "for at least 9m", id="between two limits"),
        pytest.param([seen(61, slot(), epoch="7/2")], "no earlier run saw it", id="another timeline"),
    ],
)
def test_inactivity_before_17_without_samples_is_unknown(earlier, why):
    with pytest.raises(CouldNotObserve, match=f"slot standby_1 is inactive, .*{why}"):
        found(slot(), earlier=earlier, **INACTIVE)


def test_unknown_slot_does_not_hide_others():
    expectation = expect(PostgresReplication, TARGET, **INACTIVE, slot_retained={"P1": "5GB"})
    observed = []

    def note(expectation, observe, findings):
        try:
            check(expectation, observe, findings)
        except CouldNotObserve:
            observed.extend(one.subject for one in findings.violations)

    judge(note, expectation, {QUERY: slots(slot("a"), slot("b", active=True, retained_bytes=10**11))})

    assert ["slot b"] == observed


@pytest.mark.parametrize("changed", [{"active": True}, {"synced": True}])
def test_active_and_synced_slots_are_not_inactive(changed):
    assert [] == found(slot(**changed), **INACTIVE)


def test_inactivity_from_17_on_comes_from_the_server():
    since = NOON.astimezone(UTC) - timedelta(minutes=30)

    assert [(Severity.P2, "inactive for 30m (physical, inactive, reserved)")] == found(
        slot(inactive_since=since), **INACTIVE
    )


def test_suggested_size_is_the_last_limit():
    assert "19073MB" == keep_size(expect(PostgresReplication, TARGET, slot_retained={"P1": "5GB", "P0": "20GB"}))
    assert "19073MB" == keep_size(expect(PostgresReplication, TARGET, slot_unlimited="P2", severity="P2"))
