"""postgres.size: how large databases are, how fast they grow, and how much of their sequences is used."""

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

READ_SIZES = RoleGrant("pg_read_all_stats", "the size of a database that it may not connect to is hidden without it")


class DatabaseSize(msgspec.Struct, frozen=True, kw_only=True):
    """One database."""

    name: str
    oid: int
    """Its number; a database that was dropped and made again has another one."""
    bytes: int | None
    """None where the role of the dsn may not read it."""
    is_template: bool = False


class Sizes(msgspec.Struct, frozen=True, kw_only=True):
    """The databases of a server on disk: tables, indexes and what else is in their folders; no WAL."""

    role: str
    """The role of the dsn."""
    current: str
    """The database of the dsn."""
    system: str
    """The server's system identifier, which its standbys share."""
    databases: tuple[DatabaseSize, ...]

    @property
    def epoch(self) -> str:
        """Sizes compare with those of the same system, also after a failover."""
        return self.system


@dataclass(frozen=True)
class ReadSizes(ServerQuery[Sizes], name="postgres.sizes", remembered=True):
    """How large databases are. The server looks at each of their files."""

    databases: tuple[str, ...] | None = ()
    """Their names; none is the one of the dsn, and None is every one."""

    def permissions(self) -> tuple[Permission, ...]:
        """A role that may connect to a database may read its size; to read them all, more is needed."""
        return (READ_SIZES,) if self.databases is None else ()

    def text(self) -> str:
        """For people."""
        if self.databases is None:
            return "the size of every database"
        return f"the size of database {' and '.join(self.databases)}" if self.databases else "the size of the database"


class RelationSize(msgspec.Struct, frozen=True, kw_only=True):
    """A table or materialised view with its indexes and its TOAST."""

    name: str
    """With its schema, quoted where SQL wants it."""
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
        """Sizes compare with those of the same database."""
        return self.place


@dataclass(frozen=True)
class LargestRelations(DatabaseQuery[Relations], name="postgres.largest-relations", remembered=True):
    """What a database is large by. Which relations are measured is chosen by their last VACUUM or ANALYZE."""

    what = "the largest relations"


class Sequence(msgspec.Struct, frozen=True, kw_only=True):
    """A sequence that was used, and what it feeds."""

    schema: str
    name: str
    type: str
    """Its own type: integer."""
    table_schema: str | None = None
    table: str | None = None
    """The table with the narrowest column that it feeds; None where it feeds none."""
    column: str | None = None
    column_type: str | None = None
    last_value: int
    limit: int
    """The last value that it can give and that its column can hold."""
    limited_by: str
    """What that limit comes from: `column`, `type` or `maxvalue` (`minvalue` of one that counts down)."""
    used: float
    """How much of its values is used, in percent."""
    left: int
    """How many values it still gives."""


class SequencesAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The sequences of a database that end one day: those that CYCLE are left out."""

    database: str
    role: str
    """The role of the dsn."""
    seen: int
    """How many could be read."""
    most_used: tuple[Sequence, ...]
    hidden: int = 0
    """How many could not be read."""
    hidden_names: tuple[str, ...] = ()
    """The first of those, with their schemas, quoted as SQL wants it."""
    hidden_schemas: tuple[str, ...] = ()
    """The schemas of all of those, quoted."""


@dataclass(frozen=True)
class Sequences(DatabaseQuery[SequencesAnswer], name="postgres.sequences"):
    """How much of each sequence is used."""

    what = "how much of each sequence is used"

    def permissions(self) -> tuple[Permission, ...]:
        """To read the sequences of others takes a grant on each; pg_monitor is not enough."""
        return (*super().permissions(), SequenceGrant(self.database))


SHOW_RELATIONS = Remedy(
    "Find what grew and let it go by a retention rule or partitions, or plan more disk",
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
_WIDEN = "Give a sequence that ends, and the column that it feeds, the type bigint before inserts fail"
SHOW_SEQUENCE = Remedy(
    "See how far the sequence is from its end",
    psql_command(
        "\"select * from pg_sequences where schemaname = :'schema' and sequencename = :'sequence'\"", *_OF_SEQUENCE
    ),
)
WIDEN_COLUMN = Remedy(
    _WIDEN,
    psql_command('\'alter table :"table_schema".:"table" alter column :"column" type bigint\'', *_OF_COLUMN)
    + "  # rewrites the table under a lock; a large one gets a new bigint column, filled in steps, and is then swapped",
)
WIDEN_SEQUENCE = Remedy(
    _WIDEN,
    psql_command('\'alter sequence :"schema".:"sequence" as bigint\'', *_OF_SEQUENCE) + "  # it is {{ type }}",
)
REMOVE_LIMIT = Remedy(
    "Remove the limit that the sequence has of its own",
    psql_command('\'alter sequence :"schema".:"sequence" no maxvalue no minvalue\'', *_OF_SEQUENCE)
    + "  # it ends at {{ limit }}",
)


class PostgresSize(InDatabases, check="postgres.size"):
    """
    Databases stay within their size and growth limits, and sequences have values left.

    A size is that of the database's files: tables, indexes, TOAST; WAL is not counted. Growth compares with the sample
    of an earlier run that is nearest to `over` ago, as `--state` keeps it, and is told for the length of `over`;
    without such a sample it is unknown. A sequence ends at its own last value, or at the last one that the column which
    it feeds can hold: an integer column is full at 2147483647, whatever its sequence could give. One that CYCLEs never
    ends. A database whose size may not be known, or a sequence that may not be read, is unknown.
    """

    any_limit_of = ("size", "total", "growth", "grown", "sequences")
    remedies = (SHOW_RELATIONS, SHOW_DATABASES, SHOW_SEQUENCE, WIDEN_COLUMN, WIDEN_SEQUENCE, REMOVE_LIMIT)
    fact_names: ClassVar[Mapping[str, str]] = {
        "database": "the database that is too large or grows too fast, or that of a sequence near its end",
        "largest": "the largest table of the database; missing where that is not known",
        "database_count": "how many databases the server has",
        "schema": "the schema of the sequence",
        "sequence": "its name",
        "type": "its own type",
        "limit": "the last value that it can give and that its column can hold",
        "table_schema": "the schema of the table with the column that ends",
        "table": "that table",
        "column": "the column, which is narrower than bigint",
    }
    former_fact_names: ClassVar = {
        "sequence_database": Former("database", SHOW_SEQUENCE),
        "sequence_schema": Former("schema", SHOW_SEQUENCE),
        "narrow": Former("type", WIDEN_SEQUENCE),
        "capped_at": Former("limit", REMOVE_LIMIT),
    }

    size: Graded[ByteSize] | None = None
    """How large each database may be."""
    total: Graded[ByteSize] | None = None
    """How large all databases of the server together may be, whatever `databases` names; templates count too."""
    growth: Graded[Percentage] | None = None
    """How much each database may grow in the time of `over`, in percent of what it was."""
    growth_above: ByteSize = ByteSize(100_000_000)
    """Growth by fewer bytes is not held to `growth`: of a small database a little is a large part."""
    grown: Graded[ByteSize] | None = None
    """By how many bytes each database may grow in the time of `over`."""
    over: Timeout = Duration(86400)
    """Over how long growth is told, and about how old the sample is that it is compared with."""
    sequences: ShareUsed | None = None
    """How much of each sequence may be used, in percent of the values it gives from 0 (or its first) to its end."""

    @property
    def judges_growth(self) -> bool:
        """Whether it compares with an earlier answer."""
        return self.growth is not None or self.grown is not None

    @property
    def judges_databases(self) -> bool:
        """Whether it looks at the size of single databases."""
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
        """For people, the queries with the patterns in the place of the databases."""
        yield from super().described()
        if self.patterns:
            yield from self._relations_in(self.databases or ())

    def is_too_large(self, size: int | None) -> bool:
        """Whether a database of this size violates the limit."""
        return self.size is not None and size is not None and self.size.severity(size) is not None

    def relations(self, database: str) -> LargestRelations:
        """The query for the largest relations of a database."""
        return LargestRelations(self.target.name, database if self.databases else None)

    def _relations_in(self, databases: Iterable[str | None]) -> Iterable[Query[Any]]:
        return [LargestRelations(self.target.name, one) for one in databases] if self.judges_databases else []
