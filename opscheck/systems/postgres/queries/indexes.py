"""Which indexes of a database serve nobody."""

from dataclasses import dataclass
from datetime import datetime

import msgspec

from opscheck.systems.postgres.queries.base import READ_SESSIONS, DatabaseQuery


class Index(msgspec.Struct, frozen=True, kw_only=True):
    """One index, and how large it is."""

    schema: str
    name: str
    sql_name: str
    """Schema and name as SQL takes them."""
    table: str
    """Its table, as SQL takes it."""
    bytes: int


class InvalidIndex(Index, frozen=True, kw_only=True):
    """An index that no query may use, and that every write still has to keep; nobody is building it."""

    leftover: bool
    """True for what a REINDEX CONCURRENTLY left behind that failed: the index itself is another one."""


class DuplicateIndex(Index, frozen=True, kw_only=True):
    """An index that another one of the same table makes superfluous."""

    same_as: str
    """The other one, as SQL takes it."""
    constraint: str
    """The constraint that stands on it; empty for none."""
    table_schema: str
    table_name: str
    partitioned: bool
    """True for an index of a partitioned table, with one of each partition below it."""


class UnusedIndex(Index, frozen=True, kw_only=True):
    """An index that no query of this server has used for long."""

    scans: int
    last_scan: datetime | None
    """Known from PostgreSQL 16 on."""
    partitioned: bool


class InvalidIndexes(msgspec.Struct, frozen=True, kw_only=True):
    """The invalid indexes of a database, the largest first, those left out that are being built."""

    database: str
    indexes: int
    """How many indexes there are in all, those of system schemas left out."""
    found: tuple[InvalidIndex, ...]
    total: int
    """How many there are, for not all may be named."""


class DuplicateIndexes(msgspec.Struct, frozen=True, kw_only=True):
    """The duplicates of a database, the largest first."""

    database: str
    indexes: int
    found: tuple[DuplicateIndex, ...]
    total: int


class UnusedIndexes(msgspec.Struct, frozen=True, kw_only=True):
    """The indexes that nobody used, the largest first; none is named where the server has not counted for so long."""

    database: str
    indexes: int
    found: tuple[UnusedIndex, ...]
    total: int
    counted_since: datetime | None
    """Since when the server counts; before that it forgot: a reset, a crash, a new server."""
    clock: datetime
    """The time of the server's clock."""
    counts: bool
    """False where `track_counts` is off."""
    standby: bool
    standbys: int
    """How many servers stream from this one."""


@dataclass(frozen=True)
class AskInvalidIndexes(DatabaseQuery[InvalidIndexes], name="postgres.invalid-indexes"):
    """Which indexes are invalid, and not being built."""

    needs = (READ_SESSIONS,)  # without it, an index that is being built looks like one that failed

    def asked_for(self) -> str:
        """In words."""
        return "the invalid indexes that nobody is building"


@dataclass(frozen=True)
class AskDuplicateIndexes(DatabaseQuery[DuplicateIndexes], name="postgres.duplicate-indexes"):
    """Which indexes are there twice."""

    def asked_for(self) -> str:
        """In words."""
        return "the indexes that are there twice"


@dataclass(frozen=True)
class AskUnusedIndexes(DatabaseQuery[UnusedIndexes], name="postgres.unused-indexes"):
    """Which indexes nobody uses."""

    unused_for_s: float = 30 * 86400.0
    """For how long nobody may have used them."""

    def asked_for(self) -> str:
        """In words."""
        return f"the indexes that nobody has used for {self.unused_for_s / 86400:g} days"
