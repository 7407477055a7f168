"""Reads which server answers, and what the role that asks may do there."""

import msgspec

from opscheck.probes.postgres.libpq import Connection
from opscheck.probes.postgres.statements import Readers, major_version, one_row
from opscheck.queries.base import Identity
from opscheck.queries.postgres.base import NEWEST_KNOWN
from opscheck.queries.postgres.identity import AskIdentity, AskOwnRole, OwnRole

_SERVER = """
    SELECT current_user::text AS role, current_setting('server_version') AS version, pg_is_in_recovery() AS standby,
           (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) AS superuser
"""
_OWN_ROLE = """
    SELECT rolname::text AS name, rolsuper AS superuser,
           (SELECT coalesce(array_agg(may ORDER BY may), '{}') FROM (
               SELECT unnest(ARRAY['CREATEROLE', 'CREATEDB', 'REPLICATION', 'BYPASSRLS']) AS may,
                      unnest(ARRAY[own.rolcreaterole, own.rolcreatedb, own.rolreplication, own.rolbypassrls]) AS granted
               UNION ALL
               SELECT dangerous.rolname::text, pg_has_role(own.oid, dangerous.oid, 'MEMBER') FROM pg_roles dangerous
               WHERE dangerous.rolname IN ('pg_write_all_data', 'pg_read_server_files', 'pg_write_server_files',
                                           'pg_execute_server_program')
           ) each WHERE granted AND NOT own.rolsuper) AS may
    FROM pg_roles own WHERE rolname = current_user
"""


def _ask_identity(connection: Connection, query: AskIdentity) -> Identity:  # noqa: ARG001 - as every reader
    row = one_row(connection, _SERVER)
    place = f"PostgreSQL {row['version']}, {'standby' if row['standby'] else 'primary'}"
    if major_version(connection) > NEWEST_KNOWN:
        place += f"; it is newer than opscheck knows, and is asked in the words of {NEWEST_KNOWN}"
    if not row["superuser"]:
        return Identity(place=place, user=row["role"])
    role = row["role"]
    warning = f"opscheck logs in as the superuser {role}; `opscheck permissions` prints a role that may only read"
    return Identity(place=place, user=role, groups=("superuser",), warning=warning)


def _ask_own_role(connection: Connection, query: AskOwnRole) -> OwnRole:  # noqa: ARG001 - as every reader
    return msgspec.convert(one_row(connection, _OWN_ROLE), OwnRole)


READERS: Readers = {AskIdentity: _ask_identity, AskOwnRole: _ask_own_role}
