"""The locks of a PostgreSQL server."""

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TypeAlias

from opscheck import Findings, Observe, Remedy
from opscheck.core.remedy import Fact
from opscheck.core.units import Duration, Percentage, format_duration
from opscheck.core.words import counted
from opscheck.systems.postgres.locks import (
    CANCEL,
    LOCK_TIMEOUT,
    RAISE_MAX_LOCKS,
    ROLL_BACK,
    SET_IDLE_TIMEOUT,
    SHOW_LOCKS,
    SHOW_WAITS,
    TERMINATE,
    LocksAnswer,
    LockTable,
    PostgresLocks,
    Waiter,
)
from opscheck.systems.postgres.sessions import Session, current_state, describe, seconds, statement
from opscheck.systems.postgres.thresholds import MOST, Value, add_violated, violated

_MOST_IN_EVIDENCE = 5
_IN_TABLES = frozenset({"relation", "page", "tuple"})
_UNNAMED = ""
"""A prepared transaction that began or ended during the query."""

Node: TypeAlias = int | str
"""A process by its pid, or a prepared transaction by its gid."""


def test_lock_waits_are_within_the_limit(expectation: PostgresLocks, observe: Observe, findings: Findings) -> None:
    """
    No session waits long for a lock.

    A waiting session holds locks of its own, so a queue grows behind one forgotten transaction until all connections
    are used. A prepared transaction keeps its locks even after a restart.
    """
    answer = observe(expectation.locks)
    here = findings.on(expectation.server)
    here.measure("sessions waiting", answer.waiting)
    here.measure("longest wait", _longest(answer, answer.waiters), unit="s")
    _judge_roots(expectation, answer, findings)
    here.measure("transactions prepared", answer.prepared_total)
    _judge_prepared(expectation, answer, findings)
    _judge_table(expectation, answer, here)


def _judge_prepared(expectation: PostgresLocks, answer: LocksAnswer, findings: Findings) -> None:
    others = _others(answer.prepared_total, "prepared transaction")
    for one in answer.prepared[:MOST]:
        here = findings.on(f"prepared transaction {one.gid}", gid=one.gid, database=one.database)
        here.grade(
            "prepared",
            seconds(one.prepared, answer.at),
            expectation.prepared,
            unit="s",
            detail=f"by {one.owner} in {one.database}",
            since=one.prepared,
            evidence=others,
            remedies=(ROLL_BACK,),
        )


def _judge_table(expectation: PostgresLocks, answer: LocksAnswer, findings: Findings) -> None:
    table = answer.table
    pid = next((one.pid for one in table.largest if one.pid is not None), None)
    holder: dict[str, Fact] = {} if pid is None else {"pid": pid}
    findings.grade(
        "lock table used",
        share(table),
        expectation.lock_table,
        detail=f"{table.objects} objects with {table.pairs} locks, room for {table.places} objects: "
        f"max_locks_per_transaction {table.max_locks_per_transaction}",
        evidence=largest_holders(answer),
        remedies=(SHOW_LOCKS, RAISE_MAX_LOCKS) if holder else (RAISE_MAX_LOCKS,),
        facts=holder | {"max_locks_per_transaction": 2 * table.max_locks_per_transaction},
    )


def share(table: LockTable) -> Percentage:
    """The used share of the lock table: of its slots for objects or of those for holders, the larger one."""
    if table.places <= 0:
        return Percentage(100.0)
    return Percentage(100.0 * max(table.objects / table.places, table.pairs / (2 * table.places)))


def largest_holders(answer: LocksAnswer) -> Iterator[str]:
    """The processes with the most locks, one line each."""
    sessions = _by_pid(answer)
    for holder in answer.table.largest:
        name = "prepared transactions" if holder.pid is None else _name(holder.pid, sessions)
        yield f"{holder.locks} by {name}"


