"""Reads how a server archives its WAL."""

from opscheck.systems.postgres.probe.statements import Versions, reading

# archive_command may hold a secret, so it is evaluated on the server. `archive_library` came with 15.
# pg_walfile_name_offset cannot be called on a standby; the place in a segment is the remainder.
_ARCHIVING = Versions(
    {
        12: r"""
    WITH ready AS MATERIALIZED (
        SELECT name, modification FROM pg_ls_archive_statusdir() WHERE name LIKE '%%.ready'
    )
    SELECT pg_is_in_recovery() AS standby,
           current_setting('archive_mode') AS archive_mode,
           coalesce(nullif(current_setting('archive_library', true), ''), current_setting('archive_command')) <> ''
               AS has_command,
           coalesce(current_setting('archive_library', true), '') = ''
               AND current_setting('archive_command') ~ '^\s*((/usr)?/bin/)?(true|:|exit 0)\s*;?\s*$' AS discards,
           (SELECT setting::float8 FROM pg_settings WHERE name = 'archive_timeout') AS archive_timeout_s,
           clock_timestamp() AS taken_at,
           archived_count, failed_count,
           last_archived_wal, last_archived_time AS last_archived_at,
           last_failed_wal, last_failed_time AS last_failed_at,
           stats_reset AS counting_since,
           CASE WHEN pg_is_in_recovery() THEN 0 ELSE
               mod(pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0'),
                   (SELECT setting::numeric FROM pg_settings WHERE name = 'wal_segment_size'))::int8
           END AS unfinished_bytes,
           (SELECT count(*) FROM ready) AS waiting,
           (SELECT name FROM ready ORDER BY modification, name LIMIT 1) AS oldest_waiting,
           (SELECT min(modification) FROM ready) AS oldest_waiting_since
    FROM pg_stat_archiver
"""
    }
)
read_archiver = reading(_ARCHIVING)
