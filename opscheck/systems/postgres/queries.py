"""postgres.queries: how long statements take, by pg_stat_statements."""

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
    """How often a statement ran, and how long, since its counters began."""

    role: str
    database: str
    queryid: int
    toplevel: bool
    """False for one that a function executed."""
    calls: int
    milliseconds: float
    """All executions together, planning left out."""
    since: float | None
    """When its counters began, in seconds since 1970; None before PostgreSQL 17."""


class StatementCounters(msgspec.Struct, frozen=True, kw_only=True):
    """The statements with the most execution time, utility statements with them."""

    system: str
    """The system identifier of the cluster."""
    reset: float | None
    """When all counters were reset, in seconds since 1970; None where that is unknown."""
    started: float
    """When the server started, in seconds since 1970."""
    server_version: int
    extension_schema: str
    most: int
    """`pg_stat_statements.max`: how many are kept before the rarest are evicted."""
    evictions: int | None
    """How often that has happened; None before PostgreSQL 14."""
    found: int
    """How many there are; those with the least execution time are left out of `statements`."""
    statements: tuple[StatementCounts, ...]

    @property
    def epoch(self) -> str:
        """Counters of another cluster, of a standby that took over, or before a reset cannot be compared."""
        return f"{self.system} {self.started if self.reset is None else self.reset}"

    @property
    def counting_since(self) -> datetime | None:
        """When they were nothing."""
        return None if self.reset is None else datetime.fromtimestamp(self.reset, UTC)

    @property
    def left_out_below(self) -> float | None:
        """No statement that was left out has executed longer than this, in milliseconds; None if none was."""
        if self.found <= len(self.statements):
            return None
        return min((one.milliseconds for one in self.statements), default=0.0)


class StatementText(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """What a statement looks like."""

    database: str
    queryid: int
    utility: bool
    """True for what is no SELECT, INSERT, UPDATE, DELETE or MERGE: COPY, VACUUM, CREATE INDEX."""
    text: str
    """Without the values in it; empty for a utility statement, which may hold a password, and for the rarest."""


class StatementTexts(msgspec.Struct, frozen=True, kw_only=True):
    """The texts of the statements with the most execution time."""

    texts: tuple[StatementText, ...]


@dataclass(frozen=True)
class CountStatements(DatabaseQuery[StatementCounters], name="postgres.statement-counters", remembered=True):
    """How often statements ran in all databases, from the extension in this one."""

    what = "the counters of pg_stat_statements"
    needs = (READ_SESSIONS,)


@dataclass(frozen=True)
class ReadStatements(DatabaseQuery[StatementTexts], name="postgres.statement-texts"):
    """The texts of the statements that are counted, which need not be kept from run to run."""

    what = "the texts of pg_stat_statements, without their values"
    needs = (READ_SESSIONS,)


Sessions = Annotated[float, Field(ge=0, strict=True)]

_READ_PLAN = "Read the plan of the statement: it lacks an index, or reads far more than it needs"
SHOW_STATEMENT = Remedy(
    _READ_PLAN,
    "echo 'select calls, rows, shared_blks_hit, shared_blks_read, temp_blks_written, query "
    'from :"schema".pg_stat_statements where queryid = :queryid\' '
    "| psql {{ dsn }} -xv schema={{ extension_schema }} -v queryid={{ queryid }}",
)
# Only the plan, of whatever values: it executes nothing. The text is kept in a variable, as the extension may not be
# there in the database of the statement.
EXPLAIN = Remedy(
    _READ_PLAN,
    "printf '%s\\n' 'select query as statement from :\"schema\".pg_stat_statements "
    "where queryid = :queryid limit 1 \\gset' '\\connect :\"database\"' "
    "'explain (generic_plan, verbose) :statement ;' "
    "| psql {{ dsn }} -qv database={{ database }} -v schema={{ extension_schema }} -v queryid={{ queryid }}",
)
READ_PLANS = Remedy("Read the plans of the statements with the most execution time")
RAISE_MAX = Remedy(
    "Raise pg_stat_statements.max",
    "echo 'alter system set pg_stat_statements.max = :raised' | psql {{ dsn }} -v raised={{ raised_max }}"
    "  # as a superuser; it takes a restart",
)


class PostgresQueries(OverInterval, InServer, check="postgres.queries"):
    """
    Statements stay within their time limits.

    The mean of an interval shows what a deployment made slow, which the mean of a lifetime hides for weeks. There is no
    percentile: the extension counts calls and their time together. Statements of all databases are judged, those that
    functions execute too where `pg_stat_statements.track` is `all`; utility statements such as COPY, VACUUM or CREATE
    INDEX are not. Texts are shown without their values.
    """

    any_limit_of = ("mean", "share", "load", "evictions")
    remedies = (SHOW_STATEMENT, EXPLAIN, READ_PLANS, RAISE_MAX)
    fact_names: ClassVar = {
        "queryid": "the id of the statement in pg_stat_statements",
        "database": "the database it ran in",
        "extension_schema": "the schema of the extension",
        "raised_max": "twice as many statements as pg_stat_statements keeps now",
    }
    former_fact_names: ClassVar = {
        "statement_database": Former("database", SHOW_STATEMENT),
        "explained_in": Former("database", EXPLAIN),
    }

    mean: Graded[Duration] | None = None
    """How long an execution of a statement may take on average, over the interval."""
    min_calls: PositiveCount = 100
    """A statement that ran less often in the interval is not held to `mean`."""
    share: ShareUsed | None = None
    """How much of all execution time one statement may take, over the interval."""
    share_above: Duration = Duration(10)
    """A statement that executed for less than this is not held to `share`: on an idle server it is all there is."""
    load: Graded[Sessions] | None = None
    """How many sessions may be executing at a time, on average: all execution time by the length of the interval."""
    evictions: Graded[Count] | None = None
    """How often statements may be forgotten in the interval because there are too many; from PostgreSQL 14 on."""
    databases: DatabasePatterns | None = None
    """Names of the databases whose statements are judged, with `*` and `?`; all by default."""
    except_roles: tuple[str, ...] = ("opscheck",)
    """Roles whose statements are not judged, with `*` and `?`: opscheck's own by default."""
    top: PositiveCount = Field(default=10, le=100)
    """How many statements are reported with their calls, mean and share, those with the most execution time."""
    extension_in: str | None = None
    """The database in which the extension was created; the one that the target's dsn names by default."""

    def queries(self) -> Iterable[Query[Any]]:
        """The counters and the texts, and which databases there are where it names some."""
        return (self.counters, self.texts, *([self.names] if self.databases else []))

    @property
    def names(self) -> ListDatabases:
        return ListDatabases(self.target.name)

    @property
    def counters(self) -> CountStatements:
        return CountStatements(self.target.name, self.extension_in)

    @property
    def texts(self) -> ReadStatements:
        """What they look like, and which are utility statements."""
        return ReadStatements(self.target.name, self.extension_in)

    def means(self, database: str, role: str) -> bool:
        left_out = any(fnmatchcase(role, pattern) for pattern in self.except_roles)
        return not left_out and self.means_database(database)

    def means_database(self, database: str) -> bool:
        return self.databases is None or any(fnmatchcase(database, pattern) for pattern in self.databases)
