"""What the sessions of a server mean: who takes longer than allowed, by which clock."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from opscheck.core.observation import CouldNotObserve, Problem, ProblemKind
from opscheck.core.units import Duration, Graded
from opscheck.systems.postgres.activity import ActivityAnswer, Allowed, PostgresActivity
from opscheck.systems.postgres.readings.breaches import Breach, Held, breach
from opscheck.systems.postgres.sessions import CLIENT, Session, doing, statement, told

TOLD = 20
"""So many sessions get a finding of their own; the others are counted."""

_TRANSACTION_TIMEOUT_SINCE = 170_000


@dataclass(frozen=True)
class Clock:
    """One way to say how long a session has taken."""

    name: str
    field: str
    """The limit in the policy."""

    def start(self, session: Session) -> datetime | None:
        """Since when, None where this clock does not run."""
        if self.field == "query":
            return session.query_start if session.is_active else None
        if self.field == "transaction":
            return session.xact_start
        # Not xact_start: the transaction may have worked until a moment ago.
        return session.state_change if session.is_idle else None


QUERY, TRANSACTION = Clock("query", "query"), Clock("transaction", "transaction")
IDLE = Clock("idle in transaction", "idle_in_transaction")
CLOCKS = (IDLE, QUERY, TRANSACTION)


@dataclass(frozen=True)
class Longest:
    """The longest that any session has taken by one clock, among those that are judged."""

    clock: Clock
    seconds: float
    limit: Graded[Duration]


@dataclass(frozen=True)
class LeftOut:
    """What one entry of `allow` leaves out of judgement."""

    entry: Allowed
    sessions: int
    longest: float
    """By whichever clock, in seconds."""


@dataclass(frozen=True)
class Overdue:
    """A session that breaks a limit."""

    session: Session
    breach: Breach
    since: datetime | None
    at: datetime
    """The server's clock."""
    server_version: int

    @property
    def subject(self) -> str:
        """`pid 4711 of shop as app on orders`."""
        return told(self.session)

    @property
    def evidence(self) -> Iterator[str]:
        """What it does, what it holds, and from where."""
        yield statement(self.session)
        yield doing(self.session, self.at)
        yield _held_back(self.session)

    @property
    def facts(self) -> dict[str, str]:
        """What remediation commands may name."""
        session, pid = self.session, str(self.session.pid)
        facts = {"pid": pid, "application": session.application, "role": session.role, "database": session.database}
        if session.is_idle:
            facts |= {"idle_pid": pid, "idle_role": session.role}
        elif session.is_active:
            facts["running_pid"] = pid
        broken = {one.name for one in self.breach.broken}
        if QUERY.name in broken:
            facts["running_role"] = session.role
        if TRANSACTION.name in broken and self.server_version >= _TRANSACTION_TIMEOUT_SINCE:
            facts["transaction_role"] = session.role
        return {name: value for name, value in facts.items() if value}


