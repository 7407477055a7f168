"""What Redis and Valkey servers keep on disk."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from opscheck import Findings, Observe
from opscheck.core.observation import Problem, ProblemKind
from opscheck.core.record import Finding
from opscheck.core.remedy import Remedy
from opscheck.core.units import Duration, Graded, format_duration
from opscheck.systems.redis.info import ServerInfo, loaded
from opscheck.systems.redis.persistence import (
    APPEND_ONLY_OFF,
    REWRITE_FAILED,
    SNAPSHOT_FAILED,
    UNSAVED,
    WRITE_FAILED,
    RedisPersistence,
)
from opscheck.systems.redis.servers import Server, each_server

_OK = "ok"
# Seconds between a server's start and the "last save" that it takes its start for.
_STARTING = 2.0


def test_what_is_written_survives_a_restart(
    expectation: RedisPersistence, observe: Observe, findings: Findings
) -> None:
    """
    What is written survives a restart.

    What is in memory alone is lost when the process ends; and a server whose snapshot or append-only file fails
    refuses writes soon.
    """

    def judge(server: Server[ServerInfo]) -> None:
        info = loaded(server)
        findings.report_all(failures(server, expectation))
        if expectation.age is None or not snapshots_count(info, expectation):
            return
        changed = unsaved(server, expectation.age, observe.now)
        findings.grade(
            "not saved for",
            changed.seconds,
            expectation.age,
            unit="s",
            subject=server.address,
            detail=changed.detail,
            since=changed.since,
            remedies=[UNSAVED],
            facts={"server": server.address},
        )

    each_server(expectation, expectation.info, observe, judge)


def failures(server: Server[ServerInfo], expectation: RedisPersistence) -> Iterator[Finding]:
    """What cannot be written, or is not. Raises CouldNotObserve where the server does not say."""

    def finding(observed: str, remedy: Remedy, *evidence: str, expected: str = _OK) -> Finding:
        return expectation.finding(
            subject=server.address,
            observed=observed,
            expected=expected,
            evidence=evidence,
            remedies=[remedy],
            facts={"server": server.address},
        )

    info = server.answer
    status = server.known(info.rdb_last_bgsave_status, "rdb_last_bgsave_status")
    if status != _OK:
        changes = info.rdb_changes_since_last_save
        evidence = [f"{changes} changes are in memory alone"] if changes else []
        yield finding(f"the last snapshot failed: {status}", SNAPSHOT_FAILED, *evidence)
    if not server.known(info.aof_enabled, "aof_enabled"):
        if expectation.by in {"append-only", "both"}:
            yield finding("the append-only file is off", APPEND_ONLY_OFF, expected="on")
        return
    written = server.known(info.aof_last_write_status, "aof_last_write_status")
    if written != _OK:
        yield finding(f"the last write to the append-only file failed: {written}", WRITE_FAILED)
    rewritten = server.known(info.aof_last_bgrewrite_status, "aof_last_bgrewrite_status")
    if rewritten != _OK:
        yield finding(f"the last rewrite of the append-only file failed: {rewritten}", REWRITE_FAILED)


def snapshots_count(info: ServerInfo, expectation: RedisPersistence) -> bool:
    """Whether the data would be lost without a snapshot, by the policy's word."""
    return expectation.by in {"snapshot", "both"} or (expectation.by == "any" and not info.aof_enabled)


@dataclass(frozen=True)
class Unsaved:
    """What changed and is in memory alone."""

    seconds: float
    """How long ago it may have changed."""
    since: datetime | None
    detail: str


def unsaved(server: Server[ServerInfo], limit: Graded[Duration], now: datetime) -> Unsaved:
    """
    How old changes may be that no snapshot holds; nothing when there are none.

    Raises CouldNotObserve where the server does not say, and where it has not saved since it started, which was too
    short a time ago to prove anything: from a start on it gives that for the time of the last save.
    """
    info = server.answer
    changes = server.known(info.rdb_changes_since_last_save, "rdb_changes_since_last_save")
    if not changes:
        return Unsaved(0.0, None, "nothing has changed since the last snapshot")
    uptime = server.known(info.uptime_in_seconds, "uptime_in_seconds")
    saved_at = server.known(info.rdb_last_save_time, "rdb_last_save_time")
    clock = (info.server_time or now).timestamp()
    if _has_saved(info, clock - uptime):
        return Unsaved(max(0.0, clock - saved_at), _time(saved_at), f"{changes} changes")
    if limit.severity(uptime) is None:
        raise server.unknown(_started(server, uptime))
    detail = f"{changes} changes; it has not saved since it started"
    return Unsaved(float(uptime), _time(int(clock - uptime)), detail)


def _has_saved(info: ServerInfo, started: float) -> bool:
    return bool(info.rdb_saves) or (info.rdb_last_save_time or 0) > started + _STARTING


def _started(server: Server[ServerInfo], uptime: int) -> Problem:
    text = f"{server.reply.node} started {format_duration(uptime)} ago and has not saved since"
    advice = "it takes its start for its last save; ask again when it has saved, or type BGSAVE"
    return Problem(kind=ProblemKind.UNSUPPORTED, text=text, advice=advice)


def _time(seconds: int) -> datetime | None:
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, OSError, ValueError):
        return None
