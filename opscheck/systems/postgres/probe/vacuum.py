"""Reads overdue vacuum and analyze, and the holders of dead rows."""

import msgspec

from opscheck.systems.postgres.probe.libpq import Connection
from opscheck.systems.postgres.probe.statements import COUNTED_SINCE, LOCKED, Versions, one_row, reading, rows
from opscheck.systems.postgres.vacuum import Ages, ListXminHolders, ReadAges, XminHolders

_DATABASES = 1000
_HOLDERS = 20
_NAMED = 100
# Assumed size of a row, where only the size of a table is known.
_ROW_BYTES = 100

_AGES = """
    SELECT datname::text AS name, age(datfrozenxid) AS xid_age, mxid_age(datminmxid) AS multixact_age,
           datallowconn AS connectable,
           current_setting('autovacuum_freeze_max_age')::int8 AS freeze_max_age,
           current_setting('autovacuum_multixact_freeze_max_age')::int8 AS multixact_freeze_max_age
    FROM pg_database ORDER BY greatest(age(datfrozenxid), mxid_age(datminmxid)) DESC, datname LIMIT %(most)s
"""


def read_ages(connection: Connection, query: ReadAges) -> Ages:  # noqa: ARG001 - as every reader
    found = rows(connection, _AGES, {"most": _DATABASES})
    return msgspec.convert(found[0] | {"databases": found}, Ages)


# A session without a snapshot that has written holds rows by its transaction id. A lazy vacuum holds none, although it
# has an xmin. Holds of a standby or a base backup appear in its walsender, or in its slot.
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
_KEPT = "AND wal_status IS DISTINCT FROM 'lost'"  # an invalidated slot has an xmin, and holds nothing
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


