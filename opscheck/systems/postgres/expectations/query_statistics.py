"""What can be expected of the statements that a server executes."""

from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Annotated, Any, ClassVar

from pydantic import Field

from opscheck.core.expectation import Remediation
from opscheck.core.interval_expectation import OverInterval
from opscheck.core.limits import ShareUsed
from opscheck.core.query import Query
from opscheck.core.units import Count, Duration, Graded, PositiveCount
from opscheck.systems.postgres.expectations.base import DatabasePatterns, InServer
from opscheck.systems.postgres.queries.base import ListDatabases
from opscheck.systems.postgres.queries.query_statistics import CountStatements, ReadStatements

Sessions = Annotated[float, Field(ge=0, strict=True)]

_SHOW = (
    "echo 'select calls, rows, shared_blks_hit, shared_blks_read, temp_blks_written, query "
    'from :"schema".pg_stat_statements where queryid = :queryid\' '
    "| psql {{ dsn }} -xv schema={{ extension_schema }} -v queryid={{ queryid }}"
)
# Only the plan, of whatever values: it executes nothing. The text is kept in a variable, as the extension may not be
# there in the database of the statement.
_EXPLAIN = (
    "printf '%s\\n' 'select query as statement from :\"schema\".pg_stat_statements "
    "where queryid = :queryid limit 1 \\gset' '\\connect :\"database\"' "
    "'explain (generic_plan, verbose) :statement ;' "
    "| psql {{ dsn }} -qv database={{ explained_in }} -v schema={{ extension_schema }} -v queryid={{ queryid }}"
)
_RAISE = (
    "echo 'alter system set pg_stat_statements.max = :raised' | psql {{ dsn }} -v raised={{ raised_max }}"
    "  # as a superuser; it takes a restart"
)


class PostgresQueries(OverInterval, InServer, check="postgres.queries"):
    """
    Statements are as fast as they should be, by what pg_stat_statements counted since an earlier run.

    The mean of an interval shows what a deployment made slow, which the mean of a lifetime hides for weeks. There is
    no percentile: the extension counts calls and their time together. Statements of all databases are judged, those
    that functions execute too where `pg_stat_statements.track` is `all`; utility statements such as COPY, VACUUM or
    CREATE INDEX are not. Texts are shown without their values.
    """

    any_limit_of = ("mean", "share", "load", "evictions")
    fact_names: ClassVar = {
        "queryid": "the id of the statement in pg_stat_statements",
        "statement_database": "the database it ran in",
        "explained_in": "that database, where the server can plan a statement without its values (16 and later)",
        "extension_schema": "the schema of the extension",
        "raised_max": "twice as many statements as pg_stat_statements keeps now, when it evicts",
    }
    default_remediation = Remediation(
        summary="Read the plan of the statement: it lacks an index, or reads far more than it needs",
        commands=(_SHOW, _EXPLAIN, _RAISE),
    )

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

    def looks_at(self) -> Iterable[Query[Any]]:
        """The counters and the texts, and which databases there are where it names some."""
        return (self.counters, self.texts, *([self.names] if self.databases else []))

    @property
    def names(self) -> ListDatabases:
        """Which databases there are."""
        return ListDatabases(self.target.name)

    @property
    def counters(self) -> CountStatements:
        """How often statements ran."""
        return CountStatements(self.target.name, self.extension_in)

    @property
    def texts(self) -> ReadStatements:
        """What they look like, and which are utility statements."""
        return ReadStatements(self.target.name, self.extension_in)

    def means(self, database: str, role: str) -> bool:
        """True when statements of this role in this database are to be judged."""
        left_out = any(fnmatchcase(role, pattern) for pattern in self.except_roles)
        return not left_out and self.means_database(database)

    def means_database(self, database: str) -> bool:
        """True when statements in this database are to be judged."""
        return self.databases is None or any(fnmatchcase(database, pattern) for pattern in self.databases)
