"""Reads the sessions of a server."""

from collections.abc import Iterable

import msgspec

from opscheck.systems.postgres.activity import Activity, ActivityAnswer
from opscheck.systems.postgres.probe.libpq import Connection
from opscheck.systems.postgres.probe.query_text import masked
from opscheck.systems.postgres.probe.statements import Row, Versions, counted, one_row, rows
from opscheck.systems.postgres.sessions import Session

_MOST_SESSIONS = 1000

_SERVER = """
    SELECT clock_timestamp() AS at, current_setting('server_version_num')::int AS server_version,
           (SELECT coalesce(array_agg(DISTINCT coalesce(usename::text, '')), '{}') FROM pg_stat_activity
            WHERE backend_type = 'client backend' AND state = 'disabled' AND pid <> pg_backend_pid()) AS silent,
           current_setting('synchronous_standby_names') AS synchronous_standby_names,
           (SELECT count(*) FROM pg_stat_replication WHERE sync_state IN ('sync', 'quorum'))::int
               AS synchronous_standbys
"""
_COLUMNS = """a.pid, coalesce(backend_type, '') AS kind, {leader_pid}::int AS leader_pid,
           coalesce(application_name, '') AS application, coalesce(usename::text, '') AS role,
           coalesce(datname::text, '') AS database, coalesce(host(client_addr), '') AS client,
           coalesce(state, '') AS state, coalesce(query, '') AS query,
           coalesce(wait_event_type || ': ' || wait_event, '') AS wait, query_start, xact_start, state_change"""
# Both a snapshot (xmin) and a transaction that has written (xid) hold back vacuum.
# opscheck's connections to other databases are its own as well.
_SESSIONS = """
    WITH held AS MATERIALIZED (
        SELECT pid, count(*) AS locks FROM pg_locks
        WHERE granted AND locktype NOT IN ('virtualxid', 'transactionid') AND mode <> 'SIReadLock' GROUP BY pid
    )
    SELECT {columns}, greatest(age(backend_xmin), age(backend_xid))::int AS xmin_age,
           coalesce(locks, 0)::int AS locks, count(*) OVER ()::int AS total
    FROM pg_stat_activity a LEFT JOIN held USING (pid)
    WHERE backend_type IN ('client backend', 'parallel worker') AND pid <> pg_backend_pid()
      AND NOT (application_name = 'opscheck' AND usename = current_user)
      AND (xact_start IS NOT NULL OR state IN ('active', 'fastpath function call')
           OR state LIKE 'idle in transaction%%')
    ORDER BY least(xact_start, query_start), pid LIMIT %(most)s
"""
_THESE = "SELECT {columns} FROM pg_stat_activity a WHERE pid = ANY (%(pids)s) ORDER BY pid"


def _by_version(statement: str) -> Versions:
    columns = {12: _COLUMNS.format(leader_pid="NULL"), 13: _COLUMNS.format(leader_pid="a.leader_pid")}
    return Versions({major: statement.format(columns=text) for major, text in columns.items()})


_SESSIONS_BY_VERSION, _THESE_BY_VERSION = _by_version(_SESSIONS), _by_version(_THESE)


def sessions_of(connection: Connection, pids: Iterable[int]) -> tuple[Session, ...]:
    """The sessions of these processes that still exist."""
    return tuple(map(_session, rows(connection, _THESE_BY_VERSION, {"pids": sorted(set(pids))})))


def read_activity(connection: Connection, query: Activity) -> ActivityAnswer:  # noqa: ARG001 - as every reader
    sessions = rows(connection, _SESSIONS_BY_VERSION, {"most": _MOST_SESSIONS})
    # Read last: no session may seem to have begun in the future.
    server = one_row(connection, _SERVER)
    found = {"sessions": tuple(map(_session, sessions)), "total": counted(sessions)}
    return msgspec.convert(server | found, ActivityAnswer)


def _session(row: Row) -> Session:
    return msgspec.convert(row | {"query": masked(row["query"])}, Session)
