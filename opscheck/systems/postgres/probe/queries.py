"""Reads pg_stat_statements, by the version of the extension, which pg_upgrade does not change."""

from typing import Any

import msgspec

from opscheck.core.observation import ProbeError, ProblemKind
from opscheck.systems.postgres.probe.libpq import Connection
from opscheck.systems.postgres.probe.query_text import masked
from opscheck.systems.postgres.probe.statements import Row, Versions, counted, one_row, rows
from opscheck.systems.postgres.queries import (
    CountStatements,
    ReadStatements,
    StatementCounters,
    StatementCounts,
    StatementText,
    StatementTexts,
)
from opscheck.systems.postgres.server import identifier

_MOST = 5000
_SHOWN = 1000  # texts, of the statements with the most execution time: to mask one takes its time
_READ, _KEPT = 300, 200  # characters of each

# pg_stat_statements.max does not exist where the library was not loaded at the server's start.
_EXTENSION = """
    SELECT e.extversion AS version, n.nspname::text AS extension_schema,
           has_schema_privilege(n.oid, 'USAGE') AS usable,
           current_setting('pg_stat_statements.max', true)::int AS most,
           current_setting('pg_stat_statements.track', true) AS track,
           coalesce(current_setting('compute_query_id', true), 'auto') AS compute_query_id,
           current_database()::text AS database, current_user::text AS role,
           current_setting('server_version_num')::int AS server_version,
           extract(epoch FROM pg_postmaster_start_time())::float8 AS started,
           (SELECT system_identifier::text FROM pg_control_system()) AS system
    FROM (SELECT 1) AS always LEFT JOIN pg_extension e ON e.extname = 'pg_stat_statements'
         LEFT JOIN pg_namespace n ON n.oid = e.extnamespace
"""
_COUNTERS = """
    SELECT coalesce(r.rolname::text, s.userid::text) AS role, coalesce(d.datname::text, s.dbid::text) AS database,
           s.queryid::int8 AS queryid, {toplevel} AS toplevel, s.calls::int8 AS calls,
           s.{time}::float8 AS milliseconds, {since}::float8 AS since, count(*) OVER () AS found
    FROM {{schema}}.pg_stat_statements(false) s
         LEFT JOIN pg_roles r ON r.oid = s.userid LEFT JOIN pg_database d ON d.oid = s.dbid
    WHERE s.queryid IS NOT NULL ORDER BY s.{time} DESC, s.queryid LIMIT %(most)s
"""
_NESTED, _SINCE = "s.toplevel", "extract(epoch FROM s.stats_since)"
# By the number behind the point: extension 1.8 came with PostgreSQL 13, 1.9 with 14, 1.11 with 17.
_COUNTED = Versions(
    {
        0: _COUNTERS.format(time="total_time", toplevel="true", since="NULL"),
        8: _COUNTERS.format(time="total_exec_time", toplevel="true", since="NULL"),
        9: _COUNTERS.format(time="total_exec_time", toplevel=_NESTED, since="NULL"),
        11: _COUNTERS.format(time="total_exec_time", toplevel=_NESTED, since=_SINCE),
    }
)
# A server without a file of counters at its start, as after a crash, reports a reset in the year 2000.
_INFO = Versions(
    {
        0: "SELECT NULL::int8 AS evictions, NULL::float8 AS reset",
        9: """
    SELECT dealloc::int8 AS evictions,
           extract(epoch FROM nullif(stats_reset, timestamptz '2000-01-01 00:00:00+00'))::float8 AS reset
    FROM {schema}.pg_stat_statements_info
""",
    }
)
# A utility statement is stored as it was typed, even ALTER ROLE … PASSWORD: its text is not fetched.
_TEXTS = r"""
    SELECT coalesce(d.datname::text, s.dbid::text) AS database, s.queryid::int8 AS queryid,
           NOT s.is_query AS utility,
           CASE WHEN s.is_query AND row_number() OVER (ORDER BY s.time DESC, s.queryid) <= %(shown)s
                THEN left(s.query, %(read)s) ELSE '' END AS text
    FROM (SELECT DISTINCT ON (dbid, queryid) dbid, queryid, query, {time} AS time,
                 coalesce(left(query, 10000), 'select') ~* {queries} AS is_query
          FROM {{schema}}.pg_stat_statements WHERE queryid IS NOT NULL ORDER BY dbid, queryid, {time} DESC) s
         LEFT JOIN pg_database d ON d.oid = s.dbid
    ORDER BY s.time DESC, s.queryid LIMIT %(most)s
"""
_QUERIES = r"'^(\s|\(|--[^\n]*\n|/\*([^*]|\*+[^*/])*\*+/)*(select|insert|update|delete|merge|with|values|table)\M'"
_TEXT = Versions(
    {
        0: _TEXTS.format(time="total_time", queries=_QUERIES),
        8: _TEXTS.format(time="total_exec_time", queries=_QUERIES),
    }
)


def read_statement_counters(connection: Connection, query: CountStatements) -> StatementCounters:  # noqa: ARG001 - as every reader
    extension = _extension(connection)
    found = _rows(connection, extension, _COUNTED)
    (info,) = _rows(connection, extension, _INFO)
    statements = [[row[name] for name in StatementCounts.__struct_fields__] for row in found]
    answer = extension | info | {"statements": statements, "found": counted(found, "found")}
    return msgspec.convert(answer, StatementCounters)


def read_statement_texts(connection: Connection, query: ReadStatements) -> StatementTexts:  # noqa: ARG001 - as every reader
    found = _rows(connection, _extension(connection), _TEXT)
    shown = (row | {"text": masked(row["text"] or "", _KEPT)} for row in found)
    return StatementTexts(texts=tuple(StatementText(**row) for row in shown))


def _rows(connection: Connection, extension: Row, statement: Versions) -> list[Row]:
    minor = int(extension["version"].partition(".")[2] or 0)
    text = statement.chosen(minor).format(schema=identifier(extension["extension_schema"]))
    return rows(connection, text, {"most": _MOST, "shown": _SHOWN, "read": _READ} if "%(" in text else None)


def _extension(connection: Connection) -> dict[str, Any]:
    """The extension's schema and version. Raises ProbeError where it counts nothing, or cannot be read."""
    extension = one_row(connection, _EXTENSION)
    database, schema, kind = extension["database"], extension["extension_schema"], ProblemKind.UNSUPPORTED
    if extension["most"] is None:
        advice = "add pg_stat_statements to shared_preload_libraries and restart the server"
        if extension["version"] is None:
            advice += f"; then CREATE EXTENSION pg_stat_statements in database {database}"
        raise ProbeError(kind, "the library pg_stat_statements is not loaded: nothing is counted", advice)
    if extension["version"] is None:
        advice = "CREATE EXTENSION pg_stat_statements there, or name in `extension_in` the database that has it"
        raise ProbeError(kind, f"database {database} has no extension pg_stat_statements", advice)
    if not extension["usable"]:
        text = f"role {extension['role']} may not use schema {schema} of pg_stat_statements"
        advice = f"GRANT USAGE ON SCHEMA {identifier(schema)} TO {identifier(extension['role'])}"
        raise ProbeError(ProblemKind.DENIED, text, advice)
    if extension["track"] == "none":
        advice = "set pg_stat_statements.track to top"
        raise ProbeError(kind, "pg_stat_statements.track is none: nothing is counted", advice)
    if extension["compute_query_id"] == "off":
        raise ProbeError(kind, "compute_query_id is off: nothing is counted", "set compute_query_id to auto")
    return extension