def _judge_roots(expectation: PostgresLocks, answer: LocksAnswer, findings: Findings) -> None:
    """The roots with too many or too long waits: the worst first, then the longest wait."""
    found = roots(_graph(answer))
    # Sessions beyond the list wait too: at worst all of them for the root with the most behind it.
    more, known = answer.waiting - len(answer.waiters), _by_pid(answer)
    every = [_Blocked(expectation, answer, known, root, 0 if number else more) for number, root in enumerate(found)]
    broken = [(one, values) for one in every if (values := one.violated())]
    broken.sort(key=lambda pair: (pair[1][0].severity, -pair[0].longest))
    others = _others(len(broken), "root")
    for one, values in broken[:MOST]:
        remedies, facts = one.ending()
        add_violated(
            findings,
            values,
            subject=one.subject,
            since=one.since,
            evidence=(*one.evidence(), *others),
            remedies=(SHOW_WAITS, *remedies, LOCK_TIMEOUT),
            facts=facts | {"waiter": one.waiters[0].pid},
        )


def _graph(answer: LocksAnswer) -> dict[Node, set[Node]]:
    """Each waiter with its blockers; the workers of a parallel query count as their leader."""
    process = {one.pid: _process(one) for one in answer.waiters}
    graph: dict[Node, set[Node]] = {}
    for waiter in answer.waiters:
        blockers: set[Node] = {process.get(pid, pid) for pid in waiter.blockers if pid}
        if 0 in waiter.blockers:
            blockers |= set(waiter.prepared or (_UNNAMED,))
        graph.setdefault(process[waiter.pid], set()).update(blockers)
    return graph


@dataclass(frozen=True)
class Root:
    """The root blockers of the same waiters: ending one of them may not be enough."""

    nodes: tuple[Node, ...]
    waiters: frozenset[Node]
    """All direct and indirect waiters."""

    @property
    def is_cycle(self) -> bool:
        """True if they wait for each other: a deadlock that the server has not ended yet."""
        return bool(self.waiters.intersection(self.nodes))


def roots(waits_for: Mapping[Node, AbstractSet[Node]]) -> list[Root]:
    """The roots of a graph from waiters to blockers; the root with the most waiters first."""
    edges = {waiter: blockers - {waiter} for waiter, blockers in waits_for.items() if blockers - {waiter}}
    beyond = {waiter: _reached(edges, waiter) for waiter in edges}
    # From a root every path ends, or leads back to it.
    ends = {
        node
        for reached in beyond.values()
        for node in reached
        if all(node in beyond.get(other, ()) for other in beyond.get(node, ()))
    }
    behind: dict[frozenset[Node], list[Node]] = {}
    for end in sorted(ends, key=lambda node: (isinstance(node, str), node)):
        behind.setdefault(frozenset(waiter for waiter in beyond if end in beyond[waiter]), []).append(end)
    found = [Root(tuple(nodes), waiters) for waiters, nodes in behind.items()]
    return sorted(found, key=lambda root: -len(root.waiters))


def _reached(edges: Mapping[Node, AbstractSet[Node]], start: Node) -> set[Node]:
    reached: set[Node] = set()
    left = set(edges[start])
    while left:
        node = left.pop()
        reached.add(node)
        left |= edges.get(node, set()) - reached
    return reached


