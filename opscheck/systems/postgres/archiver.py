"""postgres.archiver: WAL reaches its archive."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal

import msgspec

from opscheck.core.expectation import Remediation
from opscheck.core.observation import Problem, ProblemKind
from opscheck.core.query import Query
from opscheck.core.units import Count, Duration, Graded
from opscheck.systems.postgres.grants import READ_SERVER_FILES
from opscheck.systems.postgres.server import InServer, ServerQuery

Moment = Annotated[datetime, msgspec.Meta(tz=True)]


class Archiving(msgspec.Struct, frozen=True, kw_only=True):
    """How a server archives its WAL, and how far it has come. What its archive_command is stays on the server."""

    standby: bool
    archive_mode: Literal["off", "on", "always"]
    has_command: bool
    """Whether archive_command or archive_library is set; told while archive_mode is not off."""
    discards: bool
    """Whether archive_command is one that succeeds and keeps nothing, such as `/bin/true`."""
    archive_timeout_s: float
    """After how long a segment is ended that is not full; 0 is never."""
    taken_at: Moment
    """The server's own clock, which all its times are by."""
    archived_count: int
    failed_count: int
    last_archived_wal: str | None
    last_archived_at: Moment | None
    """None since the counters began: then nothing has been archived since `counting_since`."""
    last_failed_wal: str | None
    last_failed_at: Moment | None
    counting_since: Moment | None
    """`stats_reset`: a crash of the server is one, too."""
    unfinished_bytes: int
    """How much stands in the segment that is being written; 0 on a standby, which writes none."""
    waiting: int
    """How many finished files wait to be archived."""
    oldest_waiting: str | None
    oldest_waiting_since: Moment | None
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

    needs = (READ_SERVER_FILES,)

    def text(self) -> str:
        """For people."""
        return "the archiver's successes and failures, and the WAL that waits for it"


_SHOW_ARCHIVER = (
    'psql {{ dsn }} -xc "select last_archived_wal, last_archived_time, last_failed_wal, last_failed_time, '
    'failed_count, pg_current_logfile() as log from pg_stat_archiver"'
)
# `psql -c` does not replace variables; what it reads from a pipe it does.
_SHOW_WAITING = (
    "echo \"select name, modification as finished from pg_ls_archive_statusdir() where name >= :'wal' "
    "and name like '%.ready' order by 1 limit 10\" | psql {{ dsn }} -v wal={{ waiting_wal }}"
)
_SHOW_FAILED = (
    "echo \"select last_failed_wal = :'wal' as fails_still, clock_timestamp() - last_failed_time as ago "
    'from pg_stat_archiver" | psql {{ dsn }} -v wal={{ failed_wal }}'
    "  # why stands in the server's log: archive_command is run by it, as its user"
)
_SWITCH_ON = (
    "echo \"alter system set archive_mode = :'mode'\" | psql {{ dsn }} -v mode={{ archive_mode }}"
    "  # set archive_command first; it takes a restart"
)
_END_SEGMENTS = (
    "echo \"alter system set archive_timeout = :'seconds'; select pg_reload_conf()\" "
    "| psql {{ dsn }} -v seconds={{ archive_timeout }}"
)


class PostgresArchiver(InServer, check="postgres.archiver"):
    """
    The server's WAL reaches its archive, so that it can be restored to any moment.

    A server that archives nothing violates this at `severity`, or at the worst severity of its limits: archive_mode
    is off, there is no archive_command, or it is one that keeps nothing, such as `/bin/true`. One that has failed
    since its birth waits as one that fails now. That WAL is archived says nothing of base backups.
    """

    any_limit_of = ("waiting", "backlog", "age")
    # Each kind of trouble has names of its own: a command that names what a finding lacks is left out.
    fact_names: ClassVar = {
        "waiting_wal": "the file that waits longest, when WAL waits for the archive",
        "failed_wal": "the file that could not be archived, when the last attempt failed",
        "archive_mode": "`on`, when archiving is switched off",
        "archive_timeout": "the seconds that would keep `age`, when nothing ends a segment in time",
    }
    default_remediation = Remediation(
        summary=(
            "Find in the server's log why archiving fails, mostly a full disk or credentials that expired, and mend "
            "it: the server tries again by itself. Never delete files of pg_wal"
        ),
        commands=(_SHOW_ARCHIVER, _SHOW_FAILED, _SHOW_WAITING, _SWITCH_ON, _END_SEGMENTS),
    )

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

    def looks_at(self) -> Iterable[Query[Any]]:
        """The archiver, and what waits for it."""
        return (self.archiver,)

    @property
    def archiver(self) -> ReadArchiver:
        """The one question it asks."""
        return ReadArchiver(self.target.name)

    def does_not_apply(self, problem: Problem) -> bool:
        """True on a standby that archives nothing, where the policy says so."""
        return self.on_standby == "skip" and problem.kind is ProblemKind.ABSENT
