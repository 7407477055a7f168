"""redis.persistence against real servers that save, cannot save and never save, and the trap of a fresh start."""

import pytest

from checks.redis import test_persistence
from opscheck import Severity
from opscheck.core.observation import CouldNotObserve
from opscheck.demo.redis import Redis
from opscheck.systems.redis.info import ServerInfo
from opscheck.systems.redis.persistence import UNSAVED, RedisPersistence
from tests.checks.redis import judging
from tests.checks.redis.judging import commands
from tests.servers.redis import failing_append_only_file, failing_snapshots, loading, say, snapshot, up_for

pytestmark = pytest.mark.usefixtures("redis_program")

NOW = 1_800_000_000
SAVED = ServerInfo(
    server_time_usec=NOW * 1_000_000,
    uptime_in_seconds=1_000_000,
    rdb_last_bgsave_status="ok",
    rdb_last_save_time=NOW - 60,
    rdb_changes_since_last_save=5,
    rdb_saves=3,
    aof_enabled=False,
)


def judged(server, **fields):
    given = {"severity": "P1"} | ({} if fields.get("by") == "append-only" else {"age": "1h"}) | fields
    return judging.judged(test_persistence.test_written_data_survives_a_restart, RedisPersistence, server, **given)


def with_(**fields) -> ServerInfo:
    return ServerInfo(**{name: getattr(SAVED, name) for name in SAVED.__struct_fields__} | fields)


@pytest.fixture(name="redis")
def _redis(redis_program):
    with Redis() as server:
        yield server


def test_a_server_that_saved_passes_with_the_age(redis):
    say(redis, "SET", "one", "1")
    up_for(redis, 5)  # the times of Redis are whole seconds, and less than 2 s after its start count as the start
    snapshot(redis)
    say(redis, "SET", "two", "2")

    findings = judged(redis)

    assert [] == findings.violations
    (age,) = findings.measurements
    assert ("unsaved changes for", "s", 3600.0) == (age.name, age.unit, age.limit)


def test_a_snapshot_that_fails_is_found(redis, tmp_path):
    with failing_snapshots(redis, tmp_path / "gone"):
        (finding, *_) = judged(redis).violations

    assert (Severity.P1, "last snapshot failed: err", "ok") == (
        finding.severity,
        finding.observed,
        finding.expected,
    )
    assert f"redis://127.0.0.1:{redis.port}/0" == finding.subject
    assert any(command.endswith("bgsave  # once the cause is fixed") for command in commands(finding))


def test_a_server_that_never_saved_and_has_changes_loses_them(redis):
    """`save ""` and no append-only file: persistence is off."""
    say(redis, "SET", "one", "1")
    up_for(redis, 2)

    (finding,) = judged(redis, age="1s").violations

    assert "1 change, no save since the start" in finding.observed
    assert "<= 1s" == finding.expected
    assert finding.since


def test_fresh_start_is_unknown(redis):
    """Its rdb_last_save_time is the time of its start, so that it looks freshly saved."""
    say(redis, "SET", "one", "1")

    with pytest.raises(CouldNotObserve) as raised:
        judged(redis)

    assert "has not saved since" in raised.value.problem.text


def test_server_without_changes_passes(redis):
    assert [] == judged(redis, age="1s").violations


def test_an_old_snapshot_is_found_only_when_something_has_changed():
    old = with_(rdb_last_save_time=NOW - 7200)

    (finding,) = judged(old, age={"P2": "1h", "P0": "1d"}).violations

    assert (Severity.P2, "<= 1h") == (finding.severity, finding.expected)
    assert "unsaved changes for 2h (5 changes)" == finding.observed
    assert [] == judged(with_(rdb_last_save_time=NOW - 7200, rdb_changes_since_last_save=0)).violations


def test_save_at_the_start_does_not_count_before_redis_7():
    """rdb_saves is missing there."""
    fresh = with_(rdb_saves=None, uptime_in_seconds=7200, rdb_last_save_time=NOW - 7200)

    (finding,) = judged(fresh).violations

    assert "unsaved changes for 2h (5 changes, no save since the start)" == finding.observed
    assert [] == judged(with_(rdb_saves=None)).violations


def test_an_append_only_file_keeps_the_data():
    with Redis(appendonly="yes") as redis:
        say(redis, "SET", "one", "1")
        up_for(redis, 2)

        assert [] == judged(redis, age="1s").violations
        assert [] == judged(redis, by="append-only").violations
        (finding,) = judged(redis, age="1s", by="snapshot").violations
        assert UNSAVED.summary == finding.remediation.summary


def test_disabled_append_only_file_is_reported(redis):
    (finding,) = judged(redis, by="append-only").violations

    assert ("append-only file is off", "on") == (finding.observed, finding.expected)
    assert any("appendonly yes" in command for command in commands(finding))


def test_an_append_only_file_that_cannot_be_rewritten_is_found(tmp_path):
    with Redis(appendonly="yes") as redis, failing_append_only_file(redis, tmp_path / "gone"):
        findings = judged(redis)

    assert "last rewrite of the append-only file failed: err" in [one.observed for one in findings.violations]


def test_an_append_only_file_that_cannot_be_written_is_found():
    info = with_(aof_enabled=True, aof_last_write_status="err", aof_last_bgrewrite_status="ok")

    (finding,) = judged(info).violations

    assert "last write to the append-only file failed: err" == finding.observed


def test_a_server_that_loads_is_unknown():
    with Redis() as redis, loading(redis), pytest.raises(CouldNotObserve) as raised:
        judged(redis)

    assert "loading its data set from disk" in raised.value.problem.text


@pytest.mark.parametrize(
    "missing",
    ["rdb_last_bgsave_status", "aof_enabled", "rdb_changes_since_last_save", "rdb_last_save_time", "uptime_in_seconds"],
)
def test_missing_field_is_unknown(missing):
    with pytest.raises(CouldNotObserve) as raised:
        judged(with_(**{missing: None}))

    assert f"does not report {missing}" in raised.value.problem.text
