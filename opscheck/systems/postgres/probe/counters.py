"""Parts of statements about what a server counts, and about what cannot be asked without waiting."""

COUNTED_SINCE = """(
        SELECT greatest(d.stats_reset, least(w.stats_reset, a.stats_reset))
        FROM pg_stat_bgwriter w, pg_stat_archiver a,
             (SELECT max(stats_reset) AS stats_reset FROM pg_stat_database WHERE datname = current_database()) AS d
    )"""
"""
Since when the counters of this database count: a time, or NULL.

A person resets them by database. A crash forgets them without a word, but it resets all that the cluster has in
common too, of which a person resets one at a time: hence the earlier of two.
"""

LOCKED = """locked AS MATERIALIZED (
        SELECT relation FROM pg_locks WHERE locktype = 'relation' AND mode = 'AccessExclusiveLock'
    )"""
"""The relations that somebody has for himself, or waits to have: to ask for their size would be to wait as well."""
