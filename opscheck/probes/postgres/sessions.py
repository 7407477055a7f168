"""Reads who holds a server's connections."""

import msgspec

from opscheck.probes.postgres.libpq import Connection
from opscheck.probes.postgres.statements import Readers, Versions, one_row
from opscheck.queries.postgres.sessions import Occupancy, Sessions, SessionsAnswer

_HOLDERS = 20

# Before 12, replication took its connections out of max_connections too.
_SESSIONS = Versions(
    {
        12: """
    WITH held AS MATERIALIZED (
        SELECT * FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
    )
    SELECT current_user::text AS role,
           (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) AS is_superuser,
           current_setting('server_version_num')::int AS server_version,
           current_setting('max_connections')::int AS max_connections,
           current_setting('superuser_reserved_connections')::int AS superuser_reserved,
           coalesce(current_setting('reserved_connections', true), '0')::int AS reserved,
           (SELECT count(*) FROM held) AS used,
           (SELECT coalesce(json_agg(s), '[]') FROM (
               SELECT rolname AS name, (SELECT count(*) FROM held WHERE usesysid = r.oid) AS used,
                      CASE WHEN rolconnlimit >= 0 AND NOT rolsuper THEN rolconnlimit END AS "limit"
               FROM pg_roles r WHERE rolname = %(role)s OR (rolconnlimit > 0 AND NOT rolsuper)
               ORDER BY rolname) s) AS roles,
           (SELECT coalesce(json_agg(s), '[]') FROM (
               SELECT datname AS name, (SELECT count(*) FROM held WHERE datid = d.oid) AS used,
                      CASE WHEN datconnlimit >= 0 THEN datconnlimit END AS "limit"
               FROM pg_database d WHERE datname = %(database)s OR datconnlimit > 0
               ORDER BY datname) s) AS databases,
           (SELECT coalesce(json_agg(s), '[]') FROM (
               SELECT coalesce(application_name, '') AS application, coalesce(usename, '') AS role,
                      coalesce(datname, '') AS database, coalesce(host(client_addr), '') AS client,
                      coalesce(state, '') AS state, count(*) AS count
               FROM held GROUP BY 1, 2, 3, 4, 5 ORDER BY 6 DESC, 1, 2, 3, 4, 5 LIMIT %(holders)s) s) AS holders
"""
    }
)


def _read_sessions(connection: Connection, query: Sessions) -> SessionsAnswer:
    asked = {"role": query.role, "database": query.database, "holders": _HOLDERS}
    return SessionsAnswer(occupancy=msgspec.convert(one_row(connection, _SESSIONS, asked), Occupancy))


READERS: Readers = {Sessions: _read_sessions}
