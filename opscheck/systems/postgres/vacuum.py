"""postgres.vacuum: overdue vacuum and analyze, and the transactions that hold vacuum back."""

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
    """The transaction and multixact age of a database."""

    name: str
    xid_age: int
    """Age in transactions of its oldest unfrozen row."""
    multixact_age: int
    """The same for multixacts: row locks that several transactions share."""
    connectable: bool
    """False where connections are not allowed, as to template0: only autovacuum freezes its rows."""


class Ages(msgspec.Struct, frozen=True, kw_only=True):
    """The ages of all databases, templates included, the oldest first, and the limits of forced freezing."""

    databases: tuple[DatabaseAge, ...]
    freeze_max_age: int
    multixact_freeze_max_age: int


@dataclass(frozen=True)
class ReadAges(ServerQuery[Ages], name="postgres.ages"):
    what = "the transaction and multixact age of every database"


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """A table with many dead, changed or uncounted rows."""

    schema: str
    name: str
    sql_name: str
    """Schema and name, quoted for SQL."""
    rows: int
    """Estimated number of live rows."""
    dead: int
    vacuum_trigger: float
    """Number of dead rows at which autovacuum vacuums it, by its own settings."""
    written: int
    """Rows inserted, updated or deleted since the last vacuum."""
    modified: int
    """Rows changed since the last analyze."""
    analyze_trigger: float
    """Number of changed rows at which autovacuum analyses it, by its own settings."""
    last_vacuum: datetime | None
    last_analyze: datetime | None
    autovacuum: bool
    """False where autovacuum is disabled for the table or the server."""
    disabled: bool
    """True where it is disabled for the table."""
    partitioned: bool
    """True for the parent of partitions, which autovacuum never analyses."""
    never_analyzed: bool
    vacuum_runs: bool
    """True while a vacuum of it runs."""


class Tables(msgspec.Struct, frozen=True, kw_only=True):
    """The tables of a database with the most overdue vacuum or analyze. The counts include tables not in `named`."""

    database: str
    tables: int
    """Number of all tables, without system schemas and temporary tables."""
    named: tuple[Table, ...]
    beyond_vacuum: int
    """Number of tables with more dead rows than their trigger and `min_rows`."""
    beyond_analyze: int
    """Number of tables with more changed rows than their trigger and `min_rows`, or never analysed."""
    written: int
    """Number of tables with more than `min_rows` rows written since the last vacuum."""
    modified: int
    """Number of tables with more than `min_rows` rows changed since the last analyze."""
    unanalyzed: int
    """Number of tables not analysed since the counters began; ANALYZE counts the dead rows again."""
    counted_since: datetime | None
    """Start of the counters: a reset, a crash, a new server."""
    clock: datetime
    """The time of the server's clock."""
    standby: bool
    """A standby does not count dead and changed rows."""
    counts: bool
    """False where `track_counts` is off."""


@dataclass(frozen=True)
class ListTables(DatabaseQuery[Tables], name="postgres.tables"):
    """Tables with overdue vacuum or analyze."""

    min_rows: int = 10_000
    """Tables with fewer dead, written or changed rows are left out."""

    def in_words(self) -> str:
        return f"the tables with more than {self.min_rows} dead, written or never analysed rows"


class HolderKind(StrEnum):
    """Kinds of holders that keep vacuum from removing dead rows."""

    SESSION = "session"
    PREPARED = "prepared transaction"
    SLOT = "replication slot"
    STANDBY = "standby"


class XminHolder(msgspec.Struct, frozen=True, kw_only=True):
    """A holder because of which vacuum must keep dead rows."""

    kind: HolderKind
    name: str
    """application_name of a session or standby, gid of a prepared transaction, name of a slot."""
    age: int
    """Age of its snapshot in transactions."""
    database: str = ""
    """The affected database; empty for all databases."""
    role: str = ""
    pid: int | None = None
    state: str = ""
    """Of a session."""
    since: datetime | None = None
    """Start of the hold, at the latest; most slots and standbys do not show it."""
    active: bool = True
    """False for a slot without a consumer."""
    catalog_only: bool = False
    """True for a slot that only keeps rows of system catalogs."""


class XminHolders(msgspec.Struct, frozen=True, kw_only=True):
    """The holders of dead rows, the oldest first, and the time of the server's clock."""

    holders: tuple[XminHolder, ...]
    clock: datetime


