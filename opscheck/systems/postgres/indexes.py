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
    """One index, with its size."""

    schema: str
    name: str
    sql_name: str
    """Schema and name, quoted for SQL."""
    table: str
    """Its table, quoted for SQL."""
    bytes: int


class InvalidIndex(Index, frozen=True, kw_only=True):
    """An index that no query uses and every write maintains; it is not being built."""

    leftover: bool
    """True for the leftover of a failed REINDEX CONCURRENTLY; the index itself is another one."""


class DuplicateIndex(Index, frozen=True, kw_only=True):
    """An index that another one of the same table makes redundant."""

    same_as: str
    """The other one, quoted for SQL."""
    constraint: str
    """The constraint that uses it; empty for none."""
    table_schema: str
    table_name: str
    partitioned: bool
    """True for an index of a partitioned table, which has one index per partition."""


class UnusedIndex(Index, frozen=True, kw_only=True):
    """An index that no query of this server has used for a long time."""

    scans: int
    last_scan: datetime | None
    """Available from PostgreSQL 16 on."""
    partitioned: bool


class Indexes(msgspec.Struct, Generic[AnyIndex], frozen=True, kw_only=True):
    """The indexes of one kind in a database, the largest first."""

    database: str
    indexes: int
    """Number of all indexes, without system schemas."""
    found: tuple[AnyIndex, ...]
    total: int
    """Number of all indexes of the kind; `found` may contain fewer."""


InvalidIndexes: TypeAlias = Indexes[InvalidIndex]
"""Those that are being built are left out."""
DuplicateIndexes: TypeAlias = Indexes[DuplicateIndex]


class UnusedIndexes(Indexes[UnusedIndex], frozen=True, kw_only=True):
    """Unused indexes; empty where the server has not counted for long enough."""

    counted_since: datetime | None
    """Start of the counters: a reset, a crash, a new server."""
    clock: datetime
    """The time of the server's clock."""
    counts: bool
    """False where `track_counts` is off."""
    standby: bool
    standbys: int
    """Number of servers that stream from this one."""


@dataclass(frozen=True)
class ListInvalidIndexes(DatabaseQuery[InvalidIndexes], name="postgres.invalid-indexes"):
    """Indexes that are invalid, and not being built."""

    what = "the invalid indexes that are not being built"

    needs = (READ_SESSIONS,)  # without it, an index that is being built looks like one that failed


@dataclass(frozen=True)
class ListDuplicateIndexes(DatabaseQuery[DuplicateIndexes], name="postgres.duplicate-indexes"):
    """Duplicate indexes."""

    what = "the duplicate indexes"


@dataclass(frozen=True)
class ListUnusedIndexes(DatabaseQuery[UnusedIndexes], name="postgres.unused-indexes"):
    """Indexes that no query uses."""

    unused_for_s: float = 30 * 86400.0
    """Time without use."""

    def in_words(self) -> str:
        return f"the indexes that were not used for {self.unused_for_s / 86400:g} days"


def _command(statement: str, *facts: str) -> str:
    return psql_command(f"'{statement}'", *facts, options=" -v ON_ERROR_STOP=1") + "  # as the table's owner"


REBUILD = Remedy(
    "Rebuild the index; for a unique one, remove duplicate rows first",
    _command('reindex index concurrently :"schema".:"index"', "schema", "index"),
)
_DROP = "Drop the index if no query uses it, here and on each replica"
DROP = Remedy(_DROP, _command('drop index concurrently :"schema".:"index"', "schema", "index"))
DROP_PARTITIONED = Remedy(
    _DROP,
    _command('drop index :"schema".:"index"', "schema", "index")
    + "; cannot be dropped concurrently: it waits for a lock on the table and blocks all queries on it",
)
DROP_CONSTRAINT = Remedy(
    "Drop the redundant constraint",
    _command(
        'alter table :"table_schema".:"table" drop constraint :"constraint"', "table_schema", "table", "constraint"
    ),
)


class PostgresIndexes(InDatabases, check="postgres.indexes"):
    """
    Every index is valid, unique in purpose, and used.

    Queries do not use an invalid index, but every write maintains it. An index that is being built or dropped is not a
    finding; nor is an index of a partitioned table, which is invalid until each partition has one. An index counts as
    used if it makes rows unique, is a replica identity or supports a foreign key. A server reports neither the use on
    its replicas nor when an index was created: check the replicas, and the age of the index, before you drop it.
    """

    any_limit_of = ("invalid", "duplicates", "unused")
    remedies = (REBUILD, DROP, DROP_PARTITIONED, DROP_CONSTRAINT)
    fact_names: ClassVar[Mapping[str, str]] = {
        "database": "the database of the index",
        "schema": "the schema of the index",
        "index": "the index",
        "constraint": "the constraint that uses a duplicate",
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
    """Maximum number of invalid indexes per database, without indexes that are being built: {P2: 0}."""
    duplicates: Graded[ByteSize] | None = None
    """Maximum size of an index that duplicates another one of its table: {P3: 0B}."""
    unused: Graded[ByteSize] | None = None
    """Maximum size of an index that was not used for the time of `unused_for`: {P3: 100MB}."""
    unused_for: Timeout = Duration(30 * 86400)
    """Time without use. The verdict is `unknown` where the server's counters are younger."""

    def in_database(self, database: str | None) -> Iterable[DatabaseQuery[Any]]:
        """A query for each limit."""
        name = self.target.name
        if self.invalid is not None:
            yield ListInvalidIndexes(name, database)
        if self.duplicates is not None:
            yield ListDuplicateIndexes(name, database)
        if self.unused is not None:
            yield ListUnusedIndexes(name, database, unused_for_s=float(self.unused_for))
