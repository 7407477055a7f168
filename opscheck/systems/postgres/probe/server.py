"""Reads the server's identity, and its databases."""

from opscheck.core.query import Identity
from opscheck.systems.postgres.probe.libpq import Connection
from opscheck.systems.postgres.probe.statements import major_version, one_row, reading
from opscheck.systems.postgres.server import NEWEST_KNOWN, ReadIdentity

_SERVER = """
    SELECT current_user::text AS role, current_setting('server_version') AS version, pg_is_in_recovery() AS standby,
           (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) AS superuser
"""
# A connection limit of -2 marks the leftover of an interrupted DROP DATABASE, which accepts no connections.
_DATABASES = """
    SELECT current_database()::text AS current,
           (SELECT coalesce(array_agg(datname::text ORDER BY datname), '{}') FROM pg_database
            WHERE datallowconn AND NOT datistemplate AND datconnlimit <> -2) AS names
"""
read_databases = reading(_DATABASES)


def read_identity(connection: Connection, query: ReadIdentity) -> Identity:  # noqa: ARG001 - as every reader
    row = one_row(connection, _SERVER)
    place = f"PostgreSQL {row['version']}, {'standby' if row['standby'] else 'primary'}"
    if major_version(connection) > NEWEST_KNOWN:
        place += f"; newer than opscheck supports, queried like {NEWEST_KNOWN}"
    if not row["superuser"]:
        return Identity(place=place, user=row["role"])
    role = row["role"]
    warning = f"opscheck logs in as the superuser {role}; `opscheck permissions` prints a read-only role"
    return Identity(place=place, user=role, groups=("superuser",), warning=warning)
