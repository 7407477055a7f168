"""Reads the sessions that wait for locks."""

from collections.abc import Iterator, Sequence

import msgspec

from opscheck.systems.postgres.locks import Locks, LocksAnswer
from opscheck.systems.postgres.probe.activity import sessions_of
from opscheck.systems.postgres.probe.libpq import Connection
from opscheck.systems.postgres.probe.statements import Row, Versions, counted, one_row, rows

_MOST_WAITERS, _MOST_PREPARED, _MOST_HOLDERS = 200, 50, 5

# pg_blocking_pids blocks all lock operations for a moment: it is called for waiting processes only.
# It returns 0 for a prepared transaction; the lock on the same object identifies it. The name of a table can only be
# read in its own database: in another one its oid belongs to another table.
_WAITERS = """
    WITH locks AS MATERIALIZED (SELECT * FROM pg_locks),
    prepared AS MATERIALIZED (
        SELECT p.gid, l.* FROM pg_prepared_xacts p
        JOIN locks own ON own.locktype = 'transactionid' AND own.transactionid = p.transaction AND own.pid IS NULL
        JOIN locks l ON l.virtualtransaction = own.virtualtransaction AND l.pid IS NULL AND l.granted
        WHERE own.granted
    ),
    waiting AS MATERIALIZED (
        SELECT l.*, {since} AS since, {leader_pid}::int AS leader_pid, count(*) OVER ()::int AS total
        FROM locks l LEFT JOIN pg_stat_activity a USING (pid)
        WHERE NOT l.granted AND l.pid <> pg_backend_pid()
        ORDER BY since NULLS LAST, pid LIMIT %(most)s
    )
    SELECT pid, leader_pid, since, {is_exact} AS is_exact, mode, locktype, total,
           CASE WHEN database IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
                THEN relation::regclass::text END AS relation,
           pg_blocking_pids(pid) AS blockers,
           ARRAY(SELECT DISTINCT p.gid FROM prepared p WHERE
                 (p.locktype, p.database, p.relation, p.page, p.tuple, p.virtualxid, p.transactionid,
                  p.classid, p.objid, p.objsubid) IS NOT DISTINCT FROM
                 (w.locktype, w.database, w.relation, w.page, w.tuple, w.virtualxid, w.transactionid,
                  w.classid, w.objid, w.objsubid) ORDER BY 1) AS prepared
    FROM waiting w ORDER BY since NULLS LAST, pid
"""
_WAITERS_BY_VERSION = Versions(
    {
        12: _WAITERS.format(since="a.query_start", is_exact="false", leader_pid="NULL"),
        13: _WAITERS.format(since="a.query_start", is_exact="false", leader_pid="a.leader_pid"),
        14: _WAITERS.format(since="l.waitstart", is_exact="true", leader_pid="a.leader_pid"),
    }
)
_PREPARED = """
    SELECT gid, prepared, owner::text AS owner, database::text AS database, count(*) OVER ()::int AS total
    FROM pg_prepared_xacts ORDER BY prepared, gid LIMIT %(most)s
"""
# Predicate locks (SIReadLock) have a table of their own.
_TABLE = """
    WITH shared AS MATERIALIZED (
        SELECT pid, virtualtransaction, concat_ws('/', locktype, database, relation, page, tuple, virtualxid,
                                                  transactionid, classid, objid, objsubid) AS object
        FROM pg_locks WHERE NOT fastpath AND mode <> 'SIReadLock'
    )
    SELECT clock_timestamp() AS at, count(DISTINCT object)::int AS objects,
           count(DISTINCT concat_ws(' ', object, pid, virtualtransaction))::int AS pairs,
           current_setting('max_locks_per_transaction')::int AS max_locks_per_transaction,
           current_setting('max_connections')::int AS max_connections,
           current_setting('max_prepared_transactions')::int AS max_prepared_transactions,
           (SELECT coalesce(json_agg(h), '[]') FROM (
               SELECT pid, count(*) AS locks FROM shared GROUP BY pid ORDER BY 2 DESC, 1 LIMIT %(most)s) h) AS largest
    FROM shared
"""


def read_locks(connection: Connection, query: Locks) -> LocksAnswer:  # noqa: ARG001 - as every reader
    waiters = rows(connection, _WAITERS_BY_VERSION, {"most": _MOST_WAITERS})
    prepared = rows(connection, _PREPARED, {"most": _MOST_PREPARED})
    # Read last: no wait may seem to begin in the future.
    table = one_row(connection, _TABLE, {"most": _MOST_HOLDERS})
    answer = {
        "at": table["at"],
        "waiters": waiters,
        "waiting": counted(waiters),
        "sessions": sessions_of(connection, _pids(waiters, table["largest"])),
        "prepared": prepared,
        "prepared_total": counted(prepared),
        "table": table,
    }
    return msgspec.convert(answer, LocksAnswer)


def _pids(waiters: Sequence[Row], holders: Sequence[Row]) -> Iterator[int]:
    for waiter in waiters:
        yield from {waiter["pid"], waiter["leader_pid"] or waiter["pid"], *waiter["blockers"]}
    yield from (holder["pid"] for holder in holders if holder["pid"] is not None)
