"""What the clients of a PostgreSQL server do."""

from opscheck import Findings, Observe
from opscheck.systems.postgres.activity import PostgresActivity
from opscheck.systems.postgres.readings.activity import TOLD, Judged, rest


def test_no_client_takes_too_long(expectation: PostgresActivity, observe: Observe, findings: Findings) -> None:
    """
    No query runs, and no transaction stays open, for longer than it may.

    A forgotten transaction keeps its locks, so that others wait behind it, and keeps vacuum from removing what was
    deleted anywhere in the database; a query that never ends takes memory and disk from all others.
    """
    judged = Judged(expectation, observe(expectation.activity))
    _measure(judged, expectation.target.address or expectation.target.name, findings)
    overdue = judged.overdue()
    others = rest(overdue)
    for one in overdue[:TOLD]:
        findings.add(
            subject=one.subject,
            observed=one.breach.observed,
            expected=one.breach.expected,
            severity=one.breach.severity,
            since=one.since,
            evidence=[*one.evidence, *others],
            facts=one.facts,
        )
    judged.require_all()


def _measure(judged: Judged, server: str, findings: Findings) -> None:
    for one in judged.longest():
        limit, margin = one.limit.limit(one.seconds), one.limit.margin(one.seconds)
        findings.measure(f"longest {one.clock.name}", one.seconds, unit="s", subject=server, limit=limit, margin=margin)
    for left_out in judged.left_out():
        subject = f"allowed: {left_out.entry}"
        findings.measure("sessions", left_out.sessions, subject=subject)
        findings.measure("longest", left_out.longest, unit="s", subject=subject)
