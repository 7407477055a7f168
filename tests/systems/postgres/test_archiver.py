"""The evaluation of an archiver's answers, without a server."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from checks.postgres.test_archiver import must_archive
from opscheck import PostgresTarget
from opscheck.core.observation import CouldNotObserve
from opscheck.systems.postgres.archiver import Archiving, PostgresArchiver, not_archiving, unarchived, waiting
from opscheck.testing import expect

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
TARGET = PostgresTarget(kind="postgres", dsn="postgresql://someone@127.0.0.1/shop")
EXPECTATION = expect(PostgresArchiver, TARGET, age={"P2": "15m", "P1": "1h"})


def ago(**time: float) -> datetime:
    return NOON - timedelta(**time)


def archiving(**changed: Any) -> Archiving:
    fields = {
        "standby": False,
        "archive_mode": "on",
        "has_command": True,
        "discards": False,
        "archive_timeout_s": 0.0,
        "taken_at": NOON,
        "archived_count": 5,
        "failed_count": 0,
        "last_archived_wal": "000000010000000000000005",
        "last_archived_at": ago(hours=2),
        "last_failed_wal": None,
        "last_failed_at": None,
        "counting_since": ago(days=30),
        "unfinished_bytes": 0,
        "waiting": 0,
        "oldest_waiting": None,
        "oldest_waiting_since": None,
    }
    return Archiving(**(fields | changed))


NEVER = {"last_archived_at": None, "last_archived_wal": None, "archived_count": 0}
WAITS = {"waiting": 3, "oldest_waiting": "000000010000000000000006.ready"}


@pytest.mark.parametrize(
    ("changed", "failing"),
    [
        ({}, False),
        ({"last_failed_at": ago(hours=3)}, False),
        ({"last_failed_at": ago(hours=1)}, True),
        ({"last_failed_at": ago(days=9), **NEVER}, True),
        (NEVER, False),
    ],
)
def test_never_successful_archiver_is_failing(changed, failing):
    assert failing == archiving(**changed).failing


@pytest.mark.parametrize(
    ("changed", "seconds"),
    [
        ({}, 0),
        ({**WAITS, "oldest_waiting_since": ago(minutes=20)}, 20 * 60),
        ({**WAITS, "oldest_waiting_since": ago(minutes=-1)}, 0),
        ({"last_failed_at": ago(minutes=5)}, 5 * 60),
    ],
)
def test_wait_of_wal_is_measured(changed, seconds):
    assert seconds == waiting(archiving(**changed)).seconds


def test_waiting_and_failed_files_are_facts():
    failed = {"last_failed_at": ago(minutes=1), "last_failed_wal": "000000010000000000000007"}
    queue = waiting(archiving(**WAITS, **failed, oldest_waiting_since=ago(hours=1), failed_count=9))

    assert {
        "waiting_wal": "000000010000000000000006",
        "failed_wal": "000000010000000000000007",
    } == queue.facts
    assert "3 files; the last attempt failed" == queue.detail
    assert [
        "5 archived and 9 failures since 2026-01-30 12:00 UTC",
        "last archived: 000000010000000000000005, 2h ago",
        "last failed: 000000010000000000000007, 1m ago",
    ] == queue.evidence


@pytest.mark.parametrize(
    ("changed", "seconds", "judged"),
    [
        pytest.param({"unfinished_bytes": 400}, 7200, False, id="idle"),
        pytest.param({"unfinished_bytes": 5000}, 7200, True, id="a segment that nothing ends"),
        pytest.param({"unfinished_bytes": 5000, "archive_timeout_s": 300}, 300, True, id="archive_timeout ends it"),
        pytest.param(
            {**WAITS, "archive_timeout_s": 300, "oldest_waiting_since": ago(minutes=10)}, 900, True, id="ended, waits"
        ),
        pytest.param({**WAITS, "oldest_waiting_since": ago(minutes=10)}, 7200, True, id="full, waits"),
        pytest.param(
            {**WAITS, "archive_timeout_s": 300, "oldest_waiting_since": ago(hours=9)}, 7200, True, id="archived since"
        ),
        pytest.param({**WAITS, **NEVER, "counting_since": ago(hours=3)}, 10800, True, id="never"),
        pytest.param(
            {**WAITS, "standby": True, "archive_timeout_s": 60, "oldest_waiting_since": ago(minutes=1)},
            7200,
            True,
            id="archive_timeout is its primary's",
        ),
    ],
)
def test_age_of_unarchived_changes_is_measured(changed, seconds, judged):
    outside = unarchived(EXPECTATION.archiver, EXPECTATION.age, archiving(**changed))

    assert (seconds, judged) == (outside.seconds, outside.judged)


def test_archiver_without_times_is_unknown():
    with pytest.raises(CouldNotObserve, match="neither its last archiving nor the start of its counters"):
        unarchived(EXPECTATION.archiver, EXPECTATION.age, archiving(**NEVER, counting_since=None))


def test_archive_timeout_is_suggested_only_if_it_helps():
    assert {"archive_timeout": "900"} == unarchived(
        EXPECTATION.archiver, EXPECTATION.age, archiving(unfinished_bytes=5000)
    ).facts
    assert {} == unarchived(EXPECTATION.archiver, EXPECTATION.age, archiving(**WAITS)).facts


@pytest.mark.parametrize(
    ("changed", "observed"),
    [
        ({}, None),
        ({"archive_mode": "always"}, None),
        ({"archive_mode": "off"}, "archive_mode is off: no WAL is archived"),
        ({"has_command": False}, "neither archive_command nor archive_library is set: WAL piles up"),
        ({"discards": True}, "archive_command succeeds without storing anything"),
    ],
)
def test_settings_without_archiving_have_a_reason(changed, observed):
    fault = not_archiving(archiving(**changed))

    assert observed == (fault and fault.observed)


@pytest.mark.parametrize(
    ("standby", "mode", "on_standby", "must"),
    [
        (False, "off", "skip", True),
        (True, "on", "unknown", False),
        (True, "off", "unknown", True),
        (True, "off", "skip", False),
        (True, "always", "skip", True),
    ],
)
def test_standby_is_judged_by_archive_mode_and_policy(standby, mode, on_standby, must):
    expectation = expect(PostgresArchiver, TARGET, age={"P1": "1h"}, on_standby=on_standby)
    answer = archiving(standby=standby, archive_mode=mode)

    try:
        must_archive(expectation, answer)
    except CouldNotObserve:
        assert not must
    else:
        assert must
