"""How far vacuum and analyze are behind, and what holds them back."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import msgspec

from opscheck.systems.postgres.queries.base import READ_SESSIONS, DatabaseQuery, PostgresQuery


class DatabaseAge(msgspec.Struct, frozen=True, kw_only=True):
    """How far a database is from running out of transaction numbers."""

    name: str
    xid_age: int
    """How many transactions ago its oldest row was written that is not frozen."""
    multixact_age: int
    """The same for multixacts: row locks that several transactions share."""
    connectable: bool
    """False where nobody may connect, as to template0: only autovacuum can freeze its rows."""


class Ages(msgspec.Struct, frozen=True, kw_only=True):
    """The ages of all databases, templates too, the oldest first, and where autovacuum begins to freeze by force."""

    databases: tuple[DatabaseAge, ...]
    freeze_max_age: int
    multixact_freeze_max_age: int


@dataclass(frozen=True)
class AskAges(PostgresQuery[Ages], name="postgres.ages"):
    """How old the oldest transaction numbers are that a server still has to know."""

    def text(self) -> str:
        """For people."""
        return "the transaction and multixact age of every database"


class HolderKind(StrEnum):
    """What keeps old rows from being removed."""

    SESSION = "session"
    PREPARED = "prepared transaction"
    SLOT = "replication slot"
    STANDBY = "standby"


class XminHolder(msgspec.Struct, frozen=True, kw_only=True):
    """Something for whose sake vacuum must keep rows that are dead."""

    kind: HolderKind
    name: str
    """application_name of a session or standby, gid of a prepared transaction, name of a slot."""
    age: int
    """How many transactions ago it began to look."""
    database: str = ""
    """Where it keeps them; empty where it does in every database."""
    role: str = ""
    pid: int | None = None
    state: str = ""
    """Of a session."""
    since: datetime | None = None
    """Since when it holds them, at least; slots and standbys mostly do not say."""
    active: bool = True
    """False for a slot that nobody reads from."""
    catalog_only: bool = False
    """True for a slot that keeps rows of system catalogs only."""


class XminHolders(msgspec.Struct, frozen=True, kw_only=True):
    """Who holds the oldest rows, the oldest first, and the time of the server's clock."""

    holders: tuple[XminHolder, ...]
    clock: datetime


@dataclass(frozen=True)
class AskXminHolders(PostgresQuery[XminHolders], name="postgres.xmin-holders"):
    """For whose sake rows that are dead must be kept: sessions, prepared transactions, slots and standbys."""

    needs = (READ_SESSIONS,)

    def text(self) -> str:
        """For people."""
        return "which sessions, prepared transactions, slots and standbys keep dead rows from being removed"


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """A table that has many dead, changed or uncounted rows."""

    schema: str
    name: str
    sql_name: str
    """Schema and name as SQL takes them."""
    rows: int
    """About how many live rows it has."""
    dead: int
    vacuum_trigger: float
    """From how many dead rows on autovacuum would vacuum it, by its own settings."""
    written: int
    """Rows inserted or made dead since it was vacuumed."""
    modified: int
    """Rows changed since it was analysed."""
    analyze_trigger: float
    """From how many changed rows on autovacuum would analyse it, by its own settings."""
    last_vacuum: datetime | None
    last_analyze: datetime | None
    autovacuum: bool
    """False where autovacuum is switched off for the table or the server."""
    disabled: bool
    """True where it is for the table alone."""
    partitioned: bool
    """True for the parent of partitions, which autovacuum never analyses."""
    never_analyzed: bool
    vacuum_runs: bool
    """A vacuum works on it now."""


class Tables(msgspec.Struct, frozen=True, kw_only=True):
    """The tables of a database that may need vacuum or analyze most. Of each list there are more than are named."""

    database: str
    tables: int
    """How many there are, system schemas and temporary ones left out."""
    named: tuple[Table, ...]
    beyond_vacuum: int
    """How many have more dead rows than their trigger, and than `min_rows`."""
    beyond_analyze: int
    """How many have more changed rows than their trigger, and than `min_rows`, or were never analysed."""
    written: int
    """How many had more than `min_rows` written since they were vacuumed."""
    modified: int
    """How many had more than `min_rows` changed since they were analysed."""
    unanalyzed: int
    """How many have not been analysed since the server counts; ANALYZE counts the dead rows that are there anew."""
    counted_since: datetime | None
    """Since when the server counts; before that it forgot: a reset, a crash, a new server."""
    clock: datetime
    """The time of the server's clock."""
    standby: bool
    """A standby counts no dead and no changed rows."""
    counts: bool
    """False where `track_counts` is off, and nothing is counted at all."""


@dataclass(frozen=True)
class AskTables(DatabaseQuery[Tables], name="postgres.tables"):
    """Which tables wait for vacuum or analyze."""

    min_rows: int = 10_000
    """Tables with fewer dead, written or changed rows are not named."""

    def asked_for(self) -> str:
        """In words."""
        return f"the tables with more than {self.min_rows} dead, written or never analysed rows"
