"""The queries to pgBackRest and Barman, which a host runs, and their answers."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

import msgspec

from opscheck.core.query import Query

Moment = Annotated[datetime, msgspec.Meta(tz=True)]


class PgbackrestBackup(msgspec.Struct, frozen=True, kw_only=True):
    """One backup that pgBackRest lists."""

    label: str
    type: str
    """`full`, `diff` or `incr`."""
    began_at: Moment
    ended_at: Moment
    damaged: bool
    """Whether pages failed their checksums while it was made: the database itself is damaged."""
    needs: tuple[str, ...]
    """The labels of the backups that it is a difference to; without one of them it cannot be restored."""
    wal_until: str
    """The last segment of WAL without which it cannot be restored; empty where it does not say."""
    database: int
    """Which database of the stanza it is of: another one after each upgrade."""


class PgbackrestArchive(msgspec.Struct, frozen=True, kw_only=True):
    """The WAL that is archived of one database of a stanza."""

    database: int
    newest: str
    """The name of its newest segment."""


class PgbackrestRepository(msgspec.Struct, frozen=True, kw_only=True):
    """One repository of a stanza, by itself."""

    number: int
    code: int
    """0 for well; 1, 2 and 3 that there is no backup to restore from; 99 that it could not be read."""
    message: str
    backups: tuple[PgbackrestBackup, ...]
    archives: tuple[PgbackrestArchive, ...]


class PgbackrestStanza(msgspec.Struct, frozen=True, kw_only=True):
    """One stanza of pgBackRest."""

    name: str
    code: int
    message: str
    running: bool
    """Whether a backup, or the removal of old ones, runs on that host now."""
    repositories: tuple[PgbackrestRepository, ...]


class PgbackrestInfo(msgspec.Struct, frozen=True, kw_only=True):
    """All stanzas."""

    taken_at: Moment
    """The host's own clock, which all its times are by."""
    stanzas: tuple[PgbackrestStanza, ...]


@dataclass(frozen=True)
class ReadPgbackrest(Query[PgbackrestInfo], name="backup.pgbackrest"):
    """The stanzas of pgBackRest, by `info`, which reads; `check` would end a segment of WAL."""

    command: tuple[str, ...] = ("pgbackrest",)

    def text(self) -> str:
        return f"{' '.join(self.command)} info --output=json"


class BarmanBackup(msgspec.Struct, frozen=True, kw_only=True):
    """One backup that Barman lists."""

    id: str
    """When it began, by the clock and the time zone of the host."""
    type: str
    """`full`, `incremental`, `rsync` or `snapshot`; empty in old versions."""
    status: str
    """`DONE` alone is a good one; `WAITING_FOR_WALS`, `FAILED`, `STARTED`, …"""
    began_at: Moment | None
    """None where it was not read, or Barman does not contain it, as for a failed one."""
    ended_at: Moment | None


class BarmanServer(msgspec.Struct, frozen=True, kw_only=True):
    """One server of Barman."""

    name: str
    backups: tuple[BarmanBackup, ...]


class BarmanCatalogue(msgspec.Struct, frozen=True, kw_only=True):
    """All servers."""

    taken_at: Moment
    """The host's own clock, which all its times are by."""
    servers: tuple[BarmanServer, ...]


@dataclass(frozen=True)
class ReadBarman(Query[BarmanCatalogue], name="backup.barman"):
    """The backups of Barman. `check` would switch WAL, and is not run."""

    command: tuple[str, ...] = ("barman",)
    servers: tuple[str, ...] = ()
    """The servers whose backups are read in detail; all by default."""

    def text(self) -> str:
        return f"{' '.join(self.command)} list-backup all, and show-backup of the newest of each server"
