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
    """How a server archives its WAL, and how far it has come. What its archive_command is stays on the server."""

    standby: bool
    archive_mode: Literal["off", "on", "always"]
    has_command: bool
    """Whether archive_command or archive_library is set; known while archive_mode is not off."""
    discards: bool
    """Whether archive_command is one that succeeds and keeps nothing, such as `/bin/true`."""
    archive_timeout_s: float
    """After how long a segment is ended that is not full; 0 is never."""
    taken_at: Timestamp
    """The server's own clock, which all its times are by."""
    archived_count: int
    failed_count: int
    last_archived_wal: str | None
    last_archived_at: Timestamp | None
    """None since the counters began: then nothing has been archived since `counting_since`."""
    last_failed_wal: str | None
    last_failed_at: Timestamp | None
    counting_since: Timestamp | None
    """`stats_reset`: a crash of the server is one, too."""
    unfinished_bytes: int
    """How much stands in the segment that is being written; 0 on a standby, which writes none."""
    waiting: int
    """How many finished files wait to be archived."""
    oldest_waiting: str | None
    oldest_waiting_since: Timestamp | None
    """When the oldest of them was finished."""

    @property
    def failing(self) -> bool:
        """
        Whether the last attempt failed.

        Where nothing was ever archived the time of that is NULL, and a comparison with it is NULL as well: a server
        that has failed since its birth is failing all the same.
        """
        if self.last_failed_at is None:
            return False
        return self.last_archived_at is None or self.last_failed_at > self.last_archived_at


@dataclass(frozen=True)
class ReadArchiver(ServerQuery[Archiving], name="postgres.archiver"):
    """How a server archives its WAL, and what waits for it."""

    what = "the archiver's successes and failures, and the WAL that waits for it"

    needs = (READ_SERVER_FILES,)


SHOW_ARCHIVER = Remedy(
    "See what the archiver has done",
    'psql {{ dsn }} -xc "select last_archived_wal, last_archived_time, last_failed_wal, last_failed_time, '
    'failed_count, pg_current_logfile() as log from pg_stat_archiver"',
)
# `psql -c` does not replace variables; what it reads from a pipe it does.
SHOW_FAILED = Remedy(
    "Find in the server's log why archiving fails, mostly a full disk or credentials that expired, and fix it: the "
    "server tries again by itself. Never delete files of pg_wal",
    "echo \"select last_failed_wal = :'wal' as fails_still, clock_timestamp() - last_failed_time as ago "
    'from pg_stat_archiver" | psql {{ dsn }} -v wal={{ failed_wal }}'
    "  # why stands in the server's log: archive_command is run by it, as its user",
)
SHOW_WAITING = Remedy(
    "Find out whether the files that wait become fewer; never delete files of pg_wal",
    "echo \"select name, modification as finished from pg_ls_archive_statusdir() where name >= :'wal' "
    "and name like '%.ready' order by 1 limit 10\" | psql {{ dsn }} -v wal={{ waiting_wal }}",
)
SWITCH_ON = Remedy(
    "Set an archive_command, then switch archive_mode on",
    "echo \"alter system set archive_mode = :'mode'\" | psql {{ dsn }} -v mode={{ archive_mode }}"
    "  # set archive_command first; it takes a restart",
)
SET_COMMAND = Remedy("Set an archive_command that stores each file in the archive")
END_SEGMENTS = Remedy(
    "Set an archive_timeout, so that a segment is archived before it is full",
    "echo \"alter system set archive_timeout = :'seconds'; select pg_reload_conf()\" "
    "| psql {{ dsn }} -v seconds={{ archive_timeout }}",
)


class PostgresArchiver(InServer, check="postgres.archiver"):
    """
    The WAL archive is complete and up to date.

    A server that archives nothing violates this at `severity`, or at the worst severity of its limits: archive_mode is
    off, there is no archive_command, or it is one that keeps nothing, such as `/bin/true`. One that has failed since
    its birth waits as one that fails now. That WAL is archived says nothing of base backups.
    """

    any_limit_of = ("waiting", "backlog", "age")
    remedies = (SHOW_ARCHIVER, SHOW_FAILED, SHOW_WAITING, SWITCH_ON, SET_COMMAND, END_SEGMENTS)
    fact_names: ClassVar = {
        "waiting_wal": "the file that waits longest",
        "failed_wal": "the file that could not be archived at the last attempt",
        "archive_mode": "the archive_mode that the server needs",
        "archive_timeout": "the seconds that would keep `age`",
    }

    waiting: Graded[Duration] | None = None
    """
    How long a finished file of WAL may wait for the archive, whether the archiver fails, hangs or cannot keep pace.
    """
    backlog: Graded[Count] | None = None
    """How many finished files may wait."""
    age: Graded[Duration] | None = None
    """
    How old changes may be that are in no archive yet: what is lost with the server.

    A segment is archived when it is full, or when archive_timeout ends it; what stands in one that nothing ends is
    as old as the last that was archived. Not judged while nothing but the server's own small records (1 kB) is
    outside the archive, as on an idle server, and on a standby only by what waits.
    """
    on_standby: Literal["unknown", "skip"] = "unknown"
    """
    What is said of a standby that leaves archiving to its primary: `unknown`, or that this does not apply there.

    With `archive_mode = always` a standby archives by itself, and is judged.
    """

    def queries(self) -> Iterable[Query[Any]]:
        """The archiver, and what waits for it."""
        return (self.archiver,)

    @property
    def archiver(self) -> ReadArchiver:
        """Its query."""
        return ReadArchiver(self.target.name)

    def does_not_apply(self, problem: Problem) -> bool:
        """True on a standby that archives nothing, where the policy says so."""
        return self.on_standby == "skip" and problem.kind is ProblemKind.ABSENT


