"""backup.wal: WAL leaves the server soon after it was written."""

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
# `psql -c` does not replace variables; text from a pipe it does.
MISSING_REPLICA = Remedy(
    "Find out on the replica why it is not connected",
    'echo "select slot_name, active, restart_lsn, wal_status from pg_replication_slots '
    "where slot_name = :'name'\" | psql {{ dsn }} -v name={{ missing }}  # no row, or lost: it must be built anew",
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

    A base backup holds what was there when it began; what came after is in the WAL alone. A server that archives
    nothing has no archive, and one without a connected replica that streams has no copy: neither is a small loss. On a
    standby this is unknown, since the primary's WAL is what is lost.
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
    """How old changes may be that are nowhere but on the server: what is lost with it, and so the RPO."""
    by: Literal["archive", "replicas", "either", "both"] = "either"
    """
    What keeps the WAL. `archive`: archive_command or archive_library; `replicas`: those that stream, and programs that
    receive WAL where `replicas` names them. `either`: whichever is nearer, and where one is missing the other;
    `both`: each of them.
    """
    replicas: NamePatterns | None = None
    """
    The replicas that must be there and near, by their application_name, with `*` and `?`; each must match at least
    one. A program such as `pg_receivewal` or `barman_receive_wal` is meant by its very name. All replicas by default.
    """
    minimum: PositiveCount | None = None
    """How many replicas must be there and near; 1 by default, and each one that `replicas` names."""
    silence: Timeout | None = None
    """For how long a replica may say nothing; the server's own wal_sender_timeout by default, or 60s."""

    state: ClassVar[Literal["streaming"]] = "streaming"
    """What a replica must do."""

    @property
    def ways(self) -> tuple[Way, ...]:
        """How WAL may leave the server."""
        match self.by:
            case "archive" | "replicas":
                return (self.by,)
        return ("archive", "replicas")

    @property
    def archiver(self) -> ReadArchiver:
        """What the archiver has done."""
        return ReadArchiver(self.target.name)

    @property
    def replication(self) -> ReadReplication:
        """Which replicas are connected, and how far they are."""
        return ReadReplication(self.target.name)

    def queries(self) -> Iterable[Query[Any]]:
        """The archiver and the replicas, as far as they are meant."""
        if "archive" in self.ways:
            yield self.archiver
        if "replicas" in self.ways:
            yield self.replication

    @model_validator(mode="after")
    def _replicas_where_they_count(self) -> Self:
        for name in ("replicas", "minimum", "silence"):
            if self.by == "archive" and getattr(self, name) is not None:
                raise PydanticCustomError(
                    "limit_unused", "no `{field}` beside `by: archive`, which judges no replica", {"field": name}
                )
        return self
