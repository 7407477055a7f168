"""The activity of a PostgreSQL server's clients."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from typing import NamedTuple, TypeAlias

from opscheck import Duration, Findings, Graded, Observe, Remedy
from opscheck.core.observation import CouldNotObserve, Problem, ProblemKind
from opscheck.core.words import counted
from opscheck.systems.postgres.activity import (
    CANCEL,
    SET_IDLE_TIMEOUT,
    SET_STATEMENT_TIMEOUT,
    SET_TRANSACTION_TIMEOUT,
    SHOW_SESSION,
    SHOW_STANDBYS,
    TERMINATE,
    ActivityAnswer,
    Allowed,
    PostgresActivity,
)
from opscheck.systems.postgres.sessions import CLIENT, Session, current_state, describe, seconds, statement
from opscheck.systems.postgres.thresholds import MOST, Value, add_violated, violated

_TRANSACTION_TIMEOUT_SINCE = 170_000
_WAITS_FOR_STANDBY = "IPC: SyncRep"
# A standby that lost its connection tries again after wal_retrieve_retry_interval, 5 s by default.
_RECONNECTED_AFTER = timedelta(seconds=10)

Limits: TypeAlias = dict[str, Graded[Duration]]
"""The limits by clock: query, transaction, idle in transaction."""


class Took(NamedTuple):
    """The time that a session has taken, by one clock."""

    session: Session
    clock: str
    start: datetime
    seconds: float


def test_no_client_takes_too_long(expectation: PostgresActivity, observe: Observe, findings: Findings) -> None:
    """
    No query and no transaction runs longer than allowed.

    A forgotten transaction keeps its locks and keeps vacuum from removing dead rows. A query that never ends takes
    memory and disk from all others.
    """
    answer = observe(expectation.activity)
    clocks = {
        "idle in transaction": expectation.idle_in_transaction,
        "query": expectation.query,
        "transaction": expectation.transaction,
    }
    limits = {clock: limit for clock, limit in clocks.items() if limit is not None}
    took = list(_took(answer, limits))
    allow = expectation.allow
    judged = [one for one in took if not any(entry.covers(one.session) and entry.lets(one.seconds) for entry in allow)]
    for clock, limit in limits.items():
        longest = max((one.seconds for one in judged if one.clock == clock), default=0.0)
        ends = {"limit": limit.limit(longest), "margin": limit.margin(longest)}
        findings.measure(f"longest {clock}", longest, unit="s", subject=expectation.server, **ends)
    _measure_allowed(allow, took, findings)
    if stuck := _commits_without_standby(answer):
        _add_missing_standby(answer, stuck, findings.on(expectation.server))
    pids = {session.pid for session in stuck}
    _judge_sessions(answer, limits, [one for one in judged if one.session.pid not in pids], findings)
    _require_all(expectation, answer, limits)


def _took(answer: ActivityAnswer, limits: Limits) -> Iterator[Took]:
    """The times with a limit, of each session."""
    for session in _once_each(answer.sessions):
        starts = {
            # Not xact_start: the transaction may have worked until a moment ago.
            "idle in transaction": session.state_change if session.is_idle else None,
            "query": session.query_start if session.is_active else None,
            "transaction": session.xact_start,
        }
        for clock in limits:
            if (start := starts[clock]) is not None:
                yield Took(session, clock, start, seconds(start, answer.at))


def _measure_allowed(allow: Iterable[Allowed], took: Sequence[Took], findings: Findings) -> None:
    """The sessions that each entry of `allow` excludes."""
    for entry in allow:
        left_out = [one for one in took if entry.covers(one.session) and entry.lets(one.seconds)]
        if left_out:
            here = findings.on(f"allowed: {entry}")
            here.measure("sessions", len({one.session.pid for one in left_out}))
            here.measure("longest", max(one.seconds for one in left_out), unit="s")


def _commits_without_standby(answer: ActivityAnswer) -> list[Session]:
    """The sessions that wait for synchronous standbys of which too few are connected, if one has waited for long."""
    connected = answer.synchronous_standbys
    if connected is None or connected >= answer.standbys_required:
        return []
    stuck = [session for session in answer.sessions if session.wait == _WAITS_FOR_STANDBY]
    starts = [session.query_start for session in stuck if session.query_start is not None]
    return stuck if starts and answer.at - min(starts) > _RECONNECTED_AFTER else []


def _add_missing_standby(answer: ActivityAnswer, stuck: Sequence[Session], findings: Findings) -> None:
    """One finding with the cause, instead of one for each commit."""
    waits = "1 commit waits" if len(stuck) == 1 else f"{len(stuck)} commits wait"
    findings.add(
        observed=f"{waits} for a synchronous standby: {answer.synchronous_standbys} connected",
        expected=f"at least {answer.standbys_required} of synchronous_standby_names",
        since=min((one.query_start for one in stuck if one.query_start is not None), default=None),
        evidence=(
            f"synchronous_standby_names is {answer.synchronous_standby_names}",
            *(describe(session) for session in stuck[:MOST]),
        ),
        remedies=(SHOW_STANDBYS,),
    )


def _judge_sessions(answer: ActivityAnswer, limits: Limits, judged: Iterable[Took], findings: Findings) -> None:
    """The sessions beyond a limit: the worst first, then the longest."""
    broken = []
    for _, group in groupby(judged, key=lambda one: one.session.pid):
        took = {one.clock: one for one in group}
        values = violated(*(Value(clock, one.seconds, limits[clock], Duration.unit) for clock, one in took.items()))
        if values:
            broken.append((took[values[0].name], values))
    broken.sort(key=lambda one: (one[1][0].severity, -one[1][0].number))
    more = len(broken) - MOST
    others = [f"{counted(more, 'more session')} beyond a limit"] if more > 0 else []
    for (session, _, start, _), values in broken[:MOST]:
        named = {"application": session.application, "role": session.role, "database": session.database}
        add_violated(
            findings.on(describe(session), pid=session.pid, **{name: value for name, value in named.items() if value}),
            values,
            since=start,
            evidence=(statement(session), current_state(session, answer.at), _held(session), *others),
            remedies=_remedies(answer, session, [one.name for one in values]),
        )


def _remedies(answer: ActivityAnswer, session: Session, clocks: list[str]) -> tuple[Remedy, ...]:
    if not session.role:
        return (SHOW_SESSION,)
    if session.wait == _WAITS_FOR_STANDBY:
        return (SHOW_SESSION, SHOW_STANDBYS)
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


def _require_all(expectation: PostgresActivity, answer: ActivityAnswer, limits: Limits) -> None:
    """Raises CouldNotObserve when a session that cannot be judged may have taken too long."""
    if answer.silent:
        text = f"the activity of {', '.join(answer.silent)} is hidden: track_activities is off"
        advice = "set track_activities = on for these roles, their databases and the server"
        problem = Problem(kind=ProblemKind.UNSUPPORTED, text=text, advice=advice)
        raise CouldNotObserve(expectation.activity, problem)
    unseen = answer.total - len(answer.sessions)
    if unseen > 0 and _may_violate(answer, limits):
        text = f"{counted(unseen, 'more session')} not read, and possibly beyond a limit"
        raise CouldNotObserve(expectation.activity, Problem(kind=ProblemKind.UNSUPPORTED, text=text))


def _may_violate(answer: ActivityAnswer, limits: Limits) -> bool:
    """True if a session that began after the last one may exceed a limit: none of its clocks began before."""
    youngest = answer.sessions[-1]
    starts = [start for start in (youngest.xact_start, youngest.query_start) if start is not None]
    age = seconds(min(starts), answer.at) if starts else float("inf")
    return any(limit.severity(age) for limit in limits.values())


def _once_each(sessions: Iterable[Session]) -> list[Session]:
    """Without parallel workers whose leader is listed: both run one query."""
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