@dataclass(frozen=True)
class ListXminHolders(ServerQuery[XminHolders], name="postgres.xmin-holders"):
    what = "the sessions, prepared transactions, slots and standbys that keep dead rows from vacuum"
    needs = (READ_SESSIONS,)


_MANY = 1_000_000
_ALL = 100.0


BeyondTrigger = Annotated[
    Graded[Percentage],
    only(
        lambda limit: min(values(limit)) >= _ALL,
        "limit_normal",
        "at least 100%: below that, vacuum is not due yet",
    ),
]
"""Percentage of the trigger of autovacuum."""

_END = "End the holder that keeps dead rows from vacuum"
# The pid may belong to another session by now.
END_SESSION = Remedy(
    _END,
    "echo \"select pg_terminate_backend(pid) from pg_stat_activity where pid = :'pid' "
    "and xact_start = :'began'\" | psql {{ dsn }} -v pid={{ pid }} -v began={{ began }}  # as a superuser",
)
# psql takes a DSN or the name of a database, not both; `\connect` keeps the rest of the DSN.
ROLL_BACK = Remedy(
    _END,
    "printf '%s\\n' '\\connect :\"database\"' \"rollback prepared :'gid'\" "
    "| psql {{ dsn }} -v ON_ERROR_STOP=1 -v database={{ gid_database }} -v gid={{ gid }}  # as its owner",
)
DROP_SLOT = Remedy(
    _END,
    "echo \"select pg_drop_replication_slot(:'slot')\" | psql {{ dsn }} -v slot={{ slot }}"
    "  # as a superuser; only if its consumer never returns; it would have to be rebuilt",
)
WAIT_OR_END = Remedy(f"{_END}: a long query on a standby, or the lagging consumer of a slot")
_STOP, _AS_OWNER = " -v ON_ERROR_STOP=1", "  # as its owner"
_FREEZE_OLDEST = (
    "\"select format('vacuum (freeze, verbose) %s', c.oid::regclass) "
    "from pg_class c left join pg_class t on t.oid = c.reltoastrelid where c.relkind in ('r', 'm') order by "
    'greatest({age}(c.{frozen}), {age}(t.{frozen})) desc limit 10 \\gexec"'
)
FREEZE_XIDS, FREEZE_MULTIXACTS = (
    Remedy(
        "Freeze the oldest tables; if it happens again, make autovacuum faster (autovacuum_vacuum_cost_limit)",
        psql_command(_FREEZE_OLDEST.format(age=age, frozen=frozen), options=_STOP) + "  # as a superuser",
    )
    for age, frozen in (("age", "relfrozenxid"), ("mxid_age", "relminmxid"))
)
ENABLE = Remedy(
    "Enable autovacuum for the table",
    psql_command('\'alter table :"schema".:"table" reset (autovacuum_enabled)\'', "schema", "table", options=_STOP)
    + _AS_OWNER,
)
VACUUM = Remedy(
    "Vacuum the table; if it happens again, make autovacuum start earlier (autovacuum_vacuum_scale_factor of the "
    "table) or run faster (autovacuum_vacuum_cost_limit)",
    psql_command('\'vacuum (analyze, verbose) :"schema".:"table"\'', "schema", "table", options=_STOP) + _AS_OWNER,
)
ANALYZE = Remedy(
    "Analyse the table; schedule ANALYZE for parents of partitions",
    psql_command('\'analyze verbose :"schema".:"table"\'', "schema", "table", options=_STOP) + _AS_OWNER,
)


