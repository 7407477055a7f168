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
    """True when pages had checksum mismatches while it was made: the database itself is damaged."""
    needs: tuple[str, ...]
    """The labels of the backups that it depends on; without one of them it cannot be restored."""
    wal_until: str
    """The last WAL segment that its restore needs; empty when not reported."""
    database: int
    """The id of its database in the stanza, which changes with each upgrade."""


class PgbackrestArchive(msgspec.Struct, frozen=True, kw_only=True):
    """The archived WAL of one database of a stanza."""

    database: int
    newest: str
    """The name of its newest segment."""


class PgbackrestRepository(msgspec.Struct, frozen=True, kw_only=True):
    """One repository of a stanza, by itself."""

    number: int
    code: int
    """0 is ok; 1, 2 and 3 mean no backup to restore from; 99 an error while reading."""
    message: str
    backups: tuple[PgbackrestBackup, ...]
    archives: tuple[PgbackrestArchive, ...]


class PgbackrestStanza(msgspec.Struct, frozen=True, kw_only=True):
    """One stanza of pgBackRest."""

    name: str
    code: int
    message: str
    running: bool
    """True while a backup or an expiry is running on that host."""
    repositories: tuple[PgbackrestRepository, ...]


class PgbackrestInfo(msgspec.Struct, frozen=True, kw_only=True):
    """All stanzas."""

    taken_at: Moment
    """The time by the host's clock, as all its times."""
    stanzas: tuple[PgbackrestStanza, ...]


@dataclass(frozen=True)
class ReadPgbackrest(Query[PgbackrestInfo], name="backup.pgbackrest"):
    """The stanzas of pgBackRest, by `info`, which only reads; `check` would switch the WAL segment."""

    command: tuple[str, ...] = ("pgbackrest",)

    def text(self) -> str:
        return f"{' '.join(self.command)} info --output=json"


class BarmanBackup(msgspec.Struct, frozen=True, kw_only=True):
    """One backup that Barman lists."""

    id: str
    """Its start time, by the clock and the time zone of the host."""
    type: str
    """`full`, `incremental`, `rsync` or `snapshot`; empty in old versions."""
    status: str
    """Only `DONE` is good; others are `WAITING_FOR_WALS`, `FAILED`, `STARTED`, …"""
    began_at: Moment | None
    """None when it was not read, or Barman has none, as for a failed backup."""
    ended_at: Moment | None


class BarmanServer(msgspec.Struct, frozen=True, kw_only=True):
    """One server of Barman."""

    name: str
    backups: tuple[BarmanBackup, ...]


class BarmanCatalogue(msgspec.Struct, frozen=True, kw_only=True):
    """All servers."""

    taken_at: Moment
    """The time by the host's clock, as all its times."""
    servers: tuple[BarmanServer, ...]


@dataclass(frozen=True)
class ReadBarman(Query[BarmanCatalogue], name="backup.barman"):
    """The backups of Barman. `check` would switch the WAL segment, and is not run."""

    command: tuple[str, ...] = ("barman",)
    servers: tuple[str, ...] = ()
    """The servers whose backups are read in detail; all by default."""

    def text(self) -> str:
        return f"{' '.join(self.command)} list-backup all, and show-backup of the newest of each server"
