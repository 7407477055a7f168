"""What a server's archiver tells."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from opscheck.core.observation import CouldNotObserve, Problem, ProblemKind
from opscheck.core.units import Duration, Graded, format_bytes
from opscheck.systems.postgres.archiver import Archiving, PostgresArchiver, ReadArchiver

# A checkpoint and a snapshot of running transactions; an idle server writes no more into a segment.
_OF_ITS_OWN = 1000
_READY = ".ready"


class OfArchive(Protocol):
    """An expectation of a server's archive."""

    @property
    def archiver(self) -> ReadArchiver:
        """The question it asks."""
        ...

    @property
    def age(self) -> Graded[Duration] | None:
        """How old changes may be that are in no archive; None where that is not judged."""
        ...


@dataclass(frozen=True)
class NotArchiving:
    """Why a server archives nothing."""

    observed: str
    expected: str
    facts: dict[str, str]


def not_archiving(answer: Archiving) -> NotArchiving | None:
    """Why it archives nothing, by its settings; None when they are well."""
    if answer.archive_mode == "off":
        expected = "archive_mode on, and an archive_command or archive_library"
        return NotArchiving("archive_mode is off: no WAL is archived", expected, {"archive_mode": "on"})
    if not answer.has_command:
        expected = "an archive_command or archive_library"
        return NotArchiving("neither archive_command nor archive_library is set: WAL is kept and waits", expected, {})
    if answer.discards:
        return NotArchiving("archive_command succeeds and keeps nothing", "a command that stores the file %p", {})
    return None


def must_archive(expectation: PostgresArchiver, answer: Archiving) -> None:
    """
    Raises CouldNotObserve for a standby that leaves archiving to its primary.

    Where archive_mode is off it would not archive as a primary either, unless the policy says that this is meant.
    """
    leaves = answer.archive_mode == "on" or (answer.archive_mode == "off" and expectation.on_standby == "skip")
    if answer.standby and leaves:
        text = f"this is a standby, and with archive_mode {answer.archive_mode} it archives nothing"
        advice = "name the primary in the target's dsn (target_session_attrs=read-write), or skip with `on_standby`"
        raise CouldNotObserve(expectation.archiver, Problem(kind=ProblemKind.ABSENT, text=text, advice=advice))


@dataclass(frozen=True)
class Waiting:
    """Finished files that wait for the archive."""

    seconds: Duration
    """How long the oldest has waited."""
    count: int
    since: datetime | None
    detail: str
    evidence: list[str]
    facts: dict[str, str]


def waiting(answer: Archiving) -> Waiting:
    """What waits, and since when."""
    since = answer.oldest_waiting_since
    if since is None and answer.failing:
        since = answer.last_failed_at  # somebody removed what could not be archived: it is missing there
    facts = {"waiting_wal": answer.oldest_waiting.removesuffix(_READY)} if answer.oldest_waiting else {}
    if answer.failing and answer.last_failed_wal:
        facts["failed_wal"] = answer.last_failed_wal
    return Waiting(
        seconds=_age(answer, since) if since else Duration(0),
        count=answer.waiting,
        since=since,
        detail=_state(answer),
        evidence=_history(answer),
        facts=facts,
    )


@dataclass(frozen=True)
class Unarchived:
    """Changes that are in no archive yet."""

    seconds: Duration
    """How old they can be."""
    judged: bool
    """False where there are none, as far as can be told."""
    detail: str
    facts: dict[str, str]


def unarchived(expectation: OfArchive, answer: Archiving) -> Unarchived:
    """How old changes can be that are in no archive. Raises CouldNotObserve when nothing was archived in known time."""
    start = answer.last_archived_at or answer.counting_since
    if start is None:
        text = "the server says neither when it last archived anything nor since when it counts"
        raise CouldNotObserve(expectation.archiver, Problem(kind=ProblemKind.UNREADABLE, text=text))
    seconds, detail = (
        _age(answer, start),
        "" if answer.last_archived_at else "nothing archived since its counters began; ",
    )
    if answer.archive_timeout_s and not answer.standby:
        # What waits was ended by then, and what is not ended yet is younger.
        queued = _age(answer, answer.oldest_waiting_since) if answer.oldest_waiting_since else 0.0
        seconds = Duration(min(seconds, answer.archive_timeout_s + queued))
    there = answer.waiting > 0 or answer.unfinished_bytes > _OF_ITS_OWN
    return Unarchived(
        seconds=seconds,
        judged=there,
        detail=detail + _outside(answer),
        facts={} if answer.waiting else _timeout(expectation),
    )


def _timeout(expectation: OfArchive) -> dict[str, str]:
    """The mildest limit: with it as archive_timeout, no limit is broken."""
    return {"archive_timeout": str(max(1, int(expectation.age.steps[0][1])))} if expectation.age else {}


def _outside(answer: Archiving) -> str:
    written = f"{format_bytes(answer.unfinished_bytes)} in the segment that is being written"
    if answer.standby:
        return f"{_files(answer)} waiting"
    ended = Duration(answer.archive_timeout_s)
    timeout = (
        f"which archive_timeout ends after {ended}" if ended else "which ends when it is full: archive_timeout is 0"
    )
    return f"{_files(answer)} waiting, {written}, {timeout}"


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
