"""The statements that a PostgreSQL server executes."""

from opscheck import Findings, Observe
from opscheck.systems.postgres.queries import PostgresQueries
from opscheck.systems.postgres.readings.query_statistics import (
    Workload,
    counted_evictions,
    evidence,
    facts,
    make_sure_of_the_rest,
    per_second,
    top,
    workload,
)


def test_statements_are_fast(expectation: PostgresQueries, observe: Observe, findings: Findings) -> None:
    """
    Statements are as fast as they should be.

    A statement that became slow, by a deployment or because its table has grown, holds a connection and the
    processors for longer each time, until everything else waits for it.
    """
    done = workload(expectation, observe)
    _report(expectation, done, findings)
    _judge_statements(expectation, done, findings)
    _judge_server(expectation, done, findings)
    make_sure_of_the_rest(expectation, done)


def _report(expectation: PostgresQueries, done: Workload, findings: Findings) -> None:
    findings.measure("statements", len(done.statements))
    findings.measure("execution time", done.seconds, unit="s")
    for one in top(expectation, done):
        findings.measure("calls", one.calls, subject=one.subject)


def _judge_statements(expectation: PostgresQueries, done: Workload, findings: Findings) -> None:
    reported = set(top(expectation, done))
    for one in done.statements:
        mean = expectation.mean if one.calls >= expectation.min_calls else None
        share = expectation.share if one.seconds > expectation.share_above else None
        judged = (("mean execution time", one.mean, mean), ("share of execution time", one.share, share))
        for name, observed, limit in judged:
            if one in reported or (limit is not None and limit.severity(observed)):
                findings.grade(
                    name,
                    observed,
                    limit,
                    subject=one.subject,
                    detail=done.over.text,
                    evidence=evidence(done, one),
                    facts=facts(done, one),
                )


def _judge_server(expectation: PostgresQueries, done: Workload, findings: Findings) -> None:
    subject = expectation.target.address or expectation.target.name
    if expectation.load is not None:
        findings.grade(
            "sessions that execute",
            per_second(expectation, done),
            expectation.load,
            subject=subject,
            detail=f"on average, {done.over.text}",
            evidence=[one.line for one in top(expectation, done)],
        )
    if expectation.evictions is not None:
        findings.grade(
            "evictions of statements",
            counted_evictions(expectation, done),
            expectation.evictions,
            subject=subject,
            detail=done.over.text,
            facts={"raised_max": str(2 * done.over.now.most)},
        )