class PostgresVacuum(InDatabases, check="postgres.vacuum"):
    """
    Vacuum and analyze keep up with the writes.

    Ages are judged for every database of the server, including template0. Tables are judged by their own settings:
    autovacuum starts at the table's threshold and scale factor, and limits are percentages of that trigger. System
    schemas, temporary tables and TOAST are left out. A standby, or a server without counters or with counters younger
    than `counted_for`, proves nothing; the verdict is then `unknown`.
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
        "database": "a database with a high age, or the database of a table; missing where connections are not allowed",
        "schema": "the schema of a table",
        "table": "a table with overdue vacuum or analyze",
        "pid": "the session that keeps the oldest dead rows",
        "began": "the start of its transaction",
        "gid": "the prepared transaction that keeps them",
        "gid_database": "the database of that transaction",
        "slot": "the replication slot without a consumer that keeps them",
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
    """Maximum transaction age of any database, in percent of 2^31, where the server stops writing."""
    multixact_age: ShareUsed | None = None
    """Maximum multixact age of any database, in percent of 2^31."""
    freeze_lag: BeyondTrigger | None = None
    """
    Maximum of both ages, in percent of autovacuum_freeze_max_age and autovacuum_multixact_freeze_max_age.

    Reaching 100% is normal; far more means that autovacuum does not keep up.
    """
    oldest_xmin: Graded[Count] | None = None
    """Maximum number of transactions that a session, prepared transaction, slot or standby holds back vacuum."""
    oldest_xmin_held: Graded[Duration] | None = None
    """
    Maximum time that a holder holds back vacuum.

    Needs `oldest_xmin`, because standbys, and slots in use or before PostgreSQL 17, do not report a time.
    """
    dead_rows: BeyondTrigger | None = None
    """Maximum number of dead rows of a table, in percent of the number at which autovacuum vacuums it: 200%."""
    stale_statistics: BeyondTrigger | None = None
    """
    Maximum number of rows changed since the last analyze, in percent of the number at which autovacuum analyses.

    A table that was never analysed violates the worst of these limits. So does a parent of partitions, which
    autovacuum does not analyse (PostgreSQL 14 or later).
    """
    vacuumed_within: Graded[Duration] | None = None
    """Maximum time since the last vacuum of a table with writes; never vacuumed violates the first limit."""
    analyzed_within: Graded[Duration] | None = None
    """Maximum time since the last analyze of a table with changes; never analysed violates the first limit."""
    min_rows: Count = 10_000
    """Tables with at most this many dead, written or changed rows are not judged."""
    counted_for: Duration = Duration(3600)
    """
    Minimum age of the server's counters, since a crash or a reset, before few dead rows prove anything.

    Not needed where every table was analysed since then.
    """

    @model_validator(mode="after")
    def _holders_without_a_time_are_judged(self) -> Self:
        if self.oldest_xmin_held is not None and self.oldest_xmin is None:
            raise PydanticCustomError(
                "limit_missing", "`oldest_xmin` with `oldest_xmin_held`: slots and standbys do not report a time"
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
        """The role of the dsn, and the holders of old rows, which explain the other findings."""
        yield from super().evidence_queries()
        if self.oldest_xmin is None:
            yield self.holders


def ending(holder: XminHolder | None) -> tuple[tuple[Remedy, ...], dict[str, Fact]]:
    """The remedies that end it, and their facts: a standby cannot be ended here, nor a slot in use be dropped."""
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
    """The holder that keeps the age of a database from decreasing much."""
    meant = [one for one in holders if _concerns(one, database)]
    return meant[0] if meant and 2 * meant[0].age >= age else None


def holder_of_rows(holders: tuple[XminHolder, ...], database: str, last_vacuum: datetime | None) -> XminHolder | None:
    """The holder because of which a vacuum left dead rows in a table: it began earlier, or is very old."""
    for one in holders:
        before = one.since is not None and last_vacuum is not None and one.since < last_vacuum
        if _concerns(one, database) and not one.catalog_only and (before or one.age >= _MANY):
            return one
    return None


def describe_holder(holder: XminHolder) -> str:
    """The holder in one line."""
    who = f" of {holder.name or 'an unnamed application'}" if holder.pid and not _is_slot(holder) else ""
    as_role = f" as {holder.role}" if holder.role else ""
    where = f" in database {holder.database}" if holder.database else ""
    state = f", {holder.state}" if holder.state else "" if holder.active else ", without a consumer"
    since = f", since {holder.since:%Y-%m-%d %H:%M:%S %Z}" if holder.since else ""
    return f"{holder_name(holder)}{who}{as_role}{where}{state}{since}"


def holder_name(holder: XminHolder) -> str:
    """The holder as the subject of a finding."""
    name = holder.pid if holder.kind is HolderKind.SESSION else holder.name
    return f"{holder.kind} {name}"


def _concerns(holder: XminHolder, database: str) -> bool:
    return not holder.database or holder.database == database or _is_slot(holder)


def _is_slot(holder: XminHolder) -> bool:
    return holder.kind is HolderKind.SLOT
