"""Reads the invalid, duplicate and unused indexes of a database."""

from opscheck.systems.postgres.probe.statements import COUNTED_SINCE, LOCKED, Versions, reading

_NAMED = 100

# The size of a relation with an exclusive lock cannot be read without waiting for the lock, and one that was
# dropped meanwhile has none: the catalog has an older one.
_SIZE = """(CASE WHEN {c}.oid NOT IN (SELECT relation FROM locked) THEN pg_relation_size({c}.oid) END)"""
_OLD_SIZE = "({c}.relpages::int8 * current_setting('block_size')::int8)"
_BYTES = f"coalesce({_SIZE}, {_OLD_SIZE})"
# Of a partitioned index x, all that it has in partitions. Most are none, and that is not read for each.
_TREE = """CASE WHEN x.relkind = 'I' THEN (
                          SELECT coalesce(sum({leaf}), 0)::int8
                          FROM pg_partition_tree(x.oid) p JOIN pg_class leaf ON leaf.oid = p.relid
                      ) ELSE {x} END"""
_BYTES_IN_ALL = _TREE.format(leaf=_BYTES.format(c="leaf"), x=_BYTES.format(c="x"))
_COUNT = """(SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE c.relkind IN ('i', 'I') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema') AS indexes"""

# A leftover in pg_toast counts too. A session that builds or drops an index concurrently is in
# pg_stat_progress_create_index, or holds this lock on the index, which vacuum never does.
_INVALID = """
    WITH {locked}, found AS (
        SELECT n.nspname::text AS schema, c.relname::text AS name, format('%%I.%%I', n.nspname, c.relname) AS sql_name,
               format('%%I.%%I', tn.nspname, t.relname) AS "table", {bytes} AS bytes,
               c.relname ~ '_cc(new|old)[0-9]*$' AS leftover
        FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
        JOIN pg_class t ON t.oid = i.indrelid JOIN pg_namespace tn ON tn.oid = t.relnamespace
        WHERE NOT (i.indisvalid AND i.indisready AND i.indislive) AND c.relkind = 'i' AND c.relpersistence <> 't'
          AND i.indrelid NOT IN (SELECT relid FROM pg_stat_progress_create_index
                                 WHERE relid IS NOT NULL AND datname = current_database())
          AND i.indexrelid NOT IN (SELECT relation FROM pg_locks WHERE locktype = 'relation' AND granted
                                   AND mode = 'ShareUpdateExclusiveLock')
    )
    SELECT current_database()::text AS database, {count}, (SELECT count(*) FROM found) AS total,
           (SELECT coalesce(json_agg(f), '[]')
            FROM (SELECT * FROM found ORDER BY bytes DESC, sql_name LIMIT %(most)s) AS f) AS found
"""
_INVALID_IN = Versions({12: _INVALID.format(locked=LOCKED, count=_COUNT, bytes=_BYTES.format(c="c"))})
read_invalid_indexes = reading(_INVALID_IN, most=_NAMED)


