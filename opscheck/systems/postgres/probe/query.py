"""
Runs a SELECT of the policy, and fetches only the values that the query requests.

The statement is first declared as a cursor, by the extended protocol: the server verifies that it is one statement and
a SELECT that changes nothing, and returns its columns without rows. It is then executed inside another SELECT, which
counts its rows, or selects the named columns and cuts each value. So neither a million rows nor a value of a gigabyte
is transferred.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import psycopg
from psycopg import errors
from psycopg.rows import TupleRow

from opscheck.core.observation import ProbeError, ProblemKind
from opscheck.systems.postgres.probe.libpq import Connection
from opscheck.systems.postgres.query import Select, Selected
from opscheck.systems.postgres.server import identifier

_CUT = 200
# It is run to its end, so it is planned for that.
_WHOLE = "SELECT set_config('cursor_tuple_fraction', '1', true)"
_DECLARE = "DECLARE opscheck_select NO SCROLL CURSOR FOR "
# A comment at the end of the statement ends before the bracket.
_NUMBER = "SELECT (q.value)::float8::text FROM (\n{sql}\n) AS q(value) LIMIT 2"
_COUNT = "SELECT count(*) FROM (SELECT FROM (\n{sql}\n) AS q LIMIT {most}) AS bounded"
_SHOW = "SELECT {wanted} FROM (\n{sql}\n) AS q LIMIT {most}"
_NUMBERS = frozenset({20, 21, 23, 700, 701, 1700})  # int8, int2, int4, float4, float8, numeric
_PERMISSION_DENIED = "42501"
# The session handles these: its own limits, and a lost connection.
_OF_THE_SESSION = ("57", "55P03", "08", "53300")
# Messages of these classes are about the statement; messages of others may quote a row.
_ABOUT_THE_STATEMENT = ("0A", "25", "3F", "42", "53", "54")
_OF_NAMES = ("3F", "42")
_DENIED = re.compile(r"permission denied for (\w[\w ]*?) (\S+)$")
_GRANTS = {"schema": "USAGE ON SCHEMA", "function": "EXECUTE ON FUNCTION", "sequence": "SELECT ON SEQUENCE"}


def read_select(connection: Connection, query: Select) -> Selected:
    with _reported(connection, query.sql, _DECLARE):
        columns, types = _described(connection, query.sql)
    _make_sure(connection, query, columns, types)
    selected = partial(Selected, database=connection.info.dbname, columns=columns)
    if query.number:
        values = tuple(row[0] for row in _run(connection, query, _NUMBER))
        return selected(count=len(values), values=values)
    if not query.shown:
        ((counted,),) = _run(connection, query, _COUNT)
        return selected(count=min(counted, query.most), more=counted > query.most)
    rows = _run(connection, query, _SHOW)
    kept = tuple(rows[: query.most])
    return selected(count=len(kept), more=len(rows) > query.most, rows=kept)


def _described(connection: Connection, sql: str) -> tuple[tuple[str, ...], list[int]]:
    connection.execute(_WHOLE)
    # A binary result uses the extended protocol, which accepts only one statement.
    connection.execute(f"{_DECLARE}{sql}".encode(), binary=True)
    described = connection.execute("FETCH 0 FROM opscheck_select").description or []
    connection.execute("CLOSE opscheck_select")
    return tuple(column.name for column in described), [column.type_code for column in described]


def _make_sure(connection: Connection, query: Select, columns: tuple[str, ...], types: list[int]) -> None:
    """Raise ProbeError for columns that do not match the policy."""
    if query.number and len(columns) != 1:
        text = f"sql returns {len(columns)} columns ({', '.join(columns) or 'without names'}) instead of one number"
        raise ProbeError(ProblemKind.UNSUPPORTED, text, "select one column, or judge `rows_at_most`")
    if query.number and types[0] not in _NUMBERS:
        row = connection.execute("SELECT format_type(%s, NULL)", (types[0],)).fetchone()
        text = f"sql returns {columns[0]} of type {row[0] if row else types[0]} instead of a number"
        raise ProbeError(ProblemKind.UNSUPPORTED, text, "cast it, such as extract(epoch FROM …) for an interval")
    for name in query.shown:
        if columns.count(name) != 1:
            text = f"sql returns {'several columns' if name in columns else 'no column'} named {name}"
            raise ProbeError(ProblemKind.UNSUPPORTED, text, f"its columns: {', '.join(columns)}")


def _run(connection: Connection, query: Select, statement: str) -> list[TupleRow]:
    wanted = ", ".join(f"left(q.{identifier(name)}::text, {_CUT})" for name in query.shown)
    parts = {"sql": query.sql, "wanted": wanted, "most": query.most + 1}
    before = statement.partition("{sql}")[0].format(**parts)
    with _reported(connection, query.sql, before):
        return connection.execute(statement.format(**parts).encode()).fetchall()


@contextmanager
def _reported(connection: Connection, sql: str, before: str) -> Iterator[None]:
    """Report the server's error with its position in the statement, but never a value."""
    try:
        yield
    except psycopg.Error as error:
        sqlstate = error.sqlstate or ""
        if not sqlstate or sqlstate.startswith(_OF_THE_SESSION):
            raise
        place = _place(sql, int(error.diag.statement_position or 0) - len(before))
        raise _problem(connection, error, sqlstate, place) from None


def _problem(connection: Connection, error: psycopg.Error, sqlstate: str, place: str) -> ProbeError:
    message = error.diag.message_primary or ""
    if not sqlstate.startswith(_ABOUT_THE_STATEMENT) or _is_of_a_value(error, sqlstate):
        text = f"sql fails with {_condition(sqlstate)} (SQLSTATE {sqlstate}){place}; the server's log has the message"
        return ProbeError(ProblemKind.UNREADABLE, text)
    if sqlstate == _PERMISSION_DENIED:
        return ProbeError(ProblemKind.DENIED, message, _grant(message, identifier(connection.info.user)))
    return ProbeError(ProblemKind.UNSUPPORTED, f"the server refuses sql: {message} (SQLSTATE {sqlstate}){place}")


def _is_of_a_value(error: psycopg.Error, sqlstate: str) -> bool:
    """True for a value that is an unknown name, as in a cast to regclass; a name in the statement has a position."""
    return sqlstate.startswith(_OF_NAMES) and sqlstate != _PERMISSION_DENIED and not error.diag.statement_position


def _grant(message: str, role: str) -> str:
    denied = _DENIED.search(message)
    if denied is None:
        return f"GRANT SELECT ON the tables of sql TO {role}"
    return f"GRANT {_GRANTS.get(denied[1], 'SELECT ON')} {denied[2]} TO {role}"


def _condition(sqlstate: str) -> str:
    try:
        return errors.lookup(sqlstate).__name__
    except KeyError:
        return "an error"


def _place(sql: str, position: int) -> str:
    """The position in the statement, counted from 1; empty without one."""
    if not 0 < position <= len(sql) + 1:
        return ""
    ahead = sql[: position - 1]
    return f" at line {ahead.count(chr(10)) + 1}, column {len(ahead) - ahead.rfind(chr(10))}"
