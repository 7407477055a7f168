"""Reads the replication and the slots of a server."""

from time import monotonic

import msgspec

from opscheck.systems.postgres.probe.libpq import Connection
from opscheck.systems.postgres.probe.statements import Row, Versions, one_row, rows
from opscheck.systems.postgres.replication import ReadReplication, ReadSlots, Replication, Slots

# The end of this server's WAL. A standby's receive position may be behind the position that it replayed from an
# archive; greatest() ignores NULL.
_END = """
    CASE WHEN pg_is_in_recovery() THEN greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())
         ELSE pg_current_wal_lsn() END
"""

# max_wal_senders and max_replication_slots limit the lists. A logical sender always has a slot. A client that never
# replays (pg_receivewal) counts by its flush position.
_SENDERS = f"""
    WITH here AS MATERIALIZED (SELECT {_END} AS wal_end)
    SELECT s.pid, coalesce(s.application_name, '') AS application, coalesce(host(s.client_addr), '') AS client,
           coalesce(s.state, '') AS state, coalesce(s.sync_state, '') AS sync_state,
           l.slot_name::text AS slot, coalesce(l.slot_type = 'logical', false) AS logical,
           pg_wal_lsn_diff(wal_end, s.sent_lsn)::int8 AS unsent_bytes,
           pg_wal_lsn_diff(wal_end, s.flush_lsn)::int8 AS unflushed_bytes,
           pg_wal_lsn_diff(wal_end, coalesce(s.replay_lsn, s.flush_lsn))::int8 AS behind_bytes,
           extract(epoch FROM CASE WHEN s.replay_lsn IS NULL THEN s.flush_lag ELSE s.replay_lag END)::float8 AS lag_s,
           extract(epoch FROM s.flush_lag)::float8 AS flush_lag_s,
           extract(epoch FROM clock_timestamp() - s.reply_time)::float8 AS silent_s,
           wal_end::text AS wal_end
    FROM here, pg_stat_replication s LEFT JOIN pg_replication_slots l ON l.active_pid = s.pid
    ORDER BY s.application_name, s.pid
"""  # noqa: S608 -- of this module
_REACHED = """
    SELECT coalesce((SELECT coalesce(replay_lsn, flush_lsn) >= %(wal_end)s::pg_lsn FROM pg_stat_replication
                     WHERE pid = %(pid)s), false) AS caught_up
"""

# Positions come from functions, because the columns have different names in each version.
_RECEIVER = """
    SELECT status, extract(epoch FROM clock_timestamp() - last_msg_receipt_time)::float8 AS silent_s,
           concat_ws(':', sender_host, sender_port) AS sender,
           pg_wal_lsn_diff(latest_end_lsn, pg_last_wal_replay_lsn())::int8 AS sent_bytes
    FROM pg_stat_wal_receiver
"""

_TIMEOUTS = """
    (SELECT setting::float8 / 1000 FROM pg_settings WHERE name = 'recovery_min_apply_delay') AS delay_s,
    (SELECT setting::float8 / 1000 FROM pg_settings WHERE name = 'wal_receiver_timeout') AS receiver_timeout_s,
    (SELECT setting <> '' FROM pg_settings WHERE name = 'primary_conninfo') AS follows
"""
_PLACES = """
    SELECT pg_last_wal_receive_lsn()::text AS received, pg_last_wal_replay_lsn()::text AS replayed,
           greatest(0, pg_wal_lsn_diff(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()))::int8 AS unreplayed_bytes,
           extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp())::float8 AS replayed_age_s,
"""
_REPLAY = Versions(
    {
        12: f"""
    {_PLACES} CASE WHEN pg_is_wal_replay_paused() THEN 'paused' ELSE 'not paused' END AS pause, {_TIMEOUTS}
""",
        14: f"{_PLACES} pg_get_wal_replay_pause_state() AS pause, {_TIMEOUTS}",
    }
)
# The received WAL, and the end that the sender reported: on a slow connection all received WAL may be replayed.
_REACHABLE = """
    SELECT greatest(pg_last_wal_receive_lsn(), (SELECT latest_end_lsn FROM pg_stat_wal_receiver))::text AS wal_end
"""
_REPLAYED = "SELECT coalesce(pg_last_wal_replay_lsn() >= %(wal_end)s::pg_lsn, false) AS caught_up"

