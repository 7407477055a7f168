"""The connections of a PostgreSQL server."""

from opscheck import Findings, Observe
from opscheck.expectations.postgres.connections import PostgresConnections
from opscheck.readings.postgres.connections import connection_slots, refusal, refused_subject


def test_clients_can_connect(expectation: PostgresConnections, observe: Observe, findings: Findings) -> None:
    """
    Clients can still connect.

    At the limit every new connection is refused, and with it each request that needs one; an application that leaks
    connections takes all others down with it. The server's limit comes before max_connections, as some are reserved.
    """
    answer = observe(expectation.sessions)
    refused = refusal(expectation, answer)
    if refused is not None:
        findings.add(
            subject=refused_subject(expectation, refused),
            observed=f"refused: {refused.text}",
            expected="a connection for role " + refused.role,
            severity=expectation.worst_severity,
        )
    for slots in connection_slots(expectation, answer):
        findings.measure("connections", slots.used, subject=slots.subject)
        findings.grade(
            "connections used",
            slots.share,
            expectation.used,
            subject=slots.subject,
            detail=slots.detail,
            evidence=slots.evidence,
            facts=slots.facts,
        )
        findings.grade(
            "connections free",
            slots.free,
            expectation.free if slots.asked_for else None,
            subject=slots.subject,
            detail=slots.detail,
            evidence=slots.evidence,
            facts=slots.facts,
        )
