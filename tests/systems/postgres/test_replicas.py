"""The evaluation of replicas, without a server."""

from typing import Any

import pytest

from opscheck import Duration
from opscheck.core.observation import CouldNotObserve
from opscheck.systems.postgres.replicas import behind_bytes, lag, missing_facts, missing_names, replicas, silence
from opscheck.systems.postgres.replication import ReadReplication, Replication, Sender

QUERY = ReadReplication("database")


def sender(application: str = "standby_1", **changed: Any) -> Sender:
    fields = {
        "pid": 7,
        "application": application,
        "client": "10.0.0.2",
        "state": "streaming",
        "sync_state": "async",
        "slot": None,
        "logical": False,
        "unsent_bytes": 0,
        "unflushed_bytes": 10,
        "behind_bytes": 2000,
        "lag_s": 3.0,
        "silent_s": 1.0,
    }
    return Sender(**(fields | changed))


def primary(*senders: Sender, timeout_s: float = 60.0) -> Replication:
    return Replication(standby=False, senders=senders, sender_timeout_s=timeout_s, receiver=None, replay=None)


@pytest.mark.parametrize(
    ("who", "is_one"),
    [
        (sender(), True),
        (sender("walreceiver", state="catchup"), True),
        (sender("pg_basebackup"), False),
        (sender("pg_receivewal"), False),
        (sender("pg_rewind"), False),
        (sender("backup-tool", state="backup"), False),
        (sender("subscription", logical=True), False),
        (sender("", state="startup"), False),
    ],
)
def test_replicas_are_selected_by_default_and_by_pattern(who, is_one):
    assert [is_one, is_one] == [bool(replicas(primary(who), names, "streaming")) for names in (None, ("*",))]


@pytest.mark.parametrize("name", ["pg_receivewal", "subscription"])
def test_tools_and_subscribers_need_their_exact_name(name):
    there = primary(sender(name, logical=name == "subscription"))

    assert [f"replica {name}"] == [one.subject for one in replicas(there, (name,), "streaming")]


def test_only_named_replicas_are_judged():
    there = primary(sender("standby_1"), sender("standby_2"), sender("test-copy"))

    assert ["replica standby_1", "replica standby_2"] == [
        one.subject for one in replicas(there, ("standby_*",), "streaming")
    ]


def test_pattern_without_match_is_missing():
    there = primary(sender("standby_1"), sender("pg_basebackup"))

    assert ["standby_2", "pg_*"] == missing_names(there, ("standby_?", "standby_2", "pg_*"))
    assert ({"missing": "standby_2"}, {}) == (missing_facts("standby_2"), missing_facts("pg_*"))


def test_replicas_of_one_name_have_different_subjects():
    there = primary(sender("walreceiver", pid=1), sender("walreceiver", pid=2, client=""))

    assert ["replica walreceiver from 10.0.0.2 (pid 1)", "replica walreceiver from a Unix socket (pid 2)"] == [
        one.subject for one in replicas(there, None, "streaming")
    ]


def test_catching_up_replica_counts_only_by_policy():
    there = primary(sender(state="catchup"))

    (strict,), (patient,) = replicas(there, None, "streaming"), replicas(there, None, "catchup")

    assert (False, True) == (strict.in_state, patient.in_state)


@pytest.mark.parametrize(
    ("sync_state", "synchronous"), [("sync", True), ("quorum", True), ("potential", False), ("async", False)]
)
def test_synchronous_states_are_sync_and_quorum(sync_state, synchronous):
    (one,) = replicas(primary(sender(sync_state=sync_state)), None, "streaming")

    assert synchronous == one.synchronous


@pytest.mark.parametrize(
    ("changed", "seconds"),
    [
        pytest.param({"lag_s": None, "caught_up_s": 0.0}, 0, id="NULL on an idle primary"),
        pytest.param({"lag_s": 900.0, "caught_up_s": 0.2}, 0.2, id="caught up meanwhile"),
        pytest.param({"lag_s": 900.0}, 900, id="behind"),
        pytest.param({"lag_s": -1.0}, 0, id="a clock that was set"),
    ],
)
def test_lag_of_a_replica_is_computed(changed, seconds):
    (one,) = replicas(primary(sender(**changed)), None, "streaming")

    assert seconds == lag(QUERY, one)


def test_lagging_replica_without_replay_lag_is_unknown():
    (one,) = replicas(primary(sender(lag_s=None)), None, "streaming")

    with pytest.raises(CouldNotObserve, match="replica standby_1 is behind, and its replay_lag is not reported yet"):
        lag(QUERY, one)


def test_replica_without_reply_is_unknown():
    (one,) = replicas(primary(sender(unsent_bytes=None, unflushed_bytes=None, behind_bytes=None)), None, "streaming")

    assert "streaming" == one.detail
    with pytest.raises(CouldNotObserve, match="has not reported its replay position yet"):
        behind_bytes(QUERY, one)


def test_replica_that_caught_up_has_replayed_all():
    (one,) = replicas(primary(sender(behind_bytes=None, caught_up_s=0.1)), None, "streaming")

    assert 0 == behind_bytes(QUERY, one)


@pytest.mark.parametrize(
    ("silent_s", "timeout_s", "limit", "found"),
    [
        (59, 60, None, None),
        (61, 60, None, (61, 60)),
        (61, 300, None, None),
        (61, 0, None, (61, 60)),
        (61, 300, Duration(10), (61, 10)),
        (None, 60, None, None),
    ],
)
def test_silence_limit_of_a_replica_is_applied(silent_s, timeout_s, limit, found):
    answer = primary(sender(silent_s=silent_s), timeout_s=timeout_s)
    (one,) = replicas(answer, None, "streaming")

    assert found == silence(answer, one, limit)
