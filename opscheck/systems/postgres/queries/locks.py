"""Who waits for locks, and for whom."""

from dataclasses import dataclass
from datetime import datetime

import msgspec

from opscheck.systems.postgres.queries.activity import Session
from opscheck.systems.postgres.queries.base import READ_SESSIONS, PostgresQuery


class Waiter(msgspec.Struct, frozen=True, kw_only=True):
    """A process that waits for a lock."""

    pid: int
    leader_pid: int | None = None
    """Of a parallel worker: whose query waits."""
    since: datetime | None
    """Since when; None when it has only just begun to."""
    is_exact: bool
    """False before PostgreSQL 14, which does not tell: `since` is then when its query began."""
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
class Locks(PostgresQuery[LocksAnswer], name="postgres.locks"):
    """Who waits for whom."""

    needs = (READ_SESSIONS,)

    def text(self) -> str:
        """For people."""
        return "who waits for locks and for whom, the prepared transactions, and how full the lock table is"
