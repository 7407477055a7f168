"""Reads which server answers, and which databases it has."""

from opscheck.core.query import Identity
from opscheck.systems.postgres.probe.libpq import Connection
from opscheck.systems.postgres.probe.statements import major_version, one_row, reading
from opscheck.systems.postgres.server import NEWEST_KNOWN, ReadIdentity

_SERVER = """
    SELECT current_user::text AS role, current_setting('server_version') AS version, pg_is_in_recovery() AS standby,
           (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) AS superuser
"""
# A database with a connection limit of -2 was left behind by a DROP DATABASE that was interrupted; nobody gets in.
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
        place += f"; it is newer than opscheck knows, and is asked in the words of {NEWEST_KNOWN}"
    if not row["superuser"]:
        return Identity(place=place, user=row["role"])
    role = row["role"]
    warning = f"opscheck logs in as the superuser {role}; `opscheck permissions` prints a role that may only read"
    return Identity(place=place, user=role, groups=("superuser",), warning=warning)
