"""What INFO tells of a server's snapshots and its append-only file."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from opscheck.core.observation import Problem, ProblemKind
from opscheck.core.units import Duration, Graded, format_duration
from opscheck.systems.redis.expectations.persistence import RedisPersistence
from opscheck.systems.redis.queries.info import ServerInfo
from opscheck.systems.redis.readings.servers import Server

_OK = "ok"
# Seconds between a server's start and the "last save" that it takes its start for.
_STARTING = 2.0


@dataclass(frozen=True)
class Failure:
    """Something that is not written."""

    observed: str
    expected: str
    fact: str
    evidence: tuple[str, ...] = ()


def failures(server: Server[ServerInfo], expectation: RedisPersistence) -> Iterator[Failure]:
    """What cannot be written, or is not. Raises CouldNotObserve where the server does not say."""
    info = server.answer
    status = server.known(info.rdb_last_bgsave_status, "rdb_last_bgsave_status")
    if status != _OK:
        yield Failure(f"the last snapshot failed: {status}", "ok", "failed", tuple(_since(info)))
    if not server.known(info.aof_enabled, "aof_enabled"):
        if expectation.by in {"append-only", "both"}:
            yield Failure("the append-only file is off", "on", "off")
        return
    written = server.known(info.aof_last_write_status, "aof_last_write_status")
    if written != _OK:
        yield Failure(f"the last write to the append-only file failed: {written}", "ok", "unwritten")
    rewritten = server.known(info.aof_last_bgrewrite_status, "aof_last_bgrewrite_status")
    if rewritten != _OK:
        yield Failure(f"the last rewrite of the append-only file failed: {rewritten}", "ok", "unshortened")


def _since(info: ServerInfo) -> Iterator[str]:
    if info.rdb_changes_since_last_save:
        yield f"{info.rdb_changes_since_last_save} changes are in memory alone"


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
