"""postgres.size: size and growth of databases, and the use of their sequences."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import msgspec

from opscheck.core.field_types import ShareUsed
from opscheck.core.query import Permission, Query
from opscheck.core.remedy import Former, Remedy
from opscheck.core.units import ByteSize, Duration, Graded, Percentage, Timeout
from opscheck.systems.postgres.databases import DatabaseQuery, InDatabases, psql_command
from opscheck.systems.postgres.server import DatabaseNames, ListDatabases, RoleGrant, SequenceGrant, ServerQuery

READ_SIZES = RoleGrant("pg_read_all_stats", "sizes of databases without CONNECT are hidden without it")


class DatabaseSize(msgspec.Struct, frozen=True, kw_only=True):
    """One database."""

    name: str
    oid: int
    """Its object id; a database that was dropped and created again has another one."""
    bytes: int | None
    """None where the role of the dsn may not read it."""
    is_template: bool = False


class Sizes(msgspec.Struct, frozen=True, kw_only=True):
    """The databases of a server with their sizes on disk, without WAL."""

    role: str
    """The role of the dsn."""
    current: str
    """The database of the dsn."""
    system: str
    """The server's system identifier, which its standbys share."""
    databases: tuple[DatabaseSize, ...]

    @property
    def epoch(self) -> str:
        """Sizes are comparable within the same system, even after a failover."""
        return self.system


@dataclass(frozen=True)
class ReadSizes(ServerQuery[Sizes], name="postgres.sizes", remembered=True):
    """The sizes of databases. The server reads the size of each of their files."""

    databases: tuple[str, ...] | None = ()
    """Their names; empty is the database of the dsn, and None means all databases."""

    def permissions(self) -> tuple[Permission, ...]:
        """CONNECT is enough to read the size of a database; all sizes need pg_read_all_stats."""
        return (READ_SIZES,) if self.databases is None else ()

    def text(self) -> str:
        """For people."""
        if self.databases is None:
            return "the size of every database"
        return f"the size of database {' and '.join(self.databases)}" if self.databases else "the size of the database"


class RelationSize(msgspec.Struct, frozen=True, kw_only=True):
    """A table or materialised view with its indexes and its TOAST."""

    name: str
    """With its schema, quoted for SQL."""
    bytes: int
    table_bytes: int
    """Without its indexes."""


class Relations(msgspec.Struct, frozen=True, kw_only=True):
    """The largest relations of a database."""

    place: str
    """The system identifier and the database's number."""
    largest: tuple[RelationSize, ...]

    @property
    def epoch(self) -> str:
        """Sizes are comparable within the same database."""
        return self.place


@dataclass(frozen=True)
class LargestRelations(DatabaseQuery[Relations], name="postgres.largest-relations", remembered=True):
    """The largest relations of a database, preselected by the statistics of the last VACUUM or ANALYZE."""

    what = "the largest relations"


class Sequence(msgspec.Struct, frozen=True, kw_only=True):
    """A used sequence, and the column that it feeds."""

    schema: str
    name: str
    type: str
    """Its own type: integer."""
    table_schema: str | None = None
    table: str | None = None
    """The table with the narrowest column that it feeds; None without one."""
    column: str | None = None
    column_type: str | None = None
    last_value: int
    limit: int
    """The last value that it can return and that its column can hold."""
    limited_by: str
    """The origin of that limit: `column`, `type` or `maxvalue` (`minvalue` for a descending sequence)."""
    used: float
    """Used share of its values, in percent."""
    left: int
    """Number of remaining values."""


class SequencesAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The sequences of a database that can end; sequences with CYCLE are left out."""

    database: str
    role: str
    """The role of the dsn."""
    seen: int
    """Number of readable sequences."""
    most_used: tuple[Sequence, ...]
    hidden: int = 0
    """Number of unreadable sequences."""
    hidden_names: tuple[str, ...] = ()
    """The first of those, with their schemas, quoted for SQL."""
    hidden_schemas: tuple[str, ...] = ()
    """The schemas of all of those, quoted for SQL."""


@dataclass(frozen=True)
class Sequences(DatabaseQuery[SequencesAnswer], name="postgres.sequences"):
    """The used share of each sequence."""

    what = "the used share of each sequence"

    def permissions(self) -> tuple[Permission, ...]:
        """Sequences of other roles need a grant on each; pg_monitor is not enough."""
        return (*super().permissions(), SequenceGrant(self.database))


SHOW_RELATIONS = Remedy(
    "Find the largest tables; delete old rows by a retention rule or partitions, or plan more disk",
    psql_command(
        '"select oid::regclass as relation, pg_size_pretty(pg_total_relation_size(oid)) as total, '
        "pg_size_pretty(pg_indexes_size(oid)) as indexes, reltuples::int8 as about_rows from pg_class "
        "where relkind in ('r', 'm') order by pg_total_relation_size(oid) desc limit 20\""
    ),
)
SHOW_DATABASES = Remedy(
    SHOW_RELATIONS.summary,
    'echo "select datname, pg_size_pretty(pg_database_size(oid)) as size from pg_database '
    'order by pg_database_size(oid) desc limit :count" | psql {{ dsn }} -v count={{ database_count }}',
)
_OF_SEQUENCE = ("schema", "sequence")
_OF_COLUMN = (*_OF_SEQUENCE, "table_schema", "table", "column")
_WIDEN = "Change the sequence, and the column that it feeds, to bigint before inserts fail"
SHOW_SEQUENCE = Remedy(
    "Show the sequence's last value and limits",
    psql_command(
        "\"select * from pg_sequences where schemaname = :'schema' and sequencename = :'sequence'\"", *_OF_SEQUENCE
    ),
)
WIDEN_COLUMN = Remedy(
    _WIDEN,
    psql_command('\'alter table :"table_schema".:"table" alter column :"column" type bigint\'', *_OF_COLUMN)
    + "  # as its owner; rewrites the table under a lock; for a large one, add, fill and swap a column",
)
WIDEN_SEQUENCE = Remedy(
    _WIDEN,
    psql_command('\'alter sequence :"schema".:"sequence" as bigint\'', *_OF_SEQUENCE)
    + "  # as its owner; it is {{ type }}",
)
REMOVE_LIMIT = Remedy(
    "Remove the sequence's own limit",
    psql_command('\'alter sequence :"schema".:"sequence" no maxvalue no minvalue\'', *_OF_SEQUENCE)
    + "  # as its owner; it ends at {{ limit }}",
)


class PostgresSize(InDatabases, check="postgres.size"):
    """
    Databases stay within their size and growth limits, and sequences have values left.

    The size is the size of the database's files: tables, indexes, TOAST; WAL is not counted. Growth compares with the
    sample closest to `over` ago in the state file (`--state`), scaled to the length of `over`; without such a sample it
    is unknown. A sequence ends at its own last value, or at the last value that its column can hold: an integer column
    is full at 2147483647, even if its sequence continues. A sequence with CYCLE never ends. Databases and sequences
    that the role may not read are unknown.
    """

    any_limit_of = ("size", "total", "growth", "grown", "sequences")
    remedies = (SHOW_RELATIONS, SHOW_DATABASES, SHOW_SEQUENCE, WIDEN_COLUMN, WIDEN_SEQUENCE, REMOVE_LIMIT)
    fact_names: ClassVar[Mapping[str, str]] = {
        "database": "the database that is too large or grows too fast, or the database of the sequence",
        "largest": "the largest table of the database; missing when unknown",
        "database_count": "the number of databases of the server",
        "schema": "the schema of the sequence",
        "sequence": "its name",
        "type": "its own type",
        "limit": "the last value that it can return and that its column can hold",
        "table_schema": "the schema of the table with the column that ends",
        "table": "that table",
        "column": "its column, which is narrower than bigint",
    }
    former_fact_names: ClassVar = {
        "sequence_database": Former("database", SHOW_SEQUENCE),
        "sequence_schema": Former("schema", SHOW_SEQUENCE),
        "narrow": Former("type", WIDEN_SEQUENCE),
        "capped_at": Former("limit", REMOVE_LIMIT),
    }

    size: Graded[ByteSize] | None = None
    """Maximum size of each database."""
    total: Graded[ByteSize] | None = None
    """Maximum size of all databases of the server together, templates included, regardless of `databases`."""
    growth: Graded[Percentage] | None = None
    """Maximum growth of each database in the time of `over`, in percent of its earlier size."""
    growth_above: ByteSize = ByteSize(100_000_000)
    """Minimum growth in bytes; `growth` does not apply below it, because small databases grow by large shares."""
    grown: Graded[ByteSize] | None = None
    """Maximum growth of each database in bytes, in the time of `over`."""
    over: Timeout = Duration(86400)
    """Period of growth, and approximate age of the sample for comparison."""
    sequences: ShareUsed | None = None
    """Maximum used share of each sequence, in percent of its values from 0 (or its first value) to its end."""

    @property
    def judges_growth(self) -> bool:
        """True if it compares with an earlier answer."""
        return self.growth is not None or self.grown is not None

    @property
    def judges_databases(self) -> bool:
        """True if it judges the sizes of single databases."""
        return self.size is not None or self.judges_growth

    @property
    def sizes(self) -> ReadSizes:
        """The query for the sizes."""
        if self.total is not None or self.patterns:
            return ReadSizes(self.target.name, None)
        return ReadSizes(self.target.name, self.databases or ())

    def queries(self) -> Iterable[Query[Any]]:
        """The sizes, and the sequences in each database."""
        if self.judges_databases or self.total is not None:
            yield self.sizes
        if self.patterns and self.judges_databases:
            yield ListDatabases(self.target.name)
        yield from super().queries()

    def in_database(self, database: str | None) -> Iterable[DatabaseQuery[Any]]:
        """Its sequences."""
        return () if self.sequences is None else (Sequences(self.target.name, database),)

    def evidence_queries(self) -> Iterable[Query[Any]]:
        """The role of the dsn, and the largest relations."""
        yield from super().evidence_queries()
        if not self.patterns:
            yield from self._relations_in(self.databases or (None,))

    def follow_up_queries(self, answer: Callable[[Query[Any]], Any]) -> Iterable[Query[Any]]:
        """The same in the databases that its patterns match; the largest relations only where a finding shows them."""
        yield from super().follow_up_queries(answer)
        if self.patterns and self.judges_databases:
            there: DatabaseNames = answer(ListDatabases(self.target.name))
            matched = self.matched(there)
            if not self.judges_growth:
                large = {one.name for one in answer(self.sizes).databases if self.is_too_large(one.bytes)}
                matched = tuple(name for name in matched if name in large)
            yield from self._relations_in(sorted(matched))

    def described(self) -> Iterable[Query[Any]]:
        """For people: the queries with the patterns instead of the databases."""
        yield from super().described()
        if self.patterns:
            yield from self._relations_in(self.databases or ())

    def is_too_large(self, size: int | None) -> bool:
        """True if a database of this size violates the limit."""
        return self.size is not None and size is not None and self.size.severity(size) is not None

    def relations(self, database: str) -> LargestRelations:
        """The query for the largest relations of a database."""
        return LargestRelations(self.target.name, database if self.databases else None)

    def _relations_in(self, databases: Iterable[str | None]) -> Iterable[Query[Any]]:
        return [LargestRelations(self.target.name, one) for one in databases] if self.judges_databases else []
