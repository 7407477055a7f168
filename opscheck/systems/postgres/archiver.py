"""postgres.archiver: WAL reaches its archive."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, ClassVar, Literal

import msgspec

from opscheck.core.observation import CouldNotObserve, Problem, ProblemKind
from opscheck.core.query import Query, Timestamp
from opscheck.core.remedy import Remedy
from opscheck.core.units import Count, Duration, Graded, format_bytes
from opscheck.systems.postgres.server import READ_SERVER_FILES, InServer, ServerQuery


class Archiving(msgspec.Struct, frozen=True, kw_only=True):
    """The state of a server's WAL archiving. The archive_command itself stays on the server."""

    standby: bool
    archive_mode: Literal["off", "on", "always"]
    has_command: bool
    """True if archive_command or archive_library is set; known while archive_mode is not off."""
    discards: bool
    """True if archive_command succeeds without storing anything, such as `/bin/true`."""
    archive_timeout_s: float
    """Time after which a partial segment is ended; 0 is never."""
    taken_at: Timestamp
    """The server's clock, the base of all times here."""
    archived_count: int
    failed_count: int
    last_archived_wal: str | None
    last_archived_at: Timestamp | None
    """None if nothing has been archived since `counting_since`."""
    last_failed_wal: str | None
    last_failed_at: Timestamp | None
    counting_since: Timestamp | None
    """`stats_reset`; a crash of the server resets it too."""
    unfinished_bytes: int
    """Bytes in the current segment; 0 on a standby."""
    waiting: int
    """Number of finished files that wait to be archived."""
    oldest_waiting: str | None
    oldest_waiting_since: Timestamp | None
    """Time when the oldest of them was finished."""

    @property
    def failing(self) -> bool:
        """
        True if the last attempt failed.

        A server that has never archived a file has no `last_archived_at`: it fails too.
        """
        if self.last_failed_at is None:
            return False
        return self.last_archived_at is None or self.last_failed_at > self.last_archived_at


@dataclass(frozen=True)
class ReadArchiver(ServerQuery[Archiving], name="postgres.archiver"):
    """The state of a server's WAL archiving, and the WAL that waits."""

    what = "the archiver's successes and failures, and the WAL that waits to be archived"

    needs = (READ_SERVER_FILES,)


SHOW_ARCHIVER = Remedy(
    "Show the archiver's last successes and failures",
    'psql {{ dsn }} -xc "select last_archived_wal, last_archived_time, last_failed_wal, last_failed_time, '
    'failed_count from pg_stat_archiver"',
)
# `psql -c` does not replace variables; psql replaces them in its standard input.
SHOW_FAILED = Remedy(
    "Find in the server's log why archiving fails, often a full disk or expired credentials, and fix it; the server "
    "retries by itself. Never delete files of pg_wal",
    "echo \"select last_failed_wal = :'wal' as fails_still, clock_timestamp() - last_failed_time as ago "
    'from pg_stat_archiver" | psql {{ dsn }} -v wal={{ failed_wal }}'
    "  # the reason is in the server's log: the server runs archive_command as its own user",
)
SHOW_WAITING = Remedy(
    "Check whether the number of waiting files decreases; never delete files of pg_wal",
    "echo \"select name, modification as finished from pg_ls_archive_statusdir() where name >= :'wal' "
    "and name like '%.ready' order by 1 limit 10\" | psql {{ dsn }} -v wal={{ waiting_wal }}",
)
SWITCH_ON = Remedy(
    "Set an archive_command, then switch archive_mode on",
    "echo \"alter system set archive_mode = :'mode'\" | psql {{ dsn }} -v mode={{ archive_mode }}"
    "  # as a superuser; set archive_command first; needs a restart",
)
SET_COMMAND = Remedy("Set an archive_command that stores each file in the archive")
END_SEGMENTS = Remedy(
    "Set an archive_timeout, so that a segment is archived before it is full",
    "echo \"alter system set archive_timeout = :'seconds'; select pg_reload_conf()\" "
    "| psql {{ dsn }} -v seconds={{ archive_timeout }}  # as a superuser",
)


class PostgresArchiver(InServer, check="postgres.archiver"):
    """
    The WAL archive is complete and up to date.

    A server that archives nothing violates this at `severity`, or at the worst severity of its limits: archive_mode is
    off, archive_command is not set, or it stores nothing, such as `/bin/true`. This does not check base backups.
    """

    any_limit_of = ("waiting", "backlog", "age")
    remedies = (SHOW_ARCHIVER, SHOW_FAILED, SHOW_WAITING, SWITCH_ON, SET_COMMAND, END_SEGMENTS)
    fact_names: ClassVar = {
        "waiting_wal": "the file that has waited longest",
        "failed_wal": "the file of the last failed attempt",
        "archive_mode": "the archive_mode that the server needs",
        "archive_timeout": "an archive_timeout in seconds that keeps `age`",
    }

    waiting: Graded[Duration] | None = None
    """Maximum time that a finished WAL file waits, because the archiver fails, hangs or is too slow."""
    backlog: Graded[Count] | None = None
    """Maximum number of finished files that wait."""
    age: Graded[Duration] | None = None
    """
    Maximum age of changes outside the archive, which are lost with the server (RPO).

    A segment is archived when it is full, or after archive_timeout. Without archive_timeout, the current segment is
    as old as the last archived one. Not judged while only the server's own small records (1 kB) are outside the
    archive, as on an idle server. On a standby only waiting files are judged.
    """
    on_standby: Literal["unknown", "skip"] = "unknown"
    """
    Verdict for a standby that leaves archiving to its primary: `unknown`, or `skip` where this does not apply.

    A standby with `archive_mode = always` archives by itself and is judged.
    """

    def queries(self) -> Iterable[Query[Any]]:
        """The archiver's state."""
        return (self.archiver,)

    @property
    def archiver(self) -> ReadArchiver:
        """Its query."""
        return ReadArchiver(self.target.name)

    def does_not_apply(self, problem: Problem) -> bool:
        """True on a standby that archives nothing, with `on_standby: skip`."""
        return self.on_standby == "skip" and problem.kind is ProblemKind.ABSENT


