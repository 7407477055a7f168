"""What a server says of archiving its WAL."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal

import msgspec

from opscheck.systems.postgres.queries.base import READ_SERVER_FILES, PostgresQuery

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
class ReadArchiver(PostgresQuery[Archiving], name="postgres.archiver"):
    """How a server archives its WAL, and what waits for it."""

    needs = (READ_SERVER_FILES,)

    def text(self) -> str:
        """For people."""
        return "the archiver's successes and failures, and the WAL that waits for it"
