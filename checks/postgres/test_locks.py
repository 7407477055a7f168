"""The locks of a PostgreSQL server."""

from opscheck import Findings, Observe
from opscheck.systems.postgres.locks import LocksAnswer, PostgresLocks
from opscheck.systems.postgres.readings.locks import (
    TOLD,
    age,
    blocked,
    largest_holders,
    longest_wait,
    share,
    share_detail,
    table_facts,
)


def test_nobody_waits_long_for_a_lock(expectation: PostgresLocks, observe: Observe, findings: Findings) -> None:
    """
    Nobody waits long for a lock, and none is kept for ever.

    Whoever waits holds locks of its own, so that more and more sessions queue up behind one that has forgotten to
    commit, until all connections are taken. A prepared transaction that nobody ends keeps its locks over a restart.
    """
    answer = observe(expectation.locks)
    _judge_waiting(expectation, answer, findings)
    _judge_prepared(expectation, answer, findings)
    findings.grade(
        "lock table used",
        share(answer.table),
        expectation.lock_table,
        subject=_server(expectation),
        detail=share_detail(answer.table),
        evidence=largest_holders(answer),
        facts=table_facts(answer.table),
    )


def _judge_waiting(expectation: PostgresLocks, answer: LocksAnswer, findings: Findings) -> None:
    findings.measure("sessions waiting", answer.waiting, subject=_server(expectation))
    findings.measure("longest wait", longest_wait(answer), unit="s", subject=_server(expectation))
    broken = blocked(expectation, answer)
    for one in broken[:TOLD]:
        findings.add(
            subject=one.subject,
            observed=one.breach.observed,
            expected=one.breach.expected,
            severity=one.breach.severity,
            since=one.since,
            evidence=[*one.evidence, *_others(len(broken), "have sessions waiting behind them")],
            facts=one.facts,
        )


def _judge_prepared(expectation: PostgresLocks, answer: LocksAnswer, findings: Findings) -> None:
    findings.measure("transactions prepared", answer.prepared_total, subject=_server(expectation))
    for one in answer.prepared[:TOLD]:
        findings.grade(
            "prepared",
            age(answer, one),
            expectation.prepared,
            subject=f"prepared transaction {one.gid}",
            unit="s",
            detail=f"by {one.owner} in {one.database}",
            since=one.prepared,
            evidence=_others(answer.prepared_total, "transactions are prepared"),
            facts={"gid": one.gid, "gid_database": one.database},
        )


def _others(count: int, what: str) -> list[str]:
    return [f"{count - TOLD} more {what}"] if count > TOLD else []


def _server(expectation: PostgresLocks) -> str:
    return expectation.target.address or expectation.target.name
