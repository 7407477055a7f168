"""backup.wal: recent changes are in the WAL archive or on a replica."""

from collections.abc import Iterable
from typing import Any, ClassVar, Literal, Self

from pydantic import model_validator
from pydantic_core import PydanticCustomError

from opscheck.core.query import Query
from opscheck.core.remedy import Remedy
from opscheck.core.units import Duration, Graded, PositiveCount, Timeout
from opscheck.systems.postgres.archiver import (
    END_SEGMENTS,
    SET_COMMAND,
    SHOW_FAILED,
    SHOW_WAITING,
    SWITCH_ON,
    ReadArchiver,
)
from opscheck.systems.postgres.replication import NamePatterns, ReadReplication
from opscheck.systems.postgres.server import InServer

Way = Literal["archive", "replicas"]

_STREAM = "Find out in the replica's log why it does not stream: its disk, the network, its credentials"
# psql replaces variables only in its standard input, not in `-c`.
MISSING_REPLICA = Remedy(
    "Find out on the replica why it is not connected",
    'echo "select slot_name, active, restart_lsn, wal_status from pg_replication_slots '
    "where slot_name = :'name'\" | psql {{ dsn }} -v name={{ missing }}  # no row, or lost: rebuild the replica",
)
LAGGING_REPLICA = Remedy(
    _STREAM,
    'echo "select client_addr, state, sent_lsn, write_lsn, flush_lsn, flush_lag, reply_time '
    "from pg_stat_replication where application_name = :'name'\" | psql {{ dsn }} -v name={{ replica }}",
)
STREAM = Remedy(_STREAM)


class BackupWal(InServer, check="backup.wal"):
    """
    Recent changes are in the WAL archive or on a replica.

    A base backup contains the data from when it began; later changes are only in the WAL. A server that does not
    archive, or has no streaming replica, has no copy of them. On a standby the verdict is unknown, since the primary's
    WAL would be lost.
    """

    remedies = (
        SHOW_FAILED,
        SHOW_WAITING,
        SWITCH_ON,
        SET_COMMAND,
        END_SEGMENTS,
        MISSING_REPLICA,
        LAGGING_REPLICA,
        STREAM,
    )
    fact_names: ClassVar = {
        "waiting_wal": "the file that waits longest for the archive",
        "failed_wal": "the file that could not be archived at the last attempt",
        "archive_mode": "the archive_mode that the server needs",
        "archive_timeout": "the seconds that would keep `age`",
        "missing": "application_name of a replica that is not connected",
        "replica": "application_name of a replica that is behind or does not stream",
    }

    age: Graded[Duration]
    """The maximum age of changes that exist only on the server: the recovery point objective (RPO)."""
    by: Literal["archive", "replicas", "either", "both"] = "either"
    """
    The copies of the WAL. `archive`: archive_command or archive_library; `replicas`: streaming replicas, and programs
    that receive WAL if `replicas` names them. `either`: the more recent of both, or the one that exists; `both`: each
    of them.
    """
    replicas: NamePatterns | None = None
    """
    Patterns for the application_name of the required replicas, with `*` and `?`; each must match at least one, within
    the limit. A program such as `pg_receivewal` or `barman_receive_wal` must be named exactly. All replicas by default.
    """
    minimum: PositiveCount | None = None
    """The minimum number of replicas within the limit; by default 1, or all that `replicas` names."""
    silence: Timeout | None = None
    """The maximum time since the last reply of a replica; by default the server's wal_sender_timeout, or 60s."""

    state: ClassVar[Literal["streaming"]] = "streaming"
    """The required state of a replica."""

    @property
    def ways(self) -> tuple[Way, ...]:
        """The copies of the WAL that are judged."""
        match self.by:
            case "archive" | "replicas":
                return (self.by,)
        return ("archive", "replicas")

    @property
    def archiver(self) -> ReadArchiver:
        """The state of the archiver."""
        return ReadArchiver(self.target.name)

    @property
    def replication(self) -> ReadReplication:
        """The connected replicas and their positions."""
        return ReadReplication(self.target.name)

    def queries(self) -> Iterable[Query[Any]]:
        """The archiver and the replicas, as `by` requires."""
        if "archive" in self.ways:
            yield self.archiver
        if "replicas" in self.ways:
            yield self.replication

    @model_validator(mode="after")
    def _replicas_where_they_count(self) -> Self:
        for name in ("replicas", "minimum", "silence"):
            if self.by == "archive" and getattr(self, name) is not None:
                raise PydanticCustomError(
                    "limit_unused", "no `{field}` with `by: archive`, which judges no replica", {"field": name}
                )
        return self
