"""postgres.indexes: invalid, duplicate and unused indexes."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Generic, TypeAlias, TypeVar

import msgspec

from opscheck.core.remedy import Former, Remedy
from opscheck.core.units import ByteSize, Count, Duration, Graded, Timeout
from opscheck.systems.postgres.databases import DatabaseQuery, InDatabases, psql_command
from opscheck.systems.postgres.server import READ_SESSIONS

AnyIndex = TypeVar("AnyIndex")


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
    """An index that no query may use, and that every write still has to keep; no build of it is running."""

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


class Indexes(msgspec.Struct, Generic[AnyIndex], frozen=True, kw_only=True):
    """The indexes of one kind in a database, the largest first."""

    database: str
    indexes: int
    """How many indexes there are in all, those of system schemas left out."""
    found: tuple[AnyIndex, ...]
    total: int
    """How many of the kind there are, for not all may be named."""


InvalidIndexes: TypeAlias = Indexes[InvalidIndex]
"""Those that are being built are left out."""
DuplicateIndexes: TypeAlias = Indexes[DuplicateIndex]


class UnusedIndexes(Indexes[UnusedIndex], frozen=True, kw_only=True):
    """None is named where the server has not counted for so long."""

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
class ListInvalidIndexes(DatabaseQuery[InvalidIndexes], name="postgres.invalid-indexes"):
    """Which indexes are invalid, and not being built."""

    what = "the invalid indexes that nobody is building"

    needs = (READ_SESSIONS,)  # without it, an index that is being built looks like one that failed


@dataclass(frozen=True)
class ListDuplicateIndexes(DatabaseQuery[DuplicateIndexes], name="postgres.duplicate-indexes"):
    """Which indexes are there twice."""

    what = "the indexes that are there twice"


@dataclass(frozen=True)
class ListUnusedIndexes(DatabaseQuery[UnusedIndexes], name="postgres.unused-indexes"):
    """Which indexes no query uses."""

    unused_for_s: float = 30 * 86400.0
    """For how long no query may have used them."""

    def in_words(self) -> str:
        """In words."""
        return f"the indexes that nobody has used for {self.unused_for_s / 86400:g} days"


def _command(statement: str, *facts: str) -> str:
    return psql_command(f"'{statement}'", *facts, options=" -v ON_ERROR_STOP=1")


REBUILD = Remedy(
    "Build the index again; a unique one fails until its duplicate rows are gone",
    _command('reindex index concurrently :"schema".:"index"', "schema", "index"),
)
_DROP = "Drop the index when it is used by nobody here and on any replica"
DROP = Remedy(_DROP, _command('drop index concurrently :"schema".:"index"', "schema", "index"))
DROP_PARTITIONED = Remedy(
    _DROP,
    _command('drop index :"schema".:"index"', "schema", "index")
    + "  # it cannot be dropped concurrently: it waits for the table, and everybody else for it",
)
DROP_CONSTRAINT = Remedy(
    "Drop the constraint that another index serves as well",
    _command(
        'alter table :"table_schema".:"table" drop constraint :"constraint"', "table_schema", "table", "constraint"
    ),
)


class PostgresIndexes(InDatabases, check="postgres.indexes"):
    """
    Every index is valid, unique in purpose, and used.

    An invalid index serves no query, and every write still has to keep it. One that is being built or dropped right now
    is no finding, nor is the index of a partitioned table, which is invalid until all partitions have theirs. What
    makes rows unique, is a replica identity or supports a foreign key counts as used. A server knows neither what its
    replicas use nor when an index was created: ask there, and let a new index its time, before you drop one.
    """

    any_limit_of = ("invalid", "duplicates", "unused")
    remedies = (REBUILD, DROP, DROP_PARTITIONED, DROP_CONSTRAINT)
    fact_names: ClassVar[Mapping[str, str]] = {
        "database": "the database of the index",
        "schema": "the schema of the index",
        "index": "the index",
        "constraint": "the constraint that stands on a duplicate",
        "table_schema": "the schema of its table",
        "table": "its table",
    }
    former_fact_names: ClassVar = {
        "invalid_index": Former("index", REBUILD),
        "superfluous_index": Former("index", DROP),
        "partitioned_index": Former("index", DROP_PARTITIONED),
        "superfluous_constraint": Former("constraint", DROP_CONSTRAINT),
    }

    invalid: Graded[Count] | None = None
    """How many invalid indexes each database may have that nobody is building: {P2: 0}."""
    duplicates: Graded[ByteSize] | None = None
    """How large an index may be that another one of its table makes superfluous: {P3: 0B}."""
    unused: Graded[ByteSize] | None = None
    """How large an index may be that nobody used for the time of `unused_for`: {P3: 100MB}."""
    unused_for: Timeout = Duration(30 * 86400)
    """For how long nobody used it. A server that has not counted for so long cannot tell, and it is unknown."""

    def in_database(self, database: str | None) -> Iterable[DatabaseQuery[Any]]:
        """A query for each limit."""
        name = self.target.name
        if self.invalid is not None:
            yield ListInvalidIndexes(name, database)
        if self.duplicates is not None:
            yield ListDuplicateIndexes(name, database)
        if self.unused is not None:
            yield ListUnusedIndexes(name, database, unused_for_s=float(self.unused_for))
