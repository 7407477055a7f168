"""What the clients of a PostgreSQL server do."""

from collections.abc import Iterable, Iterator
from datetime import datetime

from opscheck import Duration, Findings, Graded, Observe, Remedy
from opscheck.core.observation import CouldNotObserve, Problem, ProblemKind
from opscheck.core.words import counted
from opscheck.systems.postgres.activity import (
    CANCEL,
    SET_IDLE_TIMEOUT,
    SET_STATEMENT_TIMEOUT,
    SET_TRANSACTION_TIMEOUT,
    SHOW_SESSION,
    TERMINATE,
    ActivityAnswer,
    PostgresActivity,
)
from opscheck.systems.postgres.sessions import CLIENT, Session, current_state, describe, statement
from opscheck.systems.postgres.thresholds import MOST, Value, add_violated, violated

_CLOCKS = {"idle in transaction": "idle_in_transaction", "query": "query", "transaction": "transaction"}
"""The ways to say how long a session has taken, each with the field of its limit."""
_TRANSACTION_TIMEOUT_SINCE = 170_000


def test_no_client_takes_too_long(expectation: PostgresActivity, observe: Observe, findings: Findings) -> None:
    """
    No query runs, and no transaction stays open, for longer than it may.

    A forgotten transaction keeps its locks, so that others wait behind it, and keeps vacuum from removing what was
    deleted anywhere in the database; a query that never ends takes memory and disk from all others.
    """
    answer = observe(expectation.activity)
    sessions = _once_each(answer.sessions)
    _measure_longest(expectation, answer, sessions, findings)
    _measure_allowed(expectation, answer, sessions, findings)
    _judge_sessions(expectation, answer, sessions, findings)
    _require_all(expectation, answer)


def _measure_longest(
    expectation: PostgresActivity, answer: ActivityAnswer, sessions: Iterable[Session], findings: Findings
) -> None:
    for clock in _CLOCKS:
        limit = _limit(expectation, clock)
        if limit is not None:
            judged = (dict(_judged_ages(expectation, answer, session)).get(clock, 0.0) for session in sessions)
            longest = max(judged, default=0.0)
            limits = {"limit": limit.limit(longest), "margin": limit.margin(longest)}
            findings.measure(f"longest {clock}", longest, unit="s", subject=expectation.server, **limits)


def _measure_allowed(
    expectation: PostgresActivity, answer: ActivityAnswer, sessions: Iterable[Session], findings: Findings
) -> None:
    """What each entry of `allow` leaves out, where it leaves out anything."""
    for entry in expectation.allow:
        covered = (_ages(expectation, answer, session) for session in sessions if entry.covers(session))
        left_out = [[age for _, age in ages if entry.lets(age)] for ages in covered]
        longest = [max(ages) for ages in left_out if ages]
        if longest:
            findings.measure("sessions", len(longest), subject=f"allowed: {entry}")
            findings.measure("longest", max(longest), unit="s", subject=f"allowed: {entry}")


def _judge_sessions(
    expectation: PostgresActivity, answer: ActivityAnswer, sessions: Iterable[Session], findings: Findings
) -> None:
    """The sessions that break a limit: the worst first, then the longest."""
    broken = [(session, values) for session in sessions if (values := _violated(expectation, answer, session))]
    broken.sort(key=lambda one: (one[1][0].severity, -one[1][0].number))
    more = len(broken) - MOST
    others = [f"{counted(more, 'more session')} beyond a limit"] if more > 0 else []
    for session, values in broken[:MOST]:
        told = {"application": session.application, "role": session.role, "database": session.database}
        here = findings.on(describe(session), pid=session.pid, **{name: value for name, value in told.items() if value})
        add_violated(
            here,
            values,
            since=_start(values[0].name, session),
            evidence=(statement(session), current_state(session, answer.at), _held(session), *others),
            remedies=_remedies(answer, session, [one.name for one in values]),
        )


def _violated(expectation: PostgresActivity, answer: ActivityAnswer, session: Session) -> list[Value]:
    ages = _judged_ages(expectation, answer, session)
    return violated(*(Value(clock, age, _limit(expectation, clock), Duration.unit) for clock, age in ages))


