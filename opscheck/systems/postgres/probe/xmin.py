"""Reads what a server keeps dead rows for."""

import msgspec

from opscheck.systems.postgres.probe.libpq import Connection
from opscheck.systems.postgres.probe.statements import Versions, one_row, rows
from opscheck.systems.postgres.xmin import ListXminHolders, XminHolders

_HOLDERS = 20

# A session without a snapshot that has written holds rows by its own number. A lazy vacuum holds none, although it
# shows an xmin. What a standby or a base backup holds, its walsender shows; with a slot, the slot does.
_HELD = """
    SELECT CASE WHEN w.pid IS NULL THEN 'session' ELSE 'standby' END AS kind,
           coalesce(a.application_name, '') AS name, greatest(age(a.backend_xmin), age(a.backend_xid)) AS age,
           CASE WHEN w.pid IS NULL THEN coalesce(a.datname::text, '') ELSE '' END AS database,
           coalesce(a.usename::text, '') AS role, a.pid, coalesce(a.state, '') AS state,
           a.xact_start AS since, true AS active, false AS catalog_only
    FROM pg_stat_activity a LEFT JOIN pg_stat_replication w ON w.pid = a.pid
    WHERE (a.backend_xmin IS NOT NULL OR a.backend_xid IS NOT NULL) AND a.pid <> pg_backend_pid()
      AND a.pid NOT IN (SELECT pid FROM pg_stat_progress_vacuum)
    UNION ALL
    SELECT 'prepared transaction', gid, age(transaction), database::text, owner::text, NULL, '', prepared, true, false
    FROM pg_prepared_xacts
    UNION ALL
    SELECT 'replication slot', slot_name::text, age, coalesce(database::text, ''), '', active_pid, '', {since}, active,
           catalog_only
    FROM pg_replication_slots,
         LATERAL (VALUES (age(xmin), false), (age(catalog_xmin), true)) AS held (age, catalog_only)
    WHERE held.age IS NOT NULL {alive}
    ORDER BY 3 DESC, 2 LIMIT %(most)s
"""
_KEPT = "AND wal_status IS DISTINCT FROM 'lost'"  # an invalidated slot shows an xmin, and holds nothing
_XMIN_HOLDERS = Versions(
    {
        12: _HELD.format(since="NULL", alive=""),
        13: _HELD.format(since="NULL", alive=_KEPT),
        17: _HELD.format(since="inactive_since", alive=_KEPT),
    }
)


def read_xmin_holders(connection: Connection, query: ListXminHolders) -> XminHolders:  # noqa: ARG001 - as every reader
    holders = rows(connection, _XMIN_HOLDERS, {"most": _HOLDERS})
    return msgspec.convert({"holders": holders} | one_row(connection, "SELECT clock_timestamp() AS clock"), XminHolders)