@dataclass(frozen=True)
class _Blocked:
    """A root, and the sessions that wait behind it."""

    expectation: PostgresLocks
    answer: LocksAnswer
    sessions: Mapping[Node, Session]
    root: Root
    unlisted: int
    """Number of further waiters, beyond the listed ones."""

    @cached_property
    def waiters(self) -> tuple[Waiter, ...]:
        """The longest first."""
        return tuple(one for one in self.answer.waiters if _process(one) in self.root.waiters)

    @property
    def longest(self) -> float:
        return _longest(self.answer, self.waiters)

    @property
    def count(self) -> int:
        return len(self.root.waiters) + self.unlisted

    def violated(self) -> list[Value]:
        exact = all(one.is_exact for one in self.waiters)
        wait = "" if exact else f"at most {format_duration(self.longest)}"
        count = f"{self.count} ({self.unlisted} of them not listed)" if self.unlisted else ""
        return violated(
            Value("longest wait", self.longest, self.expectation.waiting, Duration.unit, wait),
            Value("sessions waiting", self.count, self.expectation.waiters, text=count),
        )

    @property
    def subject(self) -> str:
        if self.root.is_cycle:
            return f"{' and '.join(f'pid {node}' for node in self.root.nodes)}, which wait for each other"
        first, others = _name(self.root.nodes[0], self.sessions), len(self.root.nodes) - 1
        return f"{first} and {others} more" if others else first

    @property
    def since(self) -> datetime | None:
        """The start of the longest wait, if known."""
        return next((one.since for one in self.waiters if one.is_exact), None)

    def evidence(self) -> Iterator[str]:
        """The activity of the root, and the waiters."""
        for node in self.root.nodes[:_MOST_IN_EVIDENCE]:
            session = self.sessions.get(node)
            if session is not None:
                yield f"pid {session.pid}: {current_state(session, self.answer.at)}; {statement(session)}"
        yield from map(self._wait, self.waiters[:_MOST_IN_EVIDENCE])
        if self.count > _MOST_IN_EVIDENCE:
            yield f"and {self.count - _MOST_IN_EVIDENCE} more waiting"

    def ending(self) -> tuple[tuple[Remedy, ...], dict[str, Fact]]:
        """The remedies that end the root, and their facts; nothing for several roots."""
        node, *others = self.root.nodes
        if others:
            return (), {}
        if isinstance(node, str):
            found = [one for one in self.answer.prepared if one.gid == node]
            return ((ROLL_BACK,), {"gid": found[0].gid, "database": found[0].database}) if found else ((), {})
        facts: dict[str, Fact] = {"pid": node}
        session = self.sessions.get(node)
        if session is None:
            return (), facts
        if session.role:
            facts["role"] = session.role
        if session.is_active:
            return (CANCEL,), facts
        if session.is_idle and session.role:
            return (TERMINATE, SET_IDLE_TIMEOUT), facts
        return ((TERMINATE,) if session.state.startswith("idle") else ()), facts

    def _wait(self, waiter: Waiter) -> str:
        at_most = "" if waiter.is_exact else "at most "
        waited = format_duration(_waited(self.answer, waiter))
        session = self.sessions.get(waiter.pid)
        query = f": {session.query}" if session is not None and session.query else ""
        return f"{_name(waiter.pid, self.sessions)} waits {at_most}{waited} for {_lock(waiter)}{query}"


def _by_pid(answer: LocksAnswer) -> dict[Node, Session]:
    return {one.pid: one for one in answer.sessions}


def _process(waiter: Waiter) -> int:
    return waiter.leader_pid or waiter.pid


def _name(node: Node, sessions: Mapping[Node, Session]) -> str:
    if isinstance(node, str):
        return f"prepared transaction {node}" if node else "a prepared transaction"
    session = sessions.get(node)
    return f"pid {node}" if session is None else describe(session)


def _longest(answer: LocksAnswer, waiters: tuple[Waiter, ...]) -> float:
    return max((_waited(answer, one) for one in waiters), default=0.0)


def _waited(answer: LocksAnswer, waiter: Waiter) -> float:
    return 0.0 if waiter.since is None else seconds(waiter.since, answer.at)


def _lock(waiter: Waiter) -> str:
    # A session that wants to change a row waits for the transaction that changed it last.
    what = "a transaction" if waiter.locktype == "transactionid" else waiter.locktype
    if waiter.locktype in _IN_TABLES:
        table = waiter.relation or "a table of another database"
        what = table if waiter.locktype == "relation" else f"a {waiter.locktype} of {table}"
    return f"{waiter.mode} on {what}"


def _others(count: int, what: str) -> list[str]:
    return [counted(count - MOST, f"more {what}")] if count > MOST else []
