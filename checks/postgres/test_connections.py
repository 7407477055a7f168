"""The connections of a PostgreSQL server."""

from typing import Any

from opscheck import Findings, Observe
from opscheck.core.units import Graded
from opscheck.systems.postgres.connections import PostgresConnections
from opscheck.systems.postgres.readings.connections import (
    Slots,
    connection_slots,
    refusal,
    refused_facts,
    refused_subject,
    walsender_slots,
)


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
            facts=refused_facts(expectation, refused),
        )
    for slots in connection_slots(expectation, answer):
        findings.measure("connections", slots.used, subject=slots.subject)
        _grade("connections used", slots, slots.share, expectation.used, findings)
        _grade("connections free", slots, slots.free, expectation.free if slots.asked_for else None, findings)
    walsenders = walsender_slots(expectation, answer)
    if walsenders is not None:
        findings.measure("walsenders", walsenders.used, subject=walsenders.subject)
        _grade("walsenders used", walsenders, walsenders.share, expectation.walsenders, findings)


def _grade(name: str, slots: Slots, observed: float, limit: Graded[Any] | None, findings: Findings) -> None:
    findings.grade(
        name,
        observed,
        limit,
        subject=slots.subject,
        detail=slots.detail,
        evidence=slots.evidence,
        facts=slots.facts,
    )