def _remedies(answer: ActivityAnswer, session: Session, clocks: list[str]) -> tuple[Remedy, ...]:
    if not session.role:
        return (SHOW_SESSION,)
    has_transaction_timeout = answer.server_version >= _TRANSACTION_TIMEOUT_SINCE
    suggested = {
        SHOW_SESSION: True,
        CANCEL: session.is_active,
        TERMINATE: session.is_idle,
        SET_STATEMENT_TIMEOUT: "query" in clocks,
        SET_IDLE_TIMEOUT: session.is_idle,
        SET_TRANSACTION_TIMEOUT: "transaction" in clocks and has_transaction_timeout,
    }
    return tuple(remedy for remedy, fits in suggested.items() if fits)


def _require_all(expectation: PostgresActivity, answer: ActivityAnswer) -> None:
    """Raises CouldNotObserve when a session that cannot be judged may have taken too long."""
    if answer.silent:
        text = f"what the sessions of {', '.join(answer.silent)} do is not told: track_activities is off for them"
        advice = "set track_activities = on, for these roles, their databases and the server"
        problem = Problem(kind=ProblemKind.UNSUPPORTED, text=text, advice=advice)
        raise CouldNotObserve(expectation.activity, problem)
    unseen = answer.total - len(answer.sessions)
    if unseen > 0 and _may_violate(expectation, answer):
        text = f"{unseen} more sessions were not looked at, and may take too long too"
        raise CouldNotObserve(expectation.activity, Problem(kind=ProblemKind.UNSUPPORTED, text=text))


def _may_violate(expectation: PostgresActivity, answer: ActivityAnswer) -> bool:
    """Whether a session that began after the last one may break a limit: none of its clocks began before."""
    youngest = answer.sessions[-1]
    starts = [start for start in (youngest.xact_start, youngest.query_start) if start is not None]
    age = _age(answer, min(starts)) if starts else float("inf")
    return any(limit.severity(age) for clock in _CLOCKS if (limit := _limit(expectation, clock)) is not None)


def _judged_ages(
    expectation: PostgresActivity, answer: ActivityAnswer, session: Session
) -> Iterator[tuple[str, float]]:
    """How long a session has taken by each clock that has a limit, where no entry of `allow` lets it."""
    for clock, age in _ages(expectation, answer, session):
        if not any(entry.covers(session) and entry.lets(age) for entry in expectation.allow):
            yield clock, age


def _ages(expectation: PostgresActivity, answer: ActivityAnswer, session: Session) -> Iterator[tuple[str, float]]:
    for clock in _CLOCKS:
        start = _start(clock, session)
        if start is not None and _limit(expectation, clock) is not None:
            yield clock, _age(answer, start)


def _start(clock: str, session: Session) -> datetime | None:
    """Since when, None where this clock does not run."""
    if clock == "query":
        return session.query_start if session.is_active else None
    if clock == "transaction":
        return session.xact_start
    # Not xact_start: the transaction may have worked until a moment ago.
    return session.state_change if session.is_idle else None


def _age(answer: ActivityAnswer, start: datetime) -> float:
    return max(0.0, (answer.at - start).total_seconds())


def _limit(expectation: PostgresActivity, clock: str) -> Graded[Duration] | None:
    limit: Graded[Duration] | None = getattr(expectation, _CLOCKS[clock])
    return limit


def _once_each(sessions: Iterable[Session]) -> list[Session]:
    """Without the parallel workers whose leader is there: both run one query."""
    every = list(sessions)
    clients = [one for one in every if one.kind == CLIENT]
    pids, starts = {one.pid for one in clients}, {one.query_start for one in clients}
    # PostgreSQL 12 does not name the leader, but a worker has the leader's query_start.
    return clients + [
        one for one in every if one.kind != CLIENT and one.leader_pid not in pids and one.query_start not in starts
    ]


def _held(session: Session) -> str:
    vacuum = "does not hold back vacuum"
    if session.xmin_age is not None:
        vacuum = f"holds back vacuum, by {_some(session.xmin_age, 'transaction')} so far"
    return f"{vacuum}; holds {_some(session.locks, 'lock')}"


def _some(number: int, noun: str) -> str:
    return counted(number, noun) if number else f"no {noun}s"
