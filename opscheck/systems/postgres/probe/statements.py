"""Statements: one table per query where versions differ, and rows as dictionaries."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import msgspec
from psycopg.rows import dict_row

from opscheck.core.observation import ProbeError, ProblemKind
from opscheck.core.query import Query
from opscheck.systems.postgres.probe.libpq import Connection

Reader: TypeAlias = Callable[[Connection, Any], Any]
"""Answers one kind of query inside a read-only transaction."""
Row: TypeAlias = dict[str, Any]

COUNTED_SINCE = """(
        SELECT greatest(d.stats_reset, least(w.stats_reset, a.stats_reset))
        FROM pg_stat_bgwriter w, pg_stat_archiver a,
             (SELECT max(stats_reset) AS stats_reset FROM pg_stat_database WHERE datname = current_database()) AS d
    )"""
"""
Start of the counters of this database: a time, or NULL.

pg_stat_reset() resets one database. A crash resets the counters without a trace, but also all shared statistics, which
a person resets one at a time: hence the earlier of the two.
"""

LOCKED = """locked AS MATERIALIZED (
        SELECT relation FROM pg_locks WHERE locktype = 'relation' AND mode = 'AccessExclusiveLock'
    )"""
"""The relations with an exclusive lock, held or awaited: reading their size would wait as well."""

_NUMBERS_OF_A_MAJOR = 10_000
_LIMITS = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout", "jit")
_KEPT = "SELECT " + ", ".join(f"current_setting('{name}') AS {name}" for name in _LIMITS)
_KEEP = "SELECT " + ", ".join(f"set_config('{name}', %({name})s, true)" for name in _LIMITS)


class Versions:
    """A statement by the oldest major version that supports it; newer servers get the newest statement."""

    def __init__(self, by_major: Mapping[int, str]) -> None:
        self._by_major = dict(sorted(by_major.items(), reverse=True))

    def chosen(self, major: int) -> str:
        """The statement for a server of this major version. Raises ProbeError when it is too old for all of them."""
        for oldest, statement in self._by_major.items():
            if major >= oldest:
                return statement
        text = f"PostgreSQL {major} is not supported: this needs {min(self._by_major)} or later"
        raise ProbeError(ProblemKind.UNSUPPORTED, text)


def major_version(connection: Connection) -> int:
    """Such as 18."""
    return connection.info.server_version // _NUMBERS_OF_A_MAJOR


def rows(connection: Connection, statement: str | Versions, parameters: Mapping[str, Any] | None = None) -> list[Row]:
    """
    Every row. `%(name)s` is a parameter; with parameters, `%%` is a percent sign.

    Numbers must be cast to int8 or float8 in the statement: `numeric` becomes Decimal, which answers do not support.
    """
    text = statement if isinstance(statement, str) else statement.chosen(major_version(connection))
    with connection.cursor(row_factory=dict_row) as cursor:
        # Every statement is part of this package; values of a policy are parameters.
        return cursor.execute(text, parameters).fetchall()


def one_row(connection: Connection, statement: str | Versions, parameters: Mapping[str, Any] | None = None) -> Row:
    """The only row of a statement that always has one."""
    (row,) = rows(connection, statement, parameters)
    return row


def reading(statement: str | Versions, **parameters: Any) -> Reader:
    """The reader whose answer is the only row of a statement; the fields of the query are parameters as well."""

    def read(connection: Connection, query: Query[Any]) -> Any:
        return msgspec.convert(one_row(connection, statement, vars(query) | parameters), query.answer)

    return read


def counted(found: Sequence[Row], column: str = "total") -> int:
    """Number of all rows, including those beyond LIMIT, from a column with `count(*) OVER ()`."""
    total: int = found[0][column] if found else 0
    return total


def renew_transaction(connection: Connection) -> None:
    """
    Begin a new transaction with the same limits, which releases the locks of this one.

    Some functions keep a lock on each relation that they read, and the server's lock table is shared.
    """
    kept = one_row(connection, _KEPT)
    connection.execute("COMMIT AND CHAIN")  # a pooler sees no end of the transaction
    connection.execute(_KEEP, kept)
