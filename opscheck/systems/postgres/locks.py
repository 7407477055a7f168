"""postgres.locks: sessions that wait for locks, and the sessions that block them."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

import msgspec

from opscheck.core.field_types import ShareUsed
from opscheck.core.query import Query
from opscheck.core.remedy import Former, Remedy
from opscheck.core.units import Count, Duration, Graded
from opscheck.systems.postgres.databases import psql_command
from opscheck.systems.postgres.server import READ_SESSIONS, InServer, ServerQuery
from opscheck.systems.postgres.sessions import Session


class Waiter(msgspec.Struct, frozen=True, kw_only=True):
    """A process that waits for a lock."""

    pid: int
    leader_pid: int | None = None
    """Of a parallel worker: the process whose query waits."""
    since: datetime | None
    """The start of the wait; None when it has only just begun."""
    is_exact: bool
    """False before PostgreSQL 14, which does not show the start: `since` is then the start of its query."""
    mode: str
    locktype: str
    relation: str | None = None
    """The table, for a lock on a table or in one."""
    blockers: tuple[int, ...]
    """The processes that block it; 0 is a prepared transaction."""
    prepared: tuple[str, ...] = ()
    """The prepared transactions that block it."""


class PreparedTransaction(msgspec.Struct, frozen=True, kw_only=True):
    """A transaction before its COMMIT PREPARED; it survives sessions and restarts."""

    gid: str
    prepared: datetime
    owner: str
    database: str


class LockHolder(msgspec.Struct, frozen=True, kw_only=True):
    """A process with entries in the shared lock table."""

    pid: int | None
    """None for all prepared transactions together."""
    locks: int


class LockTable(msgspec.Struct, frozen=True, kw_only=True):
    """
    The shared lock table, without fast-path locks.

    It has one slot per locked object, and two per pair of an object and a process that holds or awaits it.
    """

    objects: int
    pairs: int
    max_locks_per_transaction: int
    max_connections: int
    max_prepared_transactions: int
    largest: tuple[LockHolder, ...] = ()
    """The largest first."""

    @property
    def places(self) -> int:
        """Maximum number of locked objects."""
        return self.max_locks_per_transaction * (self.max_connections + self.max_prepared_transactions)


class LocksAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Waiting sessions, prepared transactions, and the use of the lock table."""

    at: datetime
    """The server's clock."""
    waiters: tuple[Waiter, ...]
    """The longest waits, the longest first."""
    waiting: int
    """Number of all waiting sessions."""
    sessions: tuple[Session, ...]
    """The waiters, their blockers, and the largest holders of locks."""
    prepared: tuple[PreparedTransaction, ...]
    """The oldest ones, the oldest first."""
    prepared_total: int
    table: LockTable


@dataclass(frozen=True)
class Locks(ServerQuery[LocksAnswer], name="postgres.locks"):
    what = "waits for locks and their blockers, prepared transactions, and the use of the lock table"
    needs = (READ_SESSIONS,)


SHOW_WAITS = Remedy(
    "Find the session that blocks the others",
    'echo "select pid, pg_blocking_pids(pid) as waits_for, application_name, usename, datname, '
    "clock_timestamp() - state_change as at_most, pid = :waiter as waits_longest from pg_stat_activity "
    "where wait_event_type = 'Lock' order by 6 desc\" | psql {{ dsn }} -v waiter={{ waiter }}",
)
# Each verifies the state again: the session may have moved on, and the pid may belong to another one.
CANCEL = Remedy(
    "Cancel the query at the root, not the ones that wait behind it",
    "echo \"select pg_cancel_backend(pid) from pg_stat_activity where pid = :pid and state = 'active'\" "
    "| psql {{ dsn }} -v pid={{ pid }}  # as a superuser",
)
TERMINATE = Remedy(
    "End the idle session at the root, not the ones that wait behind it",
    "echo \"select pg_terminate_backend(pid) from pg_stat_activity where pid = :pid and state like 'idle%'\" "
    "| psql {{ dsn }} -v pid={{ pid }}  # as a superuser",
)
SET_IDLE_TIMEOUT = Remedy(
    "Set an idle_in_transaction_session_timeout for its role, so that the server ends the next one",
    'echo "alter role :\\"role\\" set idle_in_transaction_session_timeout = \'5min\'" '
    "| psql {{ dsn }} -v role={{ role }}  # as a superuser; applies to its next sessions",
)
# It must run in the database where it was prepared.
ROLL_BACK = Remedy(
    "End the prepared transaction",
    psql_command("\"rollback prepared :'gid'\"", "gid") + "  # as its owner; or commit prepared",
)
LOCK_TIMEOUT = Remedy(
    "Use a short lock_timeout for schema changes, so that a blocked change gives up before others queue behind it"
)
SHOW_LOCKS = Remedy(
    "Find out why this session holds the most locks",
    'echo "select locktype, mode, database, count(*) from pg_locks where pid = :pid and not fastpath '
    'group by 1, 2, 3 order by 4 desc" | psql {{ dsn }} -v pid={{ pid }}',
)
RAISE_MAX_LOCKS = Remedy(
    "Raise max_locks_per_transaction",
    "echo \"alter system set max_locks_per_transaction = :'locks'\" "
    "| psql {{ dsn }} -v locks={{ max_locks_per_transaction }}  # as a superuser; applies after a restart",
)


class PostgresLocks(InServer, check="postgres.locks"):
    """
    No session waits long for a lock.

    A finding names the session at the root of a chain of waiting sessions, not the direct blocker, which may wait too.
    PostgreSQL reports the time of a wait from 14 on; before that, the duration of the query is its upper bound.
    """

    any_limit_of = ("waiting", "waiters", "lock_table", "prepared")
    remedies = (SHOW_WAITS, CANCEL, TERMINATE, SET_IDLE_TIMEOUT, ROLL_BACK, LOCK_TIMEOUT, SHOW_LOCKS, RAISE_MAX_LOCKS)
    fact_names: ClassVar = {
        "pid": "the process that blocks the others, or that holds the most locks; missing if there are several",
        "role": "the role of the process that blocks the others",
        "waiter": "the process with the longest wait",
        "gid": "the name of a prepared transaction",
        "database": "the database of the prepared transaction",
        "max_locks_per_transaction": "twice the server's current setting",
    }
    former_fact_names: ClassVar = {
        "blocker": Former("pid", SHOW_WAITS),
        "running_blocker": Former("pid", CANCEL),
        "idle_blocker": Former("pid", TERMINATE),
        "lock_holder": Former("pid", SHOW_LOCKS),
        "idle_role": Former("role", SET_IDLE_TIMEOUT),
        "gid_database": Former("database", ROLL_BACK),
        "more_locks": Former("max_locks_per_transaction", RAISE_MAX_LOCKS),
    }

    waiting: Graded[Duration] | None = None
    """Maximum time that a session waits for a lock."""
    waiters: Graded[Count] | None = None
    """Maximum number of sessions that wait behind the same one."""
    lock_table: ShareUsed | None = None
    """Maximum share of the shared lock table in use; when it is full, statements fail."""
    prepared: Graded[Duration] | None = None
    """Maximum age of a prepared transaction. It keeps its locks and holds back vacuum, even after a restart."""

    def queries(self) -> Iterable[Query[Any]]:
        return (self.locks,)

    @property
    def locks(self) -> Locks:
        return Locks(self.target.name)
