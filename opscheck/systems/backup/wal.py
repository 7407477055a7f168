"""What can be expected of the WAL that leaves a server, so that little is lost with it."""

from collections.abc import Iterable
from typing import Any, ClassVar, Literal, Self

from pydantic import model_validator
from pydantic_core import PydanticCustomError

from opscheck.core.expectation import Remediation
from opscheck.core.query import Query
from opscheck.core.units import Duration, Graded, PositiveCount, Timeout
from opscheck.systems.postgres.archiver import ReadArchiver
from opscheck.systems.postgres.replication import NamePatterns, ReadReplication
from opscheck.systems.postgres.server import InServer

Way = Literal["archive", "replicas"]

# `psql -c` does not replace variables; what it reads from a pipe it does.
_COMMANDS = (
    (
        "echo \"select last_failed_wal = :'wal' as fails_still, clock_timestamp() - last_failed_time as ago "
        'from pg_stat_archiver" | psql {{ dsn }} -v wal={{ failed_wal }}'
        "  # why stands in the server's log: archive_command is run by it, as its user"
    ),
    (
        "echo \"select name, modification as finished from pg_ls_archive_statusdir() where name >= :'wal' "
        "and name like '%.ready' order by 1 limit 10\" | psql {{ dsn }} -v wal={{ waiting_wal }}"
    ),
    (
        "echo \"alter system set archive_mode = :'mode'\" | psql {{ dsn }} -v mode={{ archive_mode }}"
        "  # set archive_command first; it takes a restart"
    ),
    (
        "echo \"alter system set archive_timeout = :'seconds'; select pg_reload_conf()\" "
        "| psql {{ dsn }} -v seconds={{ archive_timeout }}"
    ),
    (
        'echo "select slot_name, active, restart_lsn, wal_status from pg_replication_slots '
        "where slot_name = :'name'\" | psql {{ dsn }} -v name={{ missing }}  # no row, or lost: it must be built anew"
    ),
    (
        'echo "select client_addr, state, sent_lsn, write_lsn, flush_lsn, flush_lag, reply_time '
        "from pg_stat_replication where application_name = :'name'\" | psql {{ dsn }} -v name={{ replica }}"
    ),
)


class BackupWal(InServer, check="backup.wal"):
    """
    Little would be lost with the server: its WAL is in an archive, or on a replica's disk, soon after it was written.

    A base backup holds what was there when it began; what came after is in the WAL alone. A server that archives
    nothing has no archive, and one without a connected replica that streams has no copy: neither is a small loss. On
    a standby this is unknown, since the primary's WAL is what is lost.
    """

    # Each kind of trouble has names of its own: a command that names what a finding lacks is left out.
    fact_names: ClassVar = {
        "waiting_wal": "the file that waits longest, when WAL waits for the archive",
        "failed_wal": "the file that could not be archived, when the last attempt failed",
        "archive_mode": "`on`, when archiving is switched off",
        "archive_timeout": "the seconds that would keep `age`, when nothing ends a segment in time",
        "missing": "application_name of a replica that is not connected",
        "replica": "application_name of a replica that is behind or does not stream",
    }
    default_remediation = Remediation(
        summary=(
            "Bring back what takes the WAL away: see in the server's log why archiving fails, mostly a full disk or "
            "credentials that expired; on the replica, why it is not connected. Never delete files of pg_wal"
        ),
        commands=_COMMANDS,
    )

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

    def looks_at(self) -> Iterable[Query[Any]]:
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
