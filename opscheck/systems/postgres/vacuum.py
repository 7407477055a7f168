"""postgres.vacuum: how far vacuum and analyze are behind, and what holds them back."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Self

import msgspec
from pydantic import model_validator
from pydantic_core import PydanticCustomError

from opscheck.core.field_types import ShareUsed, only, values
from opscheck.core.query import Query
from opscheck.core.remedy import Fact, Former, Remedy
from opscheck.core.units import Count, Duration, Graded, Percentage
from opscheck.systems.postgres.databases import DatabaseQuery, InDatabases, connectable, psql_command
from opscheck.systems.postgres.server import READ_SESSIONS, ServerQuery


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
    """Since when it holds them, at least; slots and standbys mostly do not show it."""
    active: bool = True
    """False for a slot without a consumer."""
    catalog_only: bool = False
    """True for a slot that keeps rows of system catalogs only."""


class XminHolders(msgspec.Struct, frozen=True, kw_only=True):
    """Who holds the oldest rows, the oldest first, and the time of the server's clock."""

    holders: tuple[XminHolder, ...]
    clock: datetime


@dataclass(frozen=True)
class ListXminHolders(ServerQuery[XminHolders], name="postgres.xmin-holders"):
    what = "which sessions, prepared transactions, slots and standbys keep dead rows from being removed"
    needs = (READ_SESSIONS,)


_MANY = 1_000_000
_ALL = 100.0


BeyondTrigger = Annotated[
    Graded[Percentage],
    only(
        lambda limit: min(values(limit)) >= _ALL,
        "limit_normal",
        "at least 100%: until there, nothing has to be done yet",
    ),
]
"""How far something may be beyond the point where autovacuum begins to work on it."""

_END = "End what keeps dead rows from being removed"
# Should the session have ended since, its pid may be another's.
END_SESSION = Remedy(
    _END,
    "echo \"select pg_terminate_backend(pid) from pg_stat_activity where pid = :'pid' "
    "and xact_start = :'began'\" | psql {{ dsn }} -v pid={{ pid }} -v began={{ began }}",
)
# psql takes a DSN or the name of a database, not both; it knows the rest of the DSN when it connects again.
ROLL_BACK = Remedy(
    _END,
    "printf '%s\\n' '\\connect :\"database\"' \"rollback prepared :'gid'\" "
    "| psql {{ dsn }} -v ON_ERROR_STOP=1 -v database={{ gid_database }} -v gid={{ gid }}",
)
DROP_SLOT = Remedy(
    _END,
    "echo \"select pg_drop_replication_slot(:'slot')\" | psql {{ dsn }} -v slot={{ slot }}"
    "  # only when nobody comes back for it: its reader must then be built anew",
)
WAIT_OR_END = Remedy(f"{_END}: a long query on a standby, or the reader of a slot that is behind")
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
    Vacuum and analyze keep up with the writes.

    Ages are those of every database of the server, template0 too. Tables are held to their own settings: autovacuum
    works on a table when its threshold and scale factor say so, and only what is far beyond that is behind. System
    schemas, temporary tables and TOAST are left out. What a standby, a server that does not count, or one that began to
    count less than `counted_for` ago has not counted proves nothing, and is unknown.
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
    remedies = (END_SESSION, ROLL_BACK, DROP_SLOT, WAIT_OR_END, FREEZE_XIDS, FREEZE_MULTIXACTS, ENABLE, VACUUM, ANALYZE)
    fact_names: ClassVar[Mapping[str, str]] = {
        "database": "a database that is old, or that of a table; missing where nobody may connect to it",
        "schema": "the schema of a table",
        "table": "a table that is behind",
        "pid": "the session that keeps the oldest dead rows from being removed",
        "began": "when its transaction began",
        "gid": "the prepared transaction that keeps them",
        "gid_database": "the database of that transaction",
        "slot": "the replication slot that keeps them and that nobody reads from",
    }
    former_fact_names: ClassVar = {
        "freeze_database": Former("database", FREEZE_XIDS),
        "multixact_database": Former("database", FREEZE_MULTIXACTS),
        "vacuum_table": Former("table", VACUUM),
        "analyze_table": Former("table", ANALYZE),
        "disabled_table": Former("table", ENABLE),
        "holder_pid": Former("pid", END_SESSION),
        "holder_since": Former("began", END_SESSION),
        "holder_gid": Former("gid", ROLL_BACK),
        "holder_database": Former("gid_database", ROLL_BACK),
        "holder_slot": Former("slot", DROP_SLOT),
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


def ending(holder: XminHolder | None) -> tuple[tuple[Remedy, ...], dict[str, Fact]]:
    """What ends it, and the values for that: a standby cannot be ended from here, nor may a slot in use be dropped."""
    if holder is None:
        return (), {}
    if holder.kind is HolderKind.SESSION and holder.since is not None and holder.pid is not None:
        return (END_SESSION,), {"pid": holder.pid, "began": holder.since.isoformat()}
    if holder.kind is HolderKind.PREPARED and connectable(holder.database):
        return (ROLL_BACK,), {"gid": holder.name, "gid_database": holder.database}
    if _is_slot(holder) and not holder.active:
        return (DROP_SLOT,), {"slot": holder.name}
    return (WAIT_OR_END,), {}


def holder_of_age(holders: tuple[XminHolder, ...], database: str, age: int) -> XminHolder | None:
    """Who keeps a database from becoming much younger than it is."""
    meant = [one for one in holders if _concerns(one, database)]
    return meant[0] if meant and 2 * meant[0].age >= age else None


def holder_of_rows(holders: tuple[XminHolder, ...], database: str, last_vacuum: datetime | None) -> XminHolder | None:
    """For whose sake a vacuum had to leave dead rows in a table: it began before, or is very old."""
    for one in holders:
        before = one.since is not None and last_vacuum is not None and one.since < last_vacuum
        if _concerns(one, database) and not one.catalog_only and (before or one.age >= _MANY):
            return one
    return None


def describe_holder(holder: XminHolder) -> str:
    """Who it is, in a line."""
    who = f" of {holder.name or 'an application without a name'}" if holder.pid and not _is_slot(holder) else ""
    as_role = f" as {holder.role}" if holder.role else ""
    where = f" in database {holder.database}" if holder.database else ""
    state = f", {holder.state}" if holder.state else "" if holder.active else ", nobody reads from it"
    since = f", since {holder.since:%Y-%m-%d %H:%M:%S %Z}" if holder.since else ""
    return f"{holder_name(holder)}{who}{as_role}{where}{state}{since}"


def holder_name(holder: XminHolder) -> str:
    """What it is, for a finding."""
    name = holder.pid if holder.kind is HolderKind.SESSION else holder.name
    return f"{holder.kind} {name}"


def _concerns(holder: XminHolder, database: str) -> bool:
    return not holder.database or holder.database == database or _is_slot(holder)


def _is_slot(holder: XminHolder) -> bool:
    return holder.kind is HolderKind.SLOT
