"""postgres.queries: execution times of statements, from pg_stat_statements."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Annotated, Any, ClassVar

import msgspec
from pydantic import Field

from opscheck.core.field_types import ShareUsed
from opscheck.core.intervals import OverInterval
from opscheck.core.query import Query
from opscheck.core.remedy import Former, Remedy
from opscheck.core.units import Count, Duration, Graded, PositiveCount
from opscheck.systems.postgres.databases import DatabasePatterns, DatabaseQuery
from opscheck.systems.postgres.server import READ_SESSIONS, InServer, ListDatabases


class StatementCounts(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """Calls and execution time of a statement since its counters began."""

    role: str
    database: str
    queryid: int
    toplevel: bool
    """False for a statement that a function executed."""
    calls: int
    milliseconds: float
    """Total execution time, without planning."""
    since: float | None
    """Start of its counters, in seconds since 1970; None before PostgreSQL 17."""


class StatementCounters(msgspec.Struct, frozen=True, kw_only=True):
    """The statements with the most execution time, utility statements included."""

    system: str
    """The system identifier of the cluster."""
    reset: float | None
    """Time of the last reset of all counters, in seconds since 1970; None when unknown."""
    started: float
    """Start of the server, in seconds since 1970."""
    server_version: int
    extension_schema: str
    most: int
    """`pg_stat_statements.max`: number of statements that are kept before the rarest are evicted."""
    evictions: int | None
    """Number of evictions; None before PostgreSQL 14."""
    found: int
    """Number of all statements; `statements` leaves out the ones with the least execution time."""
    statements: tuple[StatementCounts, ...]

    @property
    def epoch(self) -> str:
        """Counters of another cluster, of a standby that took over, or before a reset cannot be compared."""
        return f"{self.system} {self.started if self.reset is None else self.reset}"

    @property
    def counting_since(self) -> datetime | None:
        """Time of the last reset; None when unknown."""
        return None if self.reset is None else datetime.fromtimestamp(self.reset, UTC)

    @property
    def left_out_below(self) -> float | None:
        """Upper bound of the execution time of omitted statements, in milliseconds; None if all are included."""
        if self.found <= len(self.statements):
            return None
        return min((one.milliseconds for one in self.statements), default=0.0)


class StatementText(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """The text of a statement."""

    database: str
    queryid: int
    utility: bool
    """True for statements other than SELECT, INSERT, UPDATE, DELETE and MERGE, such as COPY or VACUUM."""
    text: str
    """Without values; empty for a utility statement, which may contain a password, and for the rarest."""


class StatementTexts(msgspec.Struct, frozen=True, kw_only=True):
    """The texts of the statements with the most execution time."""

    texts: tuple[StatementText, ...]


@dataclass(frozen=True)
class CountStatements(DatabaseQuery[StatementCounters], name="postgres.statement-counters", remembered=True):
    """Counters of the statements of all databases, from the extension in this one."""

    what = "the counters of pg_stat_statements"
    needs = (READ_SESSIONS,)


@dataclass(frozen=True)
class ReadStatements(DatabaseQuery[StatementTexts], name="postgres.statement-texts"):
    """The texts of the counted statements, which need not be remembered between runs."""

    what = "the texts of pg_stat_statements, without their values"
    needs = (READ_SESSIONS,)


Sessions = Annotated[float, Field(ge=0, strict=True)]

_READ_PLAN = "Read the statement's plan; look for a missing index or a scan of too many rows"
SHOW_STATEMENT = Remedy(
    _READ_PLAN,
    "echo 'select calls, rows, shared_blks_hit, shared_blks_read, temp_blks_written, query "
    'from :"schema".pg_stat_statements where queryid = :queryid\' '
    "| psql {{ dsn }} -xv schema={{ extension_schema }} -v queryid={{ queryid }}",
)
# A generic plan needs no values and executes nothing. The text is kept in a variable, because the statement's database
# may not have the extension.
EXPLAIN = Remedy(
    _READ_PLAN,
    "printf '%s\\n' 'select query as statement from :\"schema\".pg_stat_statements "
    "where queryid = :queryid limit 1 \\gset' '\\connect :\"database\"' "
    "'explain (generic_plan, verbose) :statement ;' "
    "| psql {{ dsn }} -qv database={{ database }} -v schema={{ extension_schema }} -v queryid={{ queryid }}"
    "  # as a role that may read its tables",
)
READ_PLANS = Remedy("Read the plans of the statements with the most execution time")
RAISE_MAX = Remedy(
    "Raise pg_stat_statements.max",
    "echo 'alter system set pg_stat_statements.max = :raised' | psql {{ dsn }} -v raised={{ raised_max }}"
    "  # as a superuser; needs a restart",
)


class PostgresQueries(OverInterval, InServer, check="postgres.queries"):
    """
    Statements stay within their time limits.

    The mean of an interval shows a statement that a deployment made slow; the mean of a lifetime hides it for weeks.
    Percentiles are not available: the extension only counts calls and total time. Statements of all databases are
    judged, including those inside functions where `pg_stat_statements.track` is `all`. Utility statements such as COPY,
    VACUUM or CREATE INDEX are not judged. Texts are shown without their values.
    """

    any_limit_of = ("mean", "share", "load", "evictions")
    remedies = (SHOW_STATEMENT, EXPLAIN, READ_PLANS, RAISE_MAX)
    fact_names: ClassVar = {
        "queryid": "the id of the statement in pg_stat_statements",
        "database": "the database where it ran",
        "extension_schema": "the schema of the extension",
        "raised_max": "twice the current pg_stat_statements.max",
    }
    former_fact_names: ClassVar = {
        "statement_database": Former("database", SHOW_STATEMENT),
        "explained_in": Former("database", EXPLAIN),
    }

    mean: Graded[Duration] | None = None
    """Maximum mean execution time of a statement over the interval."""
    min_calls: PositiveCount = 100
    """Minimum number of calls in the interval; `mean` does not apply to rarer statements."""
    share: ShareUsed | None = None
    """Maximum share of the total execution time that one statement takes over the interval."""
    share_above: Duration = Duration(10)
    """Minimum execution time; `share` does not apply below it, because an idle server runs little else."""
    load: Graded[Sessions] | None = None
    """Maximum mean number of executing sessions: total execution time divided by the length of the interval."""
    evictions: Graded[Count] | None = None
    """Maximum number of evictions in the interval, when pg_stat_statements.max is too small; PostgreSQL 14 or later."""
    databases: DatabasePatterns | None = None
    """Names of the databases whose statements are judged, with `*` and `?`; all by default."""
    except_roles: tuple[str, ...] = ("opscheck",)
    """Roles whose statements are not judged, with `*` and `?`; by default opscheck's own."""
    top: PositiveCount = Field(default=10, le=100)
    """Number of statements reported with calls, mean and share, by execution time."""
    extension_in: str | None = None
    """The database that has the extension; by default the database of the target's dsn."""

    def queries(self) -> Iterable[Query[Any]]:
        """The counters and the texts, and the list of databases where it names some."""
        return (self.counters, self.texts, *([self.names] if self.databases else []))

    @property
    def names(self) -> ListDatabases:
        return ListDatabases(self.target.name)

    @property
    def counters(self) -> CountStatements:
        return CountStatements(self.target.name, self.extension_in)

    @property
    def texts(self) -> ReadStatements:
        """The texts of the statements, with the utility statements marked."""
        return ReadStatements(self.target.name, self.extension_in)

    def means(self, database: str, role: str) -> bool:
        left_out = any(fnmatchcase(role, pattern) for pattern in self.except_roles)
        return not left_out and self.means_database(database)

    def means_database(self, database: str) -> bool:
        return self.databases is None or any(fnmatchcase(database, pattern) for pattern in self.databases)