class Judged:
    """The sessions of one answer, as one expectation sees them."""

    def __init__(self, expectation: PostgresActivity, answer: ActivityAnswer) -> None:
        self._expectation = expectation
        self._answer = answer
        self._sessions = _once_each(answer.sessions)

    def longest(self) -> list[Longest]:
        """The longest by each clock that has a limit."""
        return [
            Longest(clock, max(self._judged_ages(clock), default=0.0), limit)
            for clock in CLOCKS
            if (limit := self._limit(clock)) is not None
        ]

    def left_out(self) -> Iterator[LeftOut]:
        """What each entry of `allow` leaves out, where it leaves out anything."""
        for entry in self._expectation.allow:
            ages = [
                [age for clock, age in self._clocks(session) if entry.lets(age)]
                for session in self._sessions
                if entry.covers(session)
            ]
            longest = [max(each) for each in ages if each]
            if longest:
                yield LeftOut(entry, len(longest), max(longest))

    def overdue(self) -> list[Overdue]:
        """The sessions that break a limit: the worst first, then the longest."""
        found = [one for session in self._sessions if (one := self._overdue(session)) is not None]
        return sorted(found, key=lambda one: (one.breach.severity, -one.breach.broken[0].value))

    def require_all(self) -> None:
        """Raises CouldNotObserve when a session may have taken too long and cannot be told."""
        if self._answer.silent:
            raise CouldNotObserve(self._expectation.activity, _silent(self._answer.silent))
        unseen = self._answer.total - len(self._answer.sessions)
        if unseen > 0 and self._may_break(self._answer.sessions[-1]):
            text = f"{unseen} more sessions were not looked at, and may take too long too"
            raise CouldNotObserve(self._expectation.activity, Problem(kind=ProblemKind.UNSUPPORTED, text=text))

    def _overdue(self, session: Session) -> Overdue | None:
        held = [
            Held(clock.name, age, self._limit(clock), Duration.unit)
            for clock, age in self._clocks(session)
            if not self._is_allowed(session, age)
        ]
        broken = breach(held)
        if broken is None:
            return None
        worst = next(clock for clock in CLOCKS if clock.name == broken.broken[0].name)
        return Overdue(session, broken, worst.start(session), self._answer.at, self._answer.server_version)

    def _judged_ages(self, clock: Clock) -> Iterator[float]:
        for session in self._sessions:
            for own, age in self._clocks(session):
                if own is clock and not self._is_allowed(session, age):
                    yield age

    def _clocks(self, session: Session) -> Iterator[tuple[Clock, float]]:
        for clock in CLOCKS:
            start = clock.start(session)
            if start is not None and self._limit(clock) is not None:
                yield clock, self._age(start)

    def _age(self, start: datetime) -> float:
        return max(0.0, (self._answer.at - start).total_seconds())

    def _limit(self, clock: Clock) -> Graded[Duration] | None:
        limit: Graded[Duration] | None = getattr(self._expectation, clock.field)
        return limit

    def _is_allowed(self, session: Session, age: float) -> bool:
        return any(entry.covers(session) and entry.lets(age) for entry in self._expectation.allow)

    def _may_break(self, youngest: Session) -> bool:
        """Whether who began after this one may break a limit: no clock of a session began before its first."""
        starts = [start for start in (youngest.xact_start, youngest.query_start) if start is not None]
        age = self._age(min(starts)) if starts else float("inf")
        return any(limit.severity(age) for clock in CLOCKS if (limit := self._limit(clock)) is not None)


def rest(overdue: list[Overdue]) -> list[str]:
    """How many get no finding of their own, a line; none when all do."""
    more = len(overdue) - TOLD
    return [f"{_counted(more, 'more session')} beyond a limit"] if more > 0 else []


def _once_each(sessions: Iterable[Session]) -> list[Session]:
    """Without the parallel workers whose leader is there: both run one query."""
    every = list(sessions)
    clients = [one for one in every if one.kind == CLIENT]
    pids, starts = {one.pid for one in clients}, {one.query_start for one in clients}
    # PostgreSQL 12 does not name the leader, but a worker has the leader's query_start.
    return clients + [
        one for one in every if one.kind != CLIENT and one.leader_pid not in pids and one.query_start not in starts
    ]


def _held_back(session: Session) -> str:
    vacuum = "does not hold back vacuum"
    if session.xmin_age is not None:
        vacuum = f"holds back vacuum, by {_counted(session.xmin_age, 'transaction')} so far"
    return f"{vacuum}; holds {_counted(session.locks, 'lock')}"


def _counted(number: int, noun: str) -> str:
    return f"{number or 'no'} {noun}{'' if number == 1 else 's'}"


def _silent(roles: tuple[str, ...]) -> Problem:
    who = ", ".join(roles)
    return Problem(
        kind=ProblemKind.UNSUPPORTED,
        text=f"what the sessions of {who} do is not told: track_activities is off for them",
        advice="set track_activities = on, for these roles, their databases and the server",
    )
