"""Reads the settings and the state of a server."""

import re

import msgspec

from opscheck.core.masking import mask_secrets
from opscheck.core.observation import ProbeError, ProblemKind
from opscheck.systems.postgres.probe.libpq import Connection
from opscheck.systems.postgres.probe.statements import Row, Versions, one_row, rows
from opscheck.systems.postgres.server import identifier
from opscheck.systems.postgres.settings import (
    CONFIGURATION_GRANTS,
    Collations,
    Extensions,
    FileErrors,
    ListCollations,
    ListExtensions,
    ListFileErrors,
    ReadServerState,
    ReadSettings,
    ServerState,
    Settings,
)

_MOST = 1000
_OPTION = re.compile(r"(?:-c\s*|--)([A-Za-z_][\w.-]*)\s*=")

# The values after RESET, because the time limits of this transaction are opscheck's own.
_SETTINGS = """
    SELECT name, vartype AS type, reset_val AS value, unit, min_val AS minimum, context, source, pending_restart,
           coalesce(sourcefile || ':' || sourceline, '') AS place,
           source = 'client' OR lower(name) = ANY (%(options)s) OR lower(name) IN (
               SELECT lower(split_part(assignment, '=', 1))
               FROM pg_db_role_setting s CROSS JOIN unnest(s.setconfig) AS assignment
               WHERE s.setrole = (SELECT oid FROM pg_roles WHERE rolname = session_user)
                 AND s.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))) AS own
    FROM pg_settings WHERE lower(name) = ANY (%(names)s) OR pending_restart ORDER BY name
"""
_MAY_READ_FILES = """
    SELECT current_user::text AS role,
           has_table_privilege('pg_catalog.pg_file_settings', 'SELECT')
           AND has_table_privilege('pg_catalog.pg_hba_file_rules', 'SELECT')
           AND has_function_privilege('pg_catalog.pg_show_all_file_settings()', 'EXECUTE')
           AND has_function_privilege('pg_catalog.pg_hba_file_rules()', 'EXECUTE') AS allowed
"""
# A setting that needs a restart has an error too: that it could not be applied.
_FILES = """
    SELECT coalesce(sourcefile, '') AS file, coalesce(sourceline, 0) AS line, coalesce(name, '') AS name, error
    FROM pg_file_settings f
    WHERE error IS NOT NULL
      AND NOT EXISTS (SELECT FROM pg_settings s WHERE lower(s.name) = lower(f.name) AND s.pending_restart)
    UNION ALL
    SELECT current_setting('hba_file'), line_number, '', error FROM pg_hba_file_rules WHERE error IS NOT NULL
    ORDER BY 1, 2 LIMIT 100
"""
_STATE = """
    SELECT current_setting('server_version_num')::int AS server_version,
           current_setting('data_checksums') = 'on' AS checksums
"""
_FAILURES = """
    SELECT datname::text AS database, checksum_failures::int8 AS count,
           extract(epoch FROM checksum_last_failure)::float8 AS last
    FROM pg_stat_database WHERE checksum_failures > 0 ORDER BY datname
"""
_BYTES = "IN ('C', 'POSIX', 'C.UTF-8', 'C.UTF8', 'C.utf8')"
_OLDER = f"""
    SELECT datname::text AS name, datconnlimit = -2 AS invalid, datcollate::text AS collation,
           datcollate NOT {_BYTES} AS needs_version
    FROM pg_database ORDER BY datname LIMIT %(most)s
"""  # noqa: S608 - a list of names from above
# template0 has no version on purpose; nothing in it is sorted.
_DATABASES = Versions(
    {
        12: _OLDER,
        15: """
    SELECT datname::text AS name, datconnlimit = -2 AS invalid, coalesce(datcollate, '')::text AS collation,
           false AS needs_version, datcollversion AS recorded, pg_database_collation_actual_version(oid) AS actual
    FROM pg_database ORDER BY datname LIMIT %(most)s
""",
    }
)
_EXTENSIONS = """
    SELECT current_database()::text AS database, coalesce(e.extname, a.name)::text AS name, e.extversion AS installed,
           a.default_version AS available
    FROM pg_extension e FULL JOIN pg_available_extensions a ON a.name = e.extname ORDER BY 2 LIMIT %(most)s
"""
# Only collations that a column, an index or a type uses.
_COLLATIONS = """
    SELECT c.oid::regcollation::text AS name, c.collversion AS recorded, pg_collation_actual_version(c.oid) AS actual
    FROM pg_collation c
    WHERE c.collversion <> pg_collation_actual_version(c.oid)
      AND EXISTS (SELECT FROM pg_depend d WHERE d.refclassid = 'pg_collation'::regclass AND d.refobjid = c.oid)
    ORDER BY 1 LIMIT %(most)s
"""
_CHANGED = Versions({12: _COLLATIONS.replace("c.oid::regcollation::text", "c.collname::text"), 13: _COLLATIONS})


def read_settings(connection: Connection, query: ReadSettings) -> Settings:
    options = [name.lower().replace("-", "_") for name in _OPTION.findall(connection.info.options)]
    parameters = {"names": [name.lower() for name in query.names], "options": options}
    found = [_without_secrets(row) for row in rows(connection, _SETTINGS, parameters)]
    return msgspec.convert({"role": connection.info.user, "settings": found}, Settings)


def _without_secrets(row: Row) -> Row:
    """The row without secrets: a connection string or a command may contain a password."""
    shown = mask_secrets(row["value"]) if row["type"] == "string" and row["value"] else row["value"]
    return row | {"value": shown, "masked": shown != row["value"]}


def read_configuration_files(connection: Connection, query: ListFileErrors) -> FileErrors:  # noqa: ARG001 - as every reader
    may = one_row(connection, _MAY_READ_FILES)
    if not may["allowed"]:
        text = f"role {may['role']} may not read pg_file_settings and pg_hba_file_rules"
        advice = "; ".join(CONFIGURATION_GRANTS).format(role=identifier(may["role"]))
        raise ProbeError(ProblemKind.DENIED, text, f"{advice} (in the database of the dsn)")
    return msgspec.convert({"errors": rows(connection, _FILES)}, FileErrors)


def read_server_state(connection: Connection, query: ReadServerState) -> ServerState:  # noqa: ARG001 - as every reader
    lists = {
        "failures": rows(connection, _FAILURES),
        "databases": rows(connection, _DATABASES, {"most": _MOST}),
    }
    return msgspec.convert(one_row(connection, _STATE) | lists, ServerState)


def read_extensions(connection: Connection, query: ListExtensions) -> Extensions:  # noqa: ARG001 - as every reader
    found = rows(connection, _EXTENSIONS, {"most": _MOST})
    return msgspec.convert({"database": connection.info.dbname, "extensions": found}, Extensions)


def read_collations(connection: Connection, query: ListCollations) -> Collations:  # noqa: ARG001 - as every reader
    found = rows(connection, _CHANGED, {"most": _MOST})
    return msgspec.convert({"database": connection.info.dbname, "changed": found}, Collations)
