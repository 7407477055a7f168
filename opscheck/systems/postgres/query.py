"""postgres.query: the result of a SELECT of the policy."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, Self

import msgspec
from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from opscheck.core.field_types import CountLeft, values
from opscheck.core.operators import Number
from opscheck.core.query import Permission
from opscheck.core.remedy import Remedy
from opscheck.core.units import Count, Graded, GradedMinimum, PositiveCount
from opscheck.systems.postgres.databases import DatabaseQuery, InDatabases
from opscheck.systems.postgres.server import OwnTables

# Strings, quoted names, dollar-quoted text and comments contain no keywords.
_OPAQUE = re.compile(
    r"""
      --[^\n]*
    | /\*.*?(?:\*/|\Z)
    | \b[eE]'(?:[^'\\]|\\.|'')*(?:'|\Z)
    | '(?:[^']|'')*(?:'|\Z)
    | "(?:[^"]|"")*(?:"|\Z)
    | (\$(?:[A-Za-z_]\w*)?\$).*?(?:\1|\Z)
    """,
    re.VERBOSE | re.DOTALL,
)
_SELECTS = re.compile(r"[\s(]*(?:select|values|table|with)\b", re.IGNORECASE)
# Functions that act, reach another system or hold a lock in a read-only transaction. The list cannot be complete;
# these are typed by mistake.
_ACTING = re.compile(
    r"""
    \b(?: pg_(?: switch_wal | create_restore_point | promote | wal_replay_(?:pause|resume) | (?:backup|start|stop)_\w*
               | terminate_backend | cancel_backend | reload_conf | rotate_logfile | log_backend_memory_contexts
               | stat_reset\w* | stat_statements_reset | (?:try_)?advisory_\w+ | notify | sleep\w*
               | (?:create|drop|copy|advance)_\w*slot\w* | replication_\w+ | logical_\w+ | read_\w*file | ls_dir )
      | set_config | setval | nextval | dblink\w* | lo_\w+ | txid_current | pg_current_xact_id | query_to_xml
    )\s*\(
    """,
    re.VERBOSE | re.IGNORECASE,
)


def _without_content(opaque: re.Match[str]) -> str:
    return " " if opaque.group().startswith(("--", "/*")) else "''"


def _select(value: str) -> str:
    text = value.strip().rstrip(";").rstrip()
    bare = _OPAQUE.sub(_without_content, text)
    if not _SELECTS.match(bare):
        raise PydanticCustomError("select", "a statement that begins with SELECT, VALUES, TABLE or WITH")
    if ";" in bare:
        raise PydanticCustomError("select", "one statement, with nothing after its `;`")
    if re.search(r"\$\d", bare):
        raise PydanticCustomError("select", "a statement without parameters such as `$1`, which have no value")
    if acting := _ACTING.search(bare):
        name = acting.group().rstrip("( \t\n")
        raise PydanticCustomError(
            "select",
            "a statement that only reads: `{name}` acts, waits or keeps a lock, even in a read-only transaction",
            {"name": name},
        )
    return text


SelectStatement = Annotated[str, AfterValidator(_select)]
"""One SELECT, judged by its text; the server verifies it."""


class Selected(msgspec.Struct, frozen=True, kw_only=True):
    """The result of the statement, limited to the values that the query requests."""

    database: str
    """The database where it ran."""
    columns: tuple[str, ...]
    """The names of all columns."""
    count: int
    """Number of counted rows."""
    more: bool = False
    """True when there are more rows."""
    values: tuple[str | None, ...] = ()
    """The number in each row, as text (`NaN` is one); None for NULL. At most two rows."""
    rows: tuple[tuple[str | None, ...], ...] = ()
    """The columns that the policy shows, in its order, cut to a readable length."""


@dataclass(frozen=True)
class Select(DatabaseQuery[Selected], name="postgres.select"):
    """The result of one SELECT: the number in its only column, or its number of rows."""

    sql: str = ""
    number: bool = False
    """True to read the number; otherwise rows are counted."""
    shown: tuple[str, ...] = ()
    """The columns whose values are fetched."""
    most: int = 1000
    """Maximum number of counted rows."""

    def permissions(self) -> tuple[Permission, ...]:
        return (*super().permissions(), OwnTables(self.database))

    def in_words(self) -> str:
        return f"the {'number' if self.number else 'rows'} that the policy's sql returns"


LOOK = Remedy("Look at the result of the statement, and find the cause")
# psql takes a dsn or the name of a database, not both; `\connect` keeps the rest of the dsn.
RUN = Remedy(
    LOOK.summary,
    "printf '%s\\n' '\\connect :\"database\"' {{ statement }} ';' | psql {{ dsn }} -qv database={{ database }}",
)


class PostgresQuery(InDatabases, check="postgres.query"):
    """
    The result of a custom SELECT is within its limits.

    Rows are counted. Only the number and the columns that the policy names leave the server. People who may not read
    the table may read the report.
    """

    any_limit_of = ("at_most", "at_least", "rows_at_most", "rows_at_least", "empty")
    remedies = (RUN, LOOK)
    fact_names: ClassVar = {
        "database": "the database where it ran",
        "statement": "the statement on one line; missing when it contains a `--` comment on several lines",
        "row": "the value of the column `subject`",
    }

    sql: SelectStatement
    """
    One SELECT, VALUES, TABLE or WITH … SELECT.

    It runs in a read-only transaction, with the expectation's `timeout` as its time limit. That is not a sandbox: a
    function such as pg_switch_wal() or dblink() can still act, reach another system or take a lock. The well-known ones
    are refused here; others are not. Only a read-only role protects the server: see postgres.access.
    """
    at_most: Graded[Number] | None = None
    """Maximum of the number. The statement must then return one row with one numeric column."""
    at_least: GradedMinimum[Number] | None = None
    """Minimum of the number."""
    unit: str = ""
    """The number's unit: s, %, B, or any noun."""
    rows_at_most: Graded[Count] | None = None
    """Maximum number of rows."""
    rows_at_least: CountLeft | None = None
    """Minimum number of rows."""
    empty: Literal[True] | None = None
    """True when the statement must return no row: each row is a problem."""
    subject: str | None = None
    """The column with the subject of each row's finding; needs `empty`."""
    columns: tuple[str, ...] = ()
    """Columns whose values may be shown in a finding; no other value is fetched."""
    max_rows: PositiveCount = Field(default=1000, le=10_000)
    """Maximum number of rows that are counted, and fetched where columns are shown."""

    def in_database(self, database: str | None) -> Iterable[DatabaseQuery[Any]]:
        number, most = self.is_number, self.max_rows
        return (Select(self.target.name, database, self.sql, number=number, shown=self.shown, most=most),)

    @property
    def is_number(self) -> bool:
        """True when a number is judged, not rows."""
        return self.at_most is not None or self.at_least is not None

    @property
    def shown(self) -> tuple[str, ...]:
        """The columns whose values are fetched, the subject first."""
        return tuple(dict.fromkeys([*([self.subject] if self.subject is not None else []), *self.columns]))

    @model_validator(mode="after")
    def _one_way_to_judge(self) -> Self:
        rows = [name for name in ("rows_at_most", "rows_at_least") if getattr(self, name) is not None]
        rows += ["empty"] if self.empty else []
        if self.is_number and (rows or self.shown):
            other = (*rows, "subject" if self.subject is not None else "columns")[0]
            raise PydanticCustomError(
                "number_or_rows", "a limit on one number, or `{other}`, which is about rows", {"other": other}
            )
        if self.empty and len(rows) > 1:
            raise PydanticCustomError("empty", "`empty: true` alone, or limits on the number of rows")
        if self.subject is not None and not self.empty:
            raise PydanticCustomError("subject", "`empty: true` with `subject`: then each row is a finding")
        return self

    @model_validator(mode="after")
    def _every_limit_is_counted_to(self) -> Self:
        limits = [limit for limit in (self.rows_at_most, self.rows_at_least) if limit is not None]
        if any(max(values(limit)) >= self.max_rows for limit in limits):
            raise PydanticCustomError("max_rows", "limits below `max_rows` ({rows})", {"rows": self.max_rows})
        return self