# The size of a checkpoint and a snapshot of running transactions, which an idle server writes into a segment.
_OF_ITS_OWN = 1000


@dataclass(frozen=True)
class NotArchiving:
    """The reason why a server archives nothing."""

    observed: str
    expected: str
    remedies: tuple[Remedy, ...] = (SET_COMMAND,)
    facts: Mapping[str, str] = field(default_factory=dict)


def not_archiving(answer: Archiving) -> NotArchiving | None:
    """The setting because of which it archives nothing; None when the settings are right."""
    if answer.archive_mode == "off":
        expected = "archive_mode on, and an archive_command or archive_library"
        known = {"archive_mode": "on"}
        return NotArchiving("archive_mode is off: no WAL is archived", expected, (SWITCH_ON,), known)
    if not answer.has_command:
        observed = "neither archive_command nor archive_library is set: WAL piles up"
        return NotArchiving(observed, "an archive_command or archive_library")
    if answer.discards:
        return NotArchiving("archive_command succeeds without storing anything", "a command that stores the file %p")
    return None


@dataclass(frozen=True)
class Waiting:
    """Finished files that wait to be archived."""

    seconds: Duration
    """Waiting time of the oldest."""
    since: datetime | None
    detail: str
    evidence: list[str]
    remedies: tuple[Remedy, ...]
    facts: dict[str, str]


def waiting(answer: Archiving) -> Waiting:
    """The waiting files, and the start of the longest wait."""
    since = answer.oldest_waiting_since
    if since is None and answer.failing:
        since = answer.last_failed_at  # the file was removed unarchived: the archive has a gap
    failed = answer.last_failed_wal if answer.failing else None
    waits = (answer.oldest_waiting or "").removesuffix(".ready")
    files = [(SHOW_FAILED, "failed_wal", failed), (SHOW_WAITING, "waiting_wal", waits)]
    return Waiting(
        seconds=_age(answer, since) if since else Duration(0),
        since=since,
        detail=_state(answer),
        evidence=_history(answer),
        remedies=tuple(remedy for remedy, _, wal in files if wal),
        facts={name: wal for _, name, wal in files if wal},
    )


@dataclass(frozen=True)
class Unarchived:
    """Changes that are in no archive yet."""

    seconds: Duration
    """Their maximum age."""
    judged: bool
    """False when no such changes are visible."""
    detail: str
    remedies: tuple[Remedy, ...]
    facts: dict[str, str]


def unarchived(query: ReadArchiver, limit: Graded[Duration] | None, answer: Archiving) -> Unarchived:
    """The maximum age of unarchived changes. Raises CouldNotObserve when the last archiving has no known time."""
    start = answer.last_archived_at or answer.counting_since
    if start is None:
        text = "the server reports neither its last archiving nor the start of its counters"
        raise CouldNotObserve(query, Problem(kind=ProblemKind.UNREADABLE, text=text))
    seconds = _age(answer, start)
    if answer.archive_timeout_s and not answer.standby:
        # Waiting files were ended by then, and the current segment is younger.
        queued = _age(answer, answer.oldest_waiting_since) if answer.oldest_waiting_since else 0.0
        seconds = Duration(min(seconds, answer.archive_timeout_s + queued))
    # The first limit: with it as archive_timeout, no limit is violated.
    timeout = limit.steps[0][1] if limit and not answer.waiting else None
    return Unarchived(
        seconds=seconds,
        judged=answer.waiting > 0 or answer.unfinished_bytes > _OF_ITS_OWN,
        detail=("" if answer.last_archived_at else "nothing archived since the counters began; ") + _outside(answer),
        remedies=() if timeout is None else (END_SEGMENTS,),
        facts={} if timeout is None else {"archive_timeout": str(max(1, int(timeout)))},
    )


def _outside(answer: Archiving) -> str:
    if answer.standby:
        return f"{_files(answer)} waiting"
    written = f"{format_bytes(answer.unfinished_bytes)} in the current segment"
    ended = Duration(answer.archive_timeout_s)
    ends = f"archive_timeout is {ended}" if ended else "archive_timeout is 0: it ends when it is full"
    return f"{_files(answer)} waiting, {written}; {ends}"


def _state(answer: Archiving) -> str:
    if not answer.failing:
        return f"{_files(answer)}; the archiver has not failed: it hangs or is too slow"
    since = "" if answer.last_archived_at else "; nothing archived since the counters began"
    return f"{_files(answer)}; the last attempt failed{since}"


def _files(answer: Archiving) -> str:
    return "1 file" if answer.waiting == 1 else f"{answer.waiting} files"


def _history(answer: Archiving) -> list[str]:
    counting = f" since {answer.counting_since.astimezone(UTC):%Y-%m-%d %H:%M} UTC" if answer.counting_since else ""
    lines = [f"{answer.archived_count} archived and {answer.failed_count} failures{counting}"]
    if answer.last_archived_at is not None:
        lines.append(f"last archived: {answer.last_archived_wal}, {_age(answer, answer.last_archived_at)} ago")
    if answer.last_failed_at is not None:
        lines.append(f"last failed: {answer.last_failed_wal}, {_age(answer, answer.last_failed_at)} ago")
    return lines


def _age(answer: Archiving, moment: datetime) -> Duration:
    return Duration(max(0.0, (answer.taken_at - moment).total_seconds()))
