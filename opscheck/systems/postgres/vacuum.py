"""postgres.vacuum: how far vacuum and analyze are behind, and what holds them back."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, ClassVar, Self

import msgspec
from pydantic import AfterValidator, model_validator
from pydantic_core import PydanticCustomError

from opscheck.core.field_types import ShareUsed, values
from opscheck.core.query import Query
from opscheck.core.remedy import Former, Remedy
from opscheck.core.units import Count, Duration, Graded, Percentage
from opscheck.systems.postgres.databases import DatabaseQuery, InDatabases, psql_command
from opscheck.systems.postgres.server import ServerQuery
from opscheck.systems.postgres.xmin import FORMER_HOLDER_FACTS, HOLDER_FACTS, HOLDER_REMEDIES, ListXminHolders


class DatabaseAge(msgspec.Struct, frozen=True, kw_only=True):
    """How far a database is from running out of transaction numbers."""

    name: str
    xid_age: int
    """How many transactions ago its oldest row was written that is not frozen."""
    multixact_age: int
    """The same for multixacts: row locks that several transactions share."""
    connectable: bool
    """False where no role may connect, as to template0: only autovacuum can freeze its rows."""


class Ages(msgspec.Struct, frozen=True, kw_only=True):
    """The ages of all databases, templates too, the oldest first, and where autovacuum begins to freeze by force."""

    databases: tuple[DatabaseAge, ...]
    freeze_max_age: int
    multixact_freeze_max_age: int


@dataclass(frozen=True)
class ReadAges(ServerQuery[Ages], name="postgres.ages"):
    what = "the transaction and multixact age of every database"


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
    """How many have not been analysed since the server counts; ANALYZE counts the dead rows again."""
    counted_since: datetime | None
    """Since when the server counts; before that it forgot: a reset, a crash, a new server."""
    clock: datetime
    """The time of the server's clock."""
    standby: bool
    """A standby counts no dead and no changed rows."""
    counts: bool
    """False where `track_counts` is off, and nothing is counted at all."""


@dataclass(frozen=True)
class ListTables(DatabaseQuery[Tables], name="postgres.tables"):
    """Which tables wait for vacuum or analyze."""

    min_rows: int = 10_000
    """Tables with fewer dead, written or changed rows are not named."""

    def in_words(self) -> str:
        return f"the tables with more than {self.min_rows} dead, written or never analysed rows"


_ALL = 100.0


def _beyond_all(limit: Graded[Percentage]) -> Graded[Percentage]:
    if min(values(limit)) < _ALL:
        raise PydanticCustomError("limit_normal", "at least 100%: until there, nothing has to be done yet")
    return limit


BeyondTrigger = Annotated[Graded[Percentage], AfterValidator(_beyond_all)]
"""How far something may be beyond the point where autovacuum begins to work on it."""


_STOP = " -v ON_ERROR_STOP=1"
_FREEZE_OLDEST = (
    "\"select format('vacuum (freeze, verbose) %s', c.oid::regclass) "
    "from pg_class c left join pg_class t on t.oid = c.reltoastrelid where c.relkind in ('r', 'm') order by "
    'greatest({age}(c.{frozen}), {age}(t.{frozen})) desc limit 10 \\gexec"'
)
FREEZE_XIDS, FREEZE_MULTIXACTS = (
    Remedy(
        "Freeze the oldest tables; where it happens again, let autovacuum work faster (autovacuum_vacuum_cost_limit)",
        psql_command(_FREEZE_OLDEST.format(age=age, frozen=frozen), options=_STOP),
    )
    for age, frozen in (("age", "relfrozenxid"), ("mxid_age", "relminmxid"))
)
ENABLE = Remedy(
    "Switch autovacuum on for the table",
    psql_command('\'alter table :"schema".:"table" reset (autovacuum_enabled)\'', "schema", "table", options=_STOP),
)
VACUUM = Remedy(
    "Vacuum the table; where it happens again, let autovacuum begin earlier (autovacuum_vacuum_scale_factor of the "
    "table) or work faster (autovacuum_vacuum_cost_limit)",
    psql_command('\'vacuum (analyze, verbose) :"schema".:"table"\'', "schema", "table", options=_STOP),
)
ANALYZE = Remedy(
    "Analyse the table; parents of partitions are analysed by hand or by a schedule",
    psql_command('\'analyze verbose :"schema".:"table"\'', "schema", "table", options=_STOP),
)