# A checkpoint and a snapshot of running transactions; an idle server writes no more into a segment.
_OF_ITS_OWN = 1000


@dataclass(frozen=True)
class NotArchiving:
    """Why a server archives nothing."""

    observed: str
    expected: str
    remedies: tuple[Remedy, ...] = (SET_COMMAND,)
    facts: Mapping[str, str] = field(default_factory=dict)


def not_archiving(answer: Archiving) -> NotArchiving | None:
    """Why it archives nothing, by its settings; None when they are well."""
    if answer.archive_mode == "off":
        expected = "archive_mode on, and an archive_command or archive_library"
        known = {"archive_mode": "on"}
        return NotArchiving("archive_mode is off: no WAL is archived", expected, (SWITCH_ON,), known)
    if not answer.has_command:
        observed = "neither archive_command nor archive_library is set: WAL is kept and waits"
        return NotArchiving(observed, "an archive_command or archive_library")
    if answer.discards:
        return NotArchiving("archive_command succeeds and keeps nothing", "a command that stores the file %p")
    return None


@dataclass(frozen=True)
class Waiting:
    """Finished files that wait for the archive."""

    seconds: Duration
    """How long the oldest has waited."""
    since: datetime | None
    detail: str
    evidence: list[str]
    remedies: tuple[Remedy, ...]
    facts: dict[str, str]


def waiting(answer: Archiving) -> Waiting:
    """What waits, and since when."""
    since = answer.oldest_waiting_since
    if since is None and answer.failing:
        since = answer.last_failed_at  # the file was removed unarchived: it is missing there
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
    """How old they can be."""
    judged: bool
    """False where there are none, as far as can be told."""
    detail: str
    remedies: tuple[Remedy, ...]
    facts: dict[str, str]


def unarchived(query: ReadArchiver, limit: Graded[Duration] | None, answer: Archiving) -> Unarchived:
    """How old changes can be that are in no archive. Raises CouldNotObserve when nothing was archived in known time."""
    start = answer.last_archived_at or answer.counting_since
    if start is None:
        text = "the server says neither when it last archived anything nor since when it counts"
        raise CouldNotObserve(query, Problem(kind=ProblemKind.UNREADABLE, text=text))
    seconds = _age(answer, start)
    if answer.archive_timeout_s and not answer.standby:
        # What waits was ended by then, and what is not ended yet is younger.
        queued = _age(answer, answer.oldest_waiting_since) if answer.oldest_waiting_since else 0.0
        seconds = Duration(min(seconds, answer.archive_timeout_s + queued))
    # The mildest limit: with it as archive_timeout, no limit is broken.
    timeout = limit.steps[0][1] if limit and not answer.waiting else None
    return Unarchived(
        seconds=seconds,
        judged=answer.waiting > 0 or answer.unfinished_bytes > _OF_ITS_OWN,
        detail=("" if answer.last_archived_at else "nothing archived since its counters began; ") + _outside(answer),
        remedies=() if timeout is None else (END_SEGMENTS,),
        facts={} if timeout is None else {"archive_timeout": str(max(1, int(timeout)))},
    )


def _outside(answer: Archiving) -> str:
    if answer.standby:
        return f"{_files(answer)} waiting"
    written = f"{format_bytes(answer.unfinished_bytes)} in the segment that is being written"
    ended = Duration(answer.archive_timeout_s)
    ends = f"archive_timeout ends after {ended}" if ended else "ends when it is full: archive_timeout is 0"
    return f"{_files(answer)} waiting, {written}, which {ends}"


def _state(answer: Archiving) -> str:
    if not answer.failing:
        return f"{_files(answer)}; the archiver has not failed: it hangs, or cannot keep pace"
    since = "" if answer.last_archived_at else ", and nothing has been archived since its counters began"
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
