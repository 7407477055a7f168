"""What can be expected of the indexes of databases."""

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from opscheck.core.expectation import Remediation
from opscheck.core.query import Query
from opscheck.core.units import ByteSize, Count, Duration, Graded, Timeout
from opscheck.systems.postgres.expectations.base import InDatabases
from opscheck.systems.postgres.queries.base import DatabaseQuery
from opscheck.systems.postgres.queries.indexes import AskDuplicateIndexes, AskInvalidIndexes, AskUnusedIndexes


# psql takes a DSN or the name of a database, not both; it knows the rest of the DSN when it connects anew.
def _in_database(statement: str, *names: str) -> str:
    variables = "".join(f" -v {name}={{{{ {name} }}}}" for name in ("database", *names))
    return f"printf '%s\\n' '\\connect :\"database\"' '{statement}' | psql {{{{ dsn }}}} -v ON_ERROR_STOP=1{variables}"


_REBUILD = _in_database('reindex index concurrently :"schema".:"invalid_index"', "schema", "invalid_index")
_DROP = _in_database('drop index concurrently :"schema".:"superfluous_index"', "schema", "superfluous_index")
_DROP_PARTITIONED = (
    _in_database('drop index :"schema".:"partitioned_index"', "schema", "partitioned_index")
    + "  # it cannot be dropped concurrently: it waits for the table, and everybody else for it"
)
_DROP_CONSTRAINT = _in_database(
    'alter table :"table_schema".:"table" drop constraint :"superfluous_constraint"',
    "table_schema",
    "table",
    "superfluous_constraint",
)


class PostgresIndexes(InDatabases, check="postgres.indexes"):
    """
    Every index is valid, there once, and used.

    An invalid index serves no query, and every write still has to keep it. One that is being built or dropped right
    now is no finding, nor is the index of a partitioned table, which is invalid until all partitions have theirs.
    What makes rows unique, is a replica identity or supports a foreign key counts as used. A server knows neither
    what its replicas use nor when an index was created: ask there, and let a new index its time, before you drop one.
    """

    asks: ClassVar[tuple[type[DatabaseQuery[Any]], ...]] = (AskInvalidIndexes, AskDuplicateIndexes, AskUnusedIndexes)
    any_limit_of = ("invalid", "duplicates", "unused")
    fact_names: ClassVar[Mapping[str, str]] = {
        "database": "the database of the index",
        "schema": "the schema of the index",
        "invalid_index": "the index, when it must be built again",
        "superfluous_index": "the index, when it can be dropped: a leftover, a duplicate, or one that nobody uses",
        "partitioned_index": "the same for an index of a partitioned table",
        "superfluous_constraint": "the constraint that stands on a duplicate",
        "table_schema": "the schema of its table",
        "table": "its table",
    }
    default_remediation = Remediation(
        summary=(
            "Build an invalid index again (a unique one fails until its duplicate rows are gone), and drop what is a "
            "leftover, a duplicate, or used by nobody here and on any replica"
        ),
        commands=(_REBUILD, _DROP, _DROP_PARTITIONED, _DROP_CONSTRAINT),
    )

    invalid: Graded[Count] | None = None
    """How many invalid indexes each database may have that nobody is building: {P2: 0}."""
    duplicates: Graded[ByteSize] | None = None
    """How large an index may be that another one of its table makes superfluous: {P3: 0B}."""
    unused: Graded[ByteSize] | None = None
    """How large an index may be that nobody used for the time of `unused_for`: {P3: 100MB}."""
    unused_for: Timeout = Duration(30 * 86400)
    """For how long nobody used it. A server that has not counted for so long cannot tell, and it is unknown."""

    def question(self, kind: type[DatabaseQuery[Any]], database: str | None) -> DatabaseQuery[Any]:
        """One of its questions, in one database."""
        if kind is AskUnusedIndexes:
            return AskUnusedIndexes(self.target.name, database, unused_for_s=float(self.unused_for))
        return super().question(kind, database)

    def _in(self, databases: Iterable[str | None]) -> Iterable[Query[Any]]:
        limits = (self.invalid, self.duplicates, self.unused)
        wanted = [kind for kind, limit in zip(self.asks, limits, strict=True) if limit is not None]
        return [self.question(kind, database) for database in databases for kind in wanted]
