"""The snapshots and append-only files of Redis and Valkey servers."""

from datetime import datetime

from opscheck import Findings, Observe
from opscheck.core.units import Duration, Graded, format_duration
from opscheck.core.words import counted
from opscheck.systems.redis.info import ServerInfo, loaded, moment
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
# A last save within so many seconds of the server's start is the start itself.
_STARTING = 2.0


def test_written_data_survives_a_restart(expectation: RedisPersistence, observe: Observe, findings: Findings) -> None:
    """
    Written data survives a restart: snapshots and the AOF are recent and succeed.

    Data that is only in memory is lost when the process ends. After a failed snapshot or append-only write, a server
    refuses writes.
    """

    def judge(server: Server[ServerInfo], here: Findings) -> None:
        info = loaded(server)
        _judge_writes(expectation, server, here)
        if (limit := expectation.age) is not None and _snapshots_count(info, expectation):
            seconds, since, detail = _unsaved(server, limit, observe.now)
            here.grade("unsaved changes for", seconds, limit, unit="s", detail=detail, since=since, remedies=[UNSAVED])

    each_server(expectation, expectation.info, observe, findings, judge)


def _judge_writes(expectation: RedisPersistence, server: Server[ServerInfo], findings: Findings) -> None:
    """Judge failed and missing writes. Raises CouldNotObserve where the server does not report them."""
    info = server.answer
    status = server.known(info.rdb_last_bgsave_status, "rdb_last_bgsave_status")
    if status != _OK:
        changes = info.rdb_changes_since_last_save
        evidence = [f"{counted(changes, 'change')} in memory only"] if changes else []
        observed = f"last snapshot failed: {status}"
        findings.add(observed=observed, expected=_OK, evidence=evidence, remedies=[SNAPSHOT_FAILED])
    if not server.known(info.aof_enabled, "aof_enabled"):
        if expectation.by in {"append-only", "both"}:
            findings.add(observed="append-only file is off", expected="on", remedies=[APPEND_ONLY_OFF])
        return
    written = server.known(info.aof_last_write_status, "aof_last_write_status")
    if written != _OK:
        observed = f"last write to the append-only file failed: {written}"
        findings.add(observed=observed, expected=_OK, remedies=[WRITE_FAILED])
    rewritten = server.known(info.aof_last_bgrewrite_status, "aof_last_bgrewrite_status")
    if rewritten != _OK:
        observed = f"last rewrite of the append-only file failed: {rewritten}"
        findings.add(observed=observed, expected=_OK, remedies=[REWRITE_FAILED])


def _snapshots_count(info: ServerInfo, expectation: RedisPersistence) -> bool:
    """True when the policy relies on snapshots."""
    return expectation.by in {"snapshot", "both"} or (expectation.by == "any" and not info.aof_enabled)


def _unsaved(server: Server[ServerInfo], limit: Graded[Duration], now: datetime) -> tuple[float, datetime | None, str]:
    """
    The maximum age of unsaved changes, its start, and a description; 0 without changes.

    Raises CouldNotObserve where the server does not report it, and where it has not saved since a recent start: a
    server reports its start as its last save.
    """
    info = server.answer
    changes = server.known(info.rdb_changes_since_last_save, "rdb_changes_since_last_save")
    if not changes:
        return 0.0, None, "no changes since the last snapshot"
    uptime = server.known(info.uptime_in_seconds, "uptime_in_seconds")
    saved_at = server.known(info.rdb_last_save_time, "rdb_last_save_time")
    clock = (info.server_time or now).timestamp()
    if info.rdb_saves or saved_at > clock - uptime + _STARTING:
        return max(0.0, clock - saved_at), moment(saved_at), counted(changes, "change")
    if limit.severity(uptime) is None:
        text = f"{server.reply.node} started {format_duration(uptime)} ago and has not saved since"
        advice = "its last save is its start; run again after a save, or run BGSAVE now"
        raise server.unknown(text, advice)
    return float(uptime), moment(int(clock - uptime)), f"{counted(changes, 'change')}, no save since the start"
