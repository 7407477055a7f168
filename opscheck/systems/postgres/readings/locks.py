"""What the locks of a server mean: who is at the root, who waits behind it, and how full the lock table is."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from opscheck.core.units import Duration, Percentage, format_duration
from opscheck.systems.postgres.locks import (
    LockHolder,
    LocksAnswer,
    LockTable,
    PostgresLocks,
    PreparedTransaction,
    Waiter,
)
from opscheck.systems.postgres.readings.blocking import Node, Root, roots
from opscheck.systems.postgres.readings.breaches import Breach, Held, breach
from opscheck.systems.postgres.sessions import Session, doing, statement, told

TOLD = 20
"""So many roots, and so many prepared transactions, get a finding of their own; the others are counted."""

_WAITERS_TOLD = 5
_IN_TABLES = frozenset({"relation", "page", "tuple"})
_UNNAMED = ""
"""A prepared transaction that came or went while the server was asked."""


@dataclass(frozen=True)
class Blocked:
    """A root that others wait behind, and what is broken by that."""

    answer: LocksAnswer
    root: Root
    waiters: tuple[Waiter, ...]
    """The longest first."""
    count: int
    breach: Breach

    @property
    def since(self) -> datetime | None:
        """Since when the longest waits, where that is known."""
        return next((one.since for one in self.waiters if one.is_exact), None)

    @property
    def subject(self) -> str:
        """Whom they wait for in the end."""
        first = self._told(self.root.nodes[0])
        if self.root.is_cycle:
            return f"{' and '.join(f'pid {node}' for node in self.root.nodes)}, which wait for each other"
        others = len(self.root.nodes) - 1
        return f"{first} and {others} more" if others else first

    @property
    def evidence(self) -> Iterator[str]:
        """What the root does, and who waits."""
        for node in self.root.nodes[:_WAITERS_TOLD]:
            session = self._sessions.get(node)
            if session is not None:
                yield f"pid {session.pid}: {doing(session, self.answer.at)}; {statement(session)}"
        for waiter in self.waiters[:_WAITERS_TOLD]:
            yield self._waits(waiter)
        if self.count > _WAITERS_TOLD:
            yield f"and {self.count - _WAITERS_TOLD} more wait"

    @property
    def facts(self) -> dict[str, str]:
        """What remediation commands may name."""
        facts = {"waiter": str(self.waiters[0].pid)}
        if len(self.root.nodes) > 1:
            return facts
        (node,) = self.root.nodes
        return facts | (self._prepared(node) if isinstance(node, str) else self._blocker(node))

    @cached_property
    def _sessions(self) -> Mapping[Node, Session]:
        return {one.pid: one for one in self.answer.sessions}

    def _blocker(self, pid: int) -> dict[str, str]:
        facts, session = {"blocker": str(pid)}, self._sessions.get(pid)
        if session is not None and session.is_active:
            facts["running_blocker"] = str(pid)
        elif session is not None and session.state.startswith("idle"):
            facts["idle_blocker"] = str(pid)
            if session.is_idle and session.role:
                facts["idle_role"] = session.role
        return facts

    def _prepared(self, gid: str) -> dict[str, str]:
        found = (one for one in self.answer.prepared if one.gid == gid)
        return next(({"gid": one.gid, "gid_database": one.database} for one in found), {})

    def _told(self, node: Node) -> str:
        if isinstance(node, str):
            return f"prepared transaction {node}" if node else "a prepared transaction"
        session = self._sessions.get(node)
        return told(session) if session is not None else f"pid {node}"

    def _waits(self, waiter: Waiter) -> str:
        waited = format_duration(_waited(self.answer, waiter))
        session = self._sessions.get(waiter.pid)
        query = f": {session.query}" if session is not None and session.query else ""
        return (
            f"{self._told(waiter.pid)} waits {'' if waiter.is_exact else 'at most '}{waited} for {_lock(waiter)}{query}"
        )


def blocked(expectation: PostgresLocks, answer: LocksAnswer) -> list[Blocked]:
    """The roots that too many wait behind, or for too long: the worst first, then the one with the longest wait."""
    found = roots(_graph(answer))
    # Who waits beyond the list waits for somebody too: the one with the most behind it has them all, at worst.
    unlisted = [answer.waiting - len(answer.waiters), *(0 for _ in found)]
    every = [_blocked(expectation, answer, root, more) for root, more in zip(found, unlisted, strict=False)]
    broken = [one for one in every if one is not None]
    return sorted(broken, key=lambda one: (one.breach.severity, -_longest(answer, one.waiters)))


def longest_wait(answer: LocksAnswer) -> float:
    """In seconds, 0 when nobody waits."""
    return _longest(answer, answer.waiters)


def share(table: LockTable) -> Percentage:
    """How much of the lock table is used: of its places for objects, or of those for holders, whichever is more."""
    if table.places <= 0:
        return Percentage(100.0)
    return Percentage(100.0 * max(table.objects / table.places, table.pairs / (2 * table.places)))


def share_detail(table: LockTable) -> str:
    """What the share is made of."""
    return (
        f"{table.objects} objects are locked, {table.pairs} times, and there is room for {table.places}: "
        f"max_locks_per_transaction {table.max_locks_per_transaction}"
    )


def largest_holders(answer: LocksAnswer) -> Iterator[str]:
    """Who has most of the lock table, a line each."""
    sessions = {one.pid: one for one in answer.sessions}
    for holder in answer.table.largest:
        yield f"{holder.locks} by {_holder(holder, sessions)}"


def table_facts(table: LockTable) -> dict[str, str]:
    """What remediation commands may name when the lock table is nearly full."""
    holder = next((one.pid for one in table.largest if one.pid is not None), None)
    more = {"more_locks": str(2 * table.max_locks_per_transaction)}
    return more if holder is None else more | {"lock_holder": str(holder)}


def age(answer: LocksAnswer, prepared: PreparedTransaction) -> float:
    """How long it has been prepared, in seconds."""
    return max(0.0, (answer.at - prepared.prepared).total_seconds())


def _graph(answer: LocksAnswer) -> dict[Node, set[Node]]:
    """Each waiter, and whom it waits for; the workers of a parallel query are one with their leader."""
    process = {one.pid: _process(one) for one in answer.waiters}
    graph: dict[Node, set[Node]] = {}
    for waiter in answer.waiters:
        blockers: set[Node] = {process.get(pid, pid) for pid in waiter.blockers if pid}
        if 0 in waiter.blockers:
            blockers |= set(waiter.prepared or (_UNNAMED,))
        graph.setdefault(process[waiter.pid], set()).update(blockers)
    return graph


def _process(waiter: Waiter) -> int:
    return waiter.leader_pid or waiter.pid


def _blocked(expectation: PostgresLocks, answer: LocksAnswer, root: Root, unlisted: int) -> Blocked | None:
    waiters = tuple(one for one in answer.waiters if _process(one) in root.waiters)
    count, longest = len(root.waiters) + unlisted, _longest(answer, waiters)
    said = "" if all(one.is_exact for one in waiters) else f"at most {format_duration(longest)}"
    detail = f"{unlisted} of them were not looked at one by one" if unlisted else ""
    broken = breach(
        [
            Held("longest wait", longest, expectation.waiting, Duration.unit, said=said),
            Held("sessions waiting", count, expectation.waiters, detail=detail),
        ]
    )
    return None if broken is None else Blocked(answer, root, waiters, count, broken)


def _longest(answer: LocksAnswer, waiters: tuple[Waiter, ...]) -> float:
    return max((_waited(answer, one) for one in waiters), default=0.0)


def _waited(answer: LocksAnswer, waiter: Waiter) -> float:
    return 0.0 if waiter.since is None else max(0.0, (answer.at - waiter.since).total_seconds())


def _lock(waiter: Waiter) -> str:
    # Who wants to change a row waits for the transaction that changed it last.
    what = "a transaction" if waiter.locktype == "transactionid" else waiter.locktype
    if waiter.locktype in _IN_TABLES:
        table = waiter.relation or "a table of another database"
        what = table if waiter.locktype == "relation" else f"a {waiter.locktype} of {table}"
    return f"{waiter.mode} on {what}"


def _holder(holder: LockHolder, sessions: Mapping[int, Session]) -> str:
    if holder.pid is None:
        return "prepared transactions"
    session = sessions.get(holder.pid)
    return told(session) if session is not None else f"pid {holder.pid}"