_SERVER = """
    SELECT pg_is_in_recovery() AS standby,
           (SELECT setting::float8 / 1000 FROM pg_settings WHERE name = 'wal_sender_timeout') AS sender_timeout_s
"""

# Time to watch a standby that is behind. Just after a commit every standby is behind, and the age of its last
# transaction is the age of the previous commit: hours, on a quiet server.
_WATCHED_S, _STEP_S = 0.5, 0.1


def read_replication(connection: Connection, query: ReadReplication) -> Replication:  # noqa: ARG001 - as every reader
    server = one_row(connection, _SERVER)
    senders = rows(connection, _SENDERS)
    replay = one_row(connection, _REPLAY) | one_row(connection, _REACHABLE) if server["standby"] else None
    _watch(connection, [*senders, *([replay] if replay else [])])
    receivers = rows(connection, _RECEIVER) if server["standby"] else []
    receiver = receivers[0] if receivers else None
    return msgspec.convert(server | {"senders": senders, "receiver": receiver, "replay": replay}, Replication)


def _watch(connection: Connection, followers: list[Row]) -> None:
    """Set the time after which each has replayed the WAL of the first look, up to half a second."""
    began, elapsed = monotonic(), 0.0
    behind = [row for row in followers if row["wal_end"] is not None]
    while True:
        behind = [
            row for row in behind if not one_row(connection, _REACHED if "pid" in row else _REPLAYED, row)["caught_up"]
        ]
        for row in followers:
            if row not in behind and row["wal_end"] is not None:
                row.setdefault("caught_up_s", elapsed)
        if not behind or elapsed > _WATCHED_S:
            return
        connection.execute("SELECT pg_sleep(%s)", (_STEP_S,))
        elapsed = monotonic() - began


_SLOT = f"""
    SELECT slot_name::text AS name, slot_type = 'logical' AS logical, temporary, active,
           restart_lsn::text AS restart_lsn,
           pg_wal_lsn_diff({_END}, restart_lsn)::int8 AS retained_bytes,
"""
_FROM = "FROM pg_replication_slots ORDER BY slot_name"
_LIMITED = "wal_status, safe_wal_size AS safe_bytes"
_SLOTS = Versions(
    {
        12: f"""
    {_SLOT} NULL AS wal_status, NULL::int8 AS safe_bytes, false AS synced, NULL AS invalid,
           NULL::timestamptz AS inactive_since {_FROM}
""",
        13: f"{_SLOT} {_LIMITED}, false AS synced, NULL AS invalid, NULL::timestamptz AS inactive_since {_FROM}",
        16: f"""
    {_SLOT} {_LIMITED}, false AS synced, CASE WHEN conflicting THEN 'conflict' END AS invalid,
           NULL::timestamptz AS inactive_since {_FROM}
""",
        17: f"{_SLOT} {_LIMITED}, synced, invalidation_reason AS invalid, inactive_since {_FROM}",
    }
)
_KEPT = """
    SELECT (SELECT system_identifier FROM pg_control_system()) || '/' ||
           (SELECT timeline_id FROM pg_control_checkpoint()) AS epoch,
           clock_timestamp() AS taken_at,
           (SELECT setting::int8 * 1024 * 1024 FROM pg_settings
            WHERE name = 'max_slot_wal_keep_size' AND setting::int8 >= 0) AS keep_bytes
"""


def read_slots(connection: Connection, query: ReadSlots) -> Slots:  # noqa: ARG001 - as every reader
    return msgspec.convert(one_row(connection, _KEPT) | {"slots": rows(connection, _SLOTS)}, Slots)
