"""Reads the holders of a server's connections."""

import msgspec

from opscheck.systems.postgres.connections import Occupancy, Sessions, SessionsAnswer
from opscheck.systems.postgres.probe.libpq import Connection
from opscheck.systems.postgres.probe.statements import one_row

_HOLDERS = 20

_GROUPS = """(SELECT coalesce(json_agg(s), '[]') FROM (
               SELECT coalesce(application_name, '') AS application, coalesce(usename, '') AS role,
                      coalesce(datname, '') AS database, coalesce(host(client_addr), '') AS client,
                      coalesce(state, '') AS state, count(*) AS count
               FROM {of} GROUP BY 1, 2, 3, 4, 5 ORDER BY 6 DESC, 1, 2, 3, 4, 5 LIMIT %(holders)s) s)"""
# Before 12, replication counted against max_connections too. A limit of -2 marks the leftover of an interrupted
# DROP DATABASE, which accepts no connections.
_OCCUPANCY = """
    WITH held AS MATERIALIZED (
        SELECT * FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
    ),
    sending AS MATERIALIZED (SELECT * FROM pg_stat_activity WHERE backend_type = 'walsender')
    SELECT current_user::text AS role,
           (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) AS is_superuser,
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
               FROM pg_database d WHERE (datname = %(database)s AND datconnlimit <> -2) OR datconnlimit > 0
               ORDER BY datname) s) AS databases,
           {held} AS holders,
           (SELECT count(*) FROM sending) AS walsenders,
           current_setting('max_wal_senders')::int AS max_wal_senders,
           {sending} AS senders
"""
_SESSIONS = _OCCUPANCY.format(held=_GROUPS.format(of="held"), sending=_GROUPS.format(of="sending"))


def read_sessions(connection: Connection, query: Sessions) -> SessionsAnswer:
    parameters = {"role": query.role, "database": query.database, "holders": _HOLDERS}
    return SessionsAnswer(occupancy=msgspec.convert(one_row(connection, _SESSIONS, parameters), Occupancy))