# A UNIQUE index replaces a plain one, except where one is deferrable or treats nulls as equal. Of partitioned tables
# only the index of the parent can be dropped. Expressions are compared as text, which is read only for indexes that are
# equal in all other respects.
_DUPLICATES = """
    WITH {locked}, twice AS MATERIALIZED (
        SELECT indrelid, indkey::text AS columns FROM pg_index WHERE indisvalid AND indislive
        GROUP BY 1, 2 HAVING count(*) > 1
    ), alike AS MATERIALIZED (
        SELECT i.*, {nulls} AS nulls_are_equal, c.relname, c.relnamespace, c.relkind, c.relpages,
               count(*) OVER (PARTITION BY i.indrelid, i.indkey::text, i.indclass::text, i.indcollation::text,
                                           i.indoption::text, i.indnkeyatts, i.indisexclusion,
                                           i.indexprs IS NULL, i.indpred IS NULL) AS many
        FROM twice t JOIN pg_index i ON i.indrelid = t.indrelid AND i.indkey::text = t.columns
        JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE i.indisvalid AND i.indislive AND NOT c.relispartition AND c.relpersistence <> 't'
          AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
    ), described AS MATERIALIZED (
        SELECT a.*, k.conname,
               CASE WHEN a.indexprs IS NULL AND a.indpred IS NULL THEN ''
                    WHEN a.indrelid NOT IN (SELECT relation FROM locked) THEN
                   coalesce(pg_get_expr(a.indexprs, a.indrelid), '') || ' WHERE '
                       || coalesce(pg_get_expr(a.indpred, a.indrelid), '') END AS expressions
        FROM alike a LEFT JOIN pg_constraint k ON k.conindid = a.indexrelid AND k.contype IN ('p', 'u', 'x')
        WHERE a.many > 1
    ), numbered AS (
        SELECT t.*, first_value(indexrelid) OVER same AS kept, first_value(indisunique) OVER same AS kept_unique,
               first_value(indimmediate) OVER same AS kept_immediate,
               first_value(nulls_are_equal) OVER same AS kept_nulls
        FROM described t WHERE expressions IS NOT NULL
        WINDOW same AS (PARTITION BY indrelid, indkey::text, indclass::text, indcollation::text, indoption::text,
                                     indnkeyatts, indisexclusion, expressions
                        ORDER BY indisunique DESC, indisprimary DESC, conname IS NOT NULL DESC, indisreplident DESC,
                                 indisclustered DESC, indexrelid)
    ), superfluous AS (
        SELECT * FROM numbered WHERE indexrelid <> kept AND NOT indisreplident
          AND (NOT indisunique OR (indimmediate = kept_immediate AND nulls_are_equal = kept_nulls))
        ORDER BY relpages DESC, indexrelid LIMIT %(most)s
    )
    SELECT current_database()::text AS database, {count},
           (SELECT count(*) FROM numbered WHERE indexrelid <> kept AND NOT indisreplident
            AND (NOT indisunique OR (indimmediate = kept_immediate AND nulls_are_equal = kept_nulls))) AS total,
           (SELECT coalesce(json_agg(f ORDER BY f.bytes DESC, f.sql_name), '[]') FROM (
               SELECT n.nspname::text AS schema, s.relname::text AS name,
                      format('%%I.%%I', n.nspname, s.relname) AS sql_name,
                      format('%%I.%%I', tn.nspname, t.relname) AS "table", tn.nspname::text AS table_schema,
                      t.relname::text AS table_name, format('%%I.%%I', kn.nspname, k.relname) AS same_as,
                      coalesce(s.conname::text, '') AS constraint, s.relkind = 'I' AS partitioned,
                      {bytes} AS bytes
               FROM superfluous s JOIN pg_class x ON x.oid = s.indexrelid JOIN pg_namespace n ON n.oid = s.relnamespace
               JOIN pg_class t ON t.oid = s.indrelid JOIN pg_namespace tn ON tn.oid = t.relnamespace
               JOIN pg_class k ON k.oid = s.kept JOIN pg_namespace kn ON kn.oid = k.relnamespace) AS f) AS found
"""
_DUPLICATES_BY_VERSION = Versions(
    {
        12: _DUPLICATES.format(locked=LOCKED, count=_COUNT, bytes=_BYTES_IN_ALL, nulls="false"),
        15: _DUPLICATES.format(locked=LOCKED, count=_COUNT, bytes=_BYTES_IN_ALL, nulls="i.indnullsnotdistinct"),
    }
)
read_duplicate_indexes = reading(_DUPLICATES_BY_VERSION, most=_NAMED)