# The statistics functions are called once per table, not through pg_stat_user_tables, which groups all indexes.
# Expensive values (options, sizes) are read only for the few remaining tables.
_TABLES = """
    WITH RECURSIVE every AS MATERIALIZED (
        SELECT c.oid, n.nspname, c.relname, c.relkind, c.reltuples::float8 AS reltuples, c.reloptions,
               (c.reltuples < 0 OR (c.reltuples = 0 AND c.relpages = 0)) AS unmeasured,
               pg_stat_get_live_tuples(c.oid) AS live, pg_stat_get_dead_tuples(c.oid) AS dead,
               pg_stat_get_mod_since_analyze(c.oid) AS modified, {inserted} AS inserted,
               pg_stat_get_tuples_inserted(c.oid) AS ever_inserted,
               greatest(pg_stat_get_last_vacuum_time(c.oid), pg_stat_get_last_autovacuum_time(c.oid)) AS last_vacuum,
               greatest(pg_stat_get_last_analyze_time(c.oid), pg_stat_get_last_autoanalyze_time(c.oid)) AS last_analyze
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind IN ({kinds}) AND c.relpersistence <> 't'
          AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
    ), {locked}, uncounted AS (
        SELECT oid, pg_relation_size(oid) / %(row_bytes)s AS live FROM every
        WHERE relkind <> 'p' AND unmeasured AND live = 0 AND ever_inserted = 0 AND last_analyze IS NULL
          AND oid NOT IN (SELECT relation FROM locked)
    ), tree (parent, oid) AS (
        SELECT i.inhparent, i.inhrelid FROM pg_inherits i JOIN every e ON e.oid = i.inhparent AND e.relkind = 'p'
        UNION ALL
        SELECT t.parent, i.inhrelid FROM tree t JOIN pg_inherits i ON i.inhparent = t.oid
    ), parents AS (
        SELECT p.oid, sum(e.live)::int8 AS live,
               coalesce(sum(e.live) FILTER (WHERE e.last_analyze > p.last_analyze), 0)::int8 AS modified
        FROM tree t JOIN every e ON e.oid = t.oid AND e.relkind <> 'p' JOIN every p ON p.oid = t.parent GROUP BY p.oid
    ), looked_at AS (
        SELECT e.oid, e.nspname, e.relname, e.relkind, e.reltuples, e.reloptions, e.dead,
               e.dead + e.inserted AS written, coalesce(p.modified, e.modified) AS modified,
               coalesce(p.live, u.live, e.live) AS live, e.last_vacuum, e.last_analyze,
               e.last_analyze IS NULL AND e.unmeasured AS never_analyzed
        FROM every e LEFT JOIN uncounted u ON u.oid = e.oid LEFT JOIN parents p ON p.oid = e.oid
    ), many AS MATERIALIZED (
        SELECT t.nspname::text AS schema, t.relname::text AS name, format('%%I.%%I', t.nspname, t.relname) AS sql_name,
               t.live AS rows, t.dead, t.written, t.modified, t.last_vacuum, t.last_analyze, t.never_analyzed,
               CASE WHEN s.highest >= 0 THEN least(s.highest, s.threshold + s.scale * greatest(t.reltuples, 0))
                    ELSE s.threshold + s.scale * greatest(t.reltuples, 0) END AS vacuum_trigger,
               s.analyze_threshold + s.analyze_scale * greatest(t.reltuples, 0) AS analyze_trigger,
               s.enabled AND current_setting('autovacuum')::bool AS autovacuum,
               NOT s.enabled AS disabled, t.relkind = 'p' AS partitioned,
               t.oid IN (SELECT relid FROM pg_stat_progress_vacuum WHERE relid IS NOT NULL) AS vacuum_runs
        FROM looked_at t CROSS JOIN LATERAL (
            SELECT coalesce(max(value::float8) FILTER (WHERE option = 'vacuum_threshold' AND value::float8 >= 0),
                            current_setting('autovacuum_vacuum_threshold')::float8) AS threshold,
                   coalesce(max(value::float8) FILTER (WHERE option = 'vacuum_scale_factor' AND value::float8 >= 0),
                            current_setting('autovacuum_vacuum_scale_factor')::float8) AS scale,
                   coalesce(max(value::float8) FILTER (WHERE option = 'vacuum_max_threshold' AND value::float8 >= -1),
                            current_setting('autovacuum_vacuum_max_threshold', true)::float8) AS highest,
                   coalesce(max(value::float8) FILTER (WHERE option = 'analyze_threshold' AND value::float8 >= 0),
                            current_setting('autovacuum_analyze_threshold')::float8) AS analyze_threshold,
                   coalesce(max(value::float8) FILTER (WHERE option = 'analyze_scale_factor' AND value::float8 >= 0),
                            current_setting('autovacuum_analyze_scale_factor')::float8) AS analyze_scale,
                   coalesce(bool_and(value::bool) FILTER (WHERE option = 'enabled'), true) AS enabled
            FROM (SELECT substr(option_name, 12) AS option, option_value AS value
                  FROM pg_options_to_table(t.reloptions) WHERE option_name LIKE 'autovacuum%%') AS own
        ) AS s
        WHERE t.dead > %(min_rows)s OR t.written > %(min_rows)s OR t.modified > %(min_rows)s
           OR (t.never_analyzed AND t.live > %(min_rows)s)
    ), judged AS MATERIALIZED (
        SELECT *, dead > %(min_rows)s AND dead > vacuum_trigger AS beyond_vacuum,
               (never_analyzed AND rows > %(min_rows)s)
                   OR (modified > %(min_rows)s AND modified > analyze_trigger AND NOT partitioned) AS beyond_analyze,
               written > %(min_rows)s AS many_written,
               modified > %(min_rows)s AS many_modified
        FROM many
    ), ranked AS (
        SELECT *, row_number() OVER (ORDER BY beyond_vacuum DESC, dead / greatest(vacuum_trigger, 1) DESC, dead DESC)
                   AS by_dead,
               row_number() OVER (ORDER BY beyond_analyze DESC, never_analyzed DESC,
                                           modified / greatest(analyze_trigger, 1) DESC, rows DESC) AS by_modified,
               row_number() OVER (ORDER BY many_written DESC, last_vacuum NULLS FIRST, written DESC) AS by_vacuum,
               row_number() OVER (ORDER BY many_modified DESC, last_analyze NULLS FIRST, modified DESC) AS by_analyze
        FROM judged
    )
    SELECT current_database()::text AS database, (SELECT count(*) FROM every) AS tables,
           (SELECT coalesce(json_agg(r), '[]') FROM ranked r
            WHERE least(by_dead, by_modified, by_vacuum, by_analyze) <= %(most)s) AS named,
           (SELECT count(*) FROM judged WHERE beyond_vacuum) AS beyond_vacuum,
           (SELECT count(*) FROM judged WHERE beyond_analyze) AS beyond_analyze,
           (SELECT count(*) FROM judged WHERE many_written) AS written,
           (SELECT count(*) FROM judged WHERE many_modified) AS modified,
           (SELECT count(*) FROM every WHERE relkind <> 'p' AND last_analyze IS NULL) AS unanalyzed,
           {counted_since} AS counted_since, clock_timestamp() AS clock, pg_is_in_recovery() AS standby,
           current_setting('track_counts')::bool AS counts
"""
_PARTS = {"locked": LOCKED, "counted_since": COUNTED_SINCE}
_INSERTED = "pg_stat_get_ins_since_vacuum(c.oid)"
# Before 14, the last analyze of a parent of partitions is not recorded.
_BY_VERSION = Versions(
    {
        12: _TABLES.format(**_PARTS, kinds="'r', 'm'", inserted="0"),
        13: _TABLES.format(**_PARTS, kinds="'r', 'm'", inserted=_INSERTED),
        14: _TABLES.format(**_PARTS, kinds="'r', 'm', 'p'", inserted=_INSERTED),
    }
)
read_tables = reading(_BY_VERSION, row_bytes=_ROW_BYTES, most=_NAMED)