class PostgresVacuum(InDatabases, check="postgres.vacuum"):
    """
    Dead rows are removed, old rows frozen and statistics renewed before they hurt.

    Ages are those of every database of the server, template0 too. Tables are held to their own settings: autovacuum
    works on a table when its threshold and scale factor say so, and only what is far beyond that is behind. System
    schemas, temporary tables and TOAST are left out. What a standby, a server that does not count, or one that began
    to count less than `counted_for` ago has not counted proves nothing, and is unknown.
    """

    any_limit_of = (
        "xid_age",
        "multixact_age",
        "freeze_lag",
        "oldest_xmin",
        "oldest_xmin_held",
        "dead_rows",
        "stale_statistics",
        "vacuumed_within",
        "analyzed_within",
    )
    remedies = (*HOLDER_REMEDIES, FREEZE_XIDS, FREEZE_MULTIXACTS, ENABLE, VACUUM, ANALYZE)
    fact_names: ClassVar[Mapping[str, str]] = {
        "database": "a database that is old, or that of a table; missing where nobody may connect to it",
        "schema": "the schema of a table",
        "table": "a table that is behind",
        **HOLDER_FACTS,
    }
    former_fact_names: ClassVar = {
        "freeze_database": Former("database", FREEZE_XIDS),
        "multixact_database": Former("database", FREEZE_MULTIXACTS),
        "vacuum_table": Former("table", VACUUM),
        "analyze_table": Former("table", ANALYZE),
        "disabled_table": Former("table", ENABLE),
        **FORMER_HOLDER_FACTS,
    }

    xid_age: ShareUsed | None = None
    """How old the oldest transaction of any database may be, in percent of 2^31, where the server stops to write."""
    multixact_age: ShareUsed | None = None
    """The same for multixacts, which several transactions make that lock one row."""
    freeze_lag: BeyondTrigger | None = None
    """
    The same ages in percent of where autovacuum freezes by force (autovacuum_freeze_max_age and its twin).

    To reach 100% is normal; to stay far above means that autovacuum does not keep up.
    """
    oldest_xmin: Graded[Count] | None = None
    """For how many transactions dead rows may be kept for a session, prepared transaction, slot or standby."""
    oldest_xmin_held: Graded[Duration] | None = None
    """
    For how long. Standbys, and slots in use or before PostgreSQL 17, do not say so: `oldest_xmin` must stand beside it.
    """
    dead_rows: BeyondTrigger | None = None
    """How many dead rows a table may have, in percent of the number at which autovacuum vacuums it: 200%."""
    stale_statistics: BeyondTrigger | None = None
    """
    How many rows may have changed since a table was analysed, in percent of the number at which autovacuum would.

    A table that was never analysed breaks the worst of these limits; a parent of partitions too, which only a person
    or a schedule can analyse (told from PostgreSQL 14 on).
    """
    vacuumed_within: Graded[Duration] | None = None
    """How long ago a table may have been vacuumed, when it was written to since; never is the mildest violation."""
    analyzed_within: Graded[Duration] | None = None
    """How long ago a table may have been analysed, when rows changed since; never is the mildest violation."""
    min_rows: Count = 10_000
    """Tables with no more dead (written, changed) rows than this are not judged."""
    counted_for: Duration = Duration(3600)
    """
    How long the server must have counted, since a crash or a reset, before few dead rows prove anything.

    Where every table was analysed since then, they do from then on.
    """

    @model_validator(mode="after")
    def _holders_without_a_time_are_judged(self) -> Self:
        if self.oldest_xmin_held is not None and self.oldest_xmin is None:
            raise PydanticCustomError(
                "limit_missing", "`oldest_xmin` beside `oldest_xmin_held`: slots and standbys do not say since when"
            )
        return self

    @property
    def judges_ages(self) -> bool:
        return (self.xid_age, self.multixact_age, self.freeze_lag) != (None, None, None)

    @property
    def judges_tables(self) -> bool:
        limits = (self.dead_rows, self.stale_statistics, self.vacuumed_within, self.analyzed_within)
        return limits != (None, None, None, None)

    @property
    def ages(self) -> ReadAges:
        return ReadAges(self.target.name)

    @property
    def holders(self) -> ListXminHolders:
        return ListXminHolders(self.target.name)

    def queries(self) -> Iterable[Query[Any]]:
        if self.judges_ages:
            yield self.ages
        if self.oldest_xmin is not None:
            yield self.holders
        yield from super().queries()

    def in_database(self, database: str | None) -> Iterable[DatabaseQuery[Any]]:
        return (ListTables(self.target.name, database, min_rows=self.min_rows),) if self.judges_tables else ()

    def evidence_queries(self) -> Iterable[Query[Any]]:
        """The role of the dsn; and what keeps old rows, for that explains the rest."""
        yield from super().evidence_queries()
        if self.oldest_xmin is None:
            yield self.holders