# Unique indexes, replica identities and indexes that support foreign keys are needed even without scans. The indexes of
# partitions count as one.
_UNUSED = """
    WITH RECURSIVE {locked}, since AS MATERIALIZED (
        SELECT b.counted_since, clock_timestamp() AS clock,
               coalesce(extract(epoch FROM clock_timestamp() - b.counted_since) >= %(unused_for_s)s, true)
                   AND current_setting('track_counts')::bool AS is_enough
        FROM (SELECT {counted_since} AS counted_since) AS b
    ), candidates AS MATERIALIZED (
        SELECT i.indexrelid, i.indrelid, i.indkey, c.relname, c.relnamespace, c.relkind, c.relpages
        FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE (SELECT is_enough FROM since) AND i.indisvalid AND NOT i.indisunique AND NOT i.indisexclusion
          AND NOT i.indisreplident AND NOT c.relispartition AND c.relpersistence <> 't'
          AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
          AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid AND k.contype IN ('p', 'u', 'x'))
    ), leaves (root, oid) AS (
        SELECT indexrelid, indexrelid FROM candidates WHERE relkind = 'I'
        UNION ALL
        SELECT l.root, h.inhrelid FROM leaves l JOIN pg_inherits h ON h.inhparent = l.oid
    ), used AS MATERIALIZED (
        SELECT indexrelid AS root, pg_stat_get_numscans(indexrelid) AS scans, {last_scan_of_one} AS last_scan,
               relpages::int8 AS pages
        FROM candidates WHERE relkind = 'i'
        UNION ALL
        SELECT l.root, sum(pg_stat_get_numscans(l.oid))::int8, {last_scan_of_all}, sum(c.relpages)
        FROM leaves l JOIN pg_class c ON c.oid = l.oid GROUP BY l.root
    ), unused AS MATERIALIZED (
        SELECT c.*, u.scans, u.last_scan, u.pages
        FROM candidates c JOIN used u ON u.root = c.indexrelid CROSS JOIN since s
        WHERE (u.scans = 0 OR extract(epoch FROM s.clock - u.last_scan) >= %(unused_for_s)s)
          AND NOT EXISTS (
              SELECT FROM pg_constraint k WHERE k.conrelid = c.indrelid AND k.contype = 'f'
                AND (c.indkey::int2[])[0:cardinality(k.conkey) - 1] @> k.conkey)
    )
    SELECT current_database()::text AS database, {count}, (SELECT count(*) FROM unused) AS total,
           s.counted_since, s.clock, current_setting('track_counts')::bool AS counts, pg_is_in_recovery() AS standby,
           (SELECT count(*) FROM pg_stat_get_wal_senders()
            WHERE coalesce(state, 'streaming') = 'streaming') AS standbys,
           (SELECT coalesce(json_agg(f ORDER BY f.bytes DESC, f.sql_name), '[]') FROM (
               SELECT n.nspname::text AS schema, u.relname::text AS name,
                      format('%%I.%%I', n.nspname, u.relname) AS sql_name,
                      format('%%I.%%I', tn.nspname, t.relname) AS "table", u.scans, u.last_scan,
                      u.relkind = 'I' AS partitioned,
                      {bytes} AS bytes
               FROM (SELECT * FROM unused ORDER BY pages DESC, indexrelid LIMIT %(most)s) AS u
               JOIN pg_class x ON x.oid = u.indexrelid
               JOIN pg_namespace n ON n.oid = u.relnamespace
               JOIN pg_class t ON t.oid = u.indrelid JOIN pg_namespace tn ON tn.oid = t.relnamespace) AS f) AS found
    FROM since s
"""
_NO_TIME = "NULL::timestamptz"
_UNUSED_PARTS = {"locked": LOCKED, "count": _COUNT, "bytes": _BYTES_IN_ALL, "counted_since": COUNTED_SINCE}
_UNUSED_BY_VERSION = Versions(
    {
        12: _UNUSED.format(**_UNUSED_PARTS, last_scan_of_one=_NO_TIME, last_scan_of_all=_NO_TIME),
        16: _UNUSED.format(
            **_UNUSED_PARTS,
            last_scan_of_one="pg_stat_get_lastscan(indexrelid)",
            last_scan_of_all="max(pg_stat_get_lastscan(l.oid))",
        ),
    }
)
read_unused_indexes = reading(_UNUSED_BY_VERSION, most=_NAMED)
