"""postgres.locks: who waits for locks, and for whom."""

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
    """Of a parallel worker: whose query waits."""
    since: datetime | None
    """Since when; None when it has only just begun to."""
    is_exact: bool
    """False before PostgreSQL 14, which does not show it: `since` is then when its query began."""
    mode: str
    locktype: str
    relation: str | None = None
    """The table, where the lock is of a table or in one."""
    blockers: tuple[int, ...]
    """Whom it waits for; 0 stands for a prepared transaction."""
    prepared: tuple[str, ...] = ()
    """The prepared transactions that hold what it waits for."""


class PreparedTransaction(msgspec.Struct, frozen=True, kw_only=True):
    """A transaction that waits for its COMMIT PREPARED; it outlives sessions and restarts."""

    gid: str
    prepared: datetime
    owner: str
    database: str


class LockHolder(msgspec.Struct, frozen=True, kw_only=True):
    """Who has entries in the shared lock table."""

    pid: int | None
    """None for the prepared transactions together."""
    locks: int


class LockTable(msgspec.Struct, frozen=True, kw_only=True):
    """
    The shared lock table. Locks taken on the fast path are not in it.

    It has a place per locked object, and two per pair of an object and who holds or awaits it.
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
        """How many objects can be locked."""
        return self.max_locks_per_transaction * (self.max_connections + self.max_prepared_transactions)


class LocksAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Who waits for whom, what is prepared, and how full the lock table is."""

    at: datetime
    """The server's clock."""
    waiters: tuple[Waiter, ...]
    """Those that wait longest, the longest first."""
    waiting: int
    """How many wait in all."""
    sessions: tuple[Session, ...]
    """The waiters, whom they wait for, and the largest holders of locks."""
    prepared: tuple[PreparedTransaction, ...]
    """The oldest, the oldest first."""
    prepared_total: int
    table: LockTable


@dataclass(frozen=True)
class Locks(ServerQuery[LocksAnswer], name="postgres.locks"):
    what = "who waits for locks and for whom, the prepared transactions, and how full the lock table is"
    needs = (READ_SESSIONS,)


SHOW_WAITS = Remedy(
    "Find out who waits for whom",
    'echo "select pid, pg_blocking_pids(pid) as waits_for, application_name, usename, datname, '
    "clock_timestamp() - state_change as at_most, pid = :waiter as waits_longest from pg_stat_activity "
    "where wait_event_type = 'Lock' order by 6 desc\" | psql {{ dsn }} -v waiter={{ waiter }}",
)
# Each looks again: the session may have moved on, and the pid may be another's by now.
CANCEL = Remedy(
    "Cancel the query at the root, not those that wait behind it",
    "echo \"select pg_cancel_backend(pid) from pg_stat_activity where pid = :pid and state = 'active'\" "
    "| psql {{ dsn }} -v pid={{ pid }}",
)
TERMINATE = Remedy(
    "End the idle session at the root, not those that wait behind it",
    "echo \"select pg_terminate_backend(pid) from pg_stat_activity where pid = :pid and state like 'idle%'\" "
    "| psql {{ dsn }} -v pid={{ pid }}",
)
SET_IDLE_TIMEOUT = Remedy(
    "Set its role a limit on idle transactions, so that the server ends the next one",
    'echo "alter role :\\"role\\" set idle_in_transaction_session_timeout = \'5min\'" '
    "| psql {{ dsn }} -v role={{ role }}  # for its next sessions",
)
# It must run in the database where it was prepared.
ROLL_BACK = Remedy(
    "End the prepared transaction",
    psql_command("\"rollback prepared :'gid'\"", "gid") + "  # or commit prepared: what its application meant",
)
LOCK_TIMEOUT = Remedy(
    "Change tables with a short lock_timeout, so that a change that has to wait gives up before others queue behind it"
)
SHOW_LOCKS = Remedy(
    "Find out why the session with the most locks needs them",
    'echo "select locktype, mode, database, count(*) from pg_locks where pid = :pid and not fastpath '
    'group by 1, 2, 3 order by 4 desc" | psql {{ dsn }} -v pid={{ pid }}',
)
RAISE_MAX_LOCKS = Remedy(
    "Raise max_locks_per_transaction",
    "echo \"alter system set max_locks_per_transaction = :'locks'\" "
    "| psql {{ dsn }} -v locks={{ max_locks_per_transaction }}  # read at the server's next start",
)


class PostgresLocks(InServer, check="postgres.locks"):
    """
    No session waits long for a lock.

    A finding names who is at the root of a chain of waiting sessions, and not the one in front, who waits too. How long
    a session has waited PostgreSQL tells from 14 on; before it, its query's time is the most that it can be.
    """

    any_limit_of = ("waiting", "waiters", "lock_table", "prepared")
    remedies = (SHOW_WAITS, CANCEL, TERMINATE, SET_IDLE_TIMEOUT, ROLL_BACK, LOCK_TIMEOUT, SHOW_LOCKS, RAISE_MAX_LOCKS)
    fact_names: ClassVar = {
        "pid": "the process that the others wait for, or that holds the most locks; missing when there are several",
        "role": "the role of the process that the others wait for",
        "waiter": "the process that has waited longest",
        "gid": "the name of a prepared transaction",
        "database": "the database where it was prepared",
        "max_locks_per_transaction": "twice the server's own setting",
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
    """How long a session may wait for a lock."""
    waiters: Graded[Count] | None = None
    """How many sessions may wait behind the same one."""
    lock_table: ShareUsed | None = None
    """How much of the shared lock table may be used, in percent; where it is full, every statement fails."""
    prepared: Graded[Duration] | None = None
    """How long a transaction may stay prepared. It keeps its locks, and vacuum waits for it, also after a restart."""

    def queries(self) -> Iterable[Query[Any]]:
        return (self.locks,)

    @property
    def locks(self) -> Locks:
        return Locks(self.target.name)
