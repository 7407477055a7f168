"""What opscheck itself may do on a PostgreSQL server."""

from opscheck import Findings, Observe
from opscheck.systems.postgres.access import PostgresAccess
from opscheck.systems.postgres.readings.identity import excess


def test_opscheck_may_only_look(expectation: PostgresAccess, observe: Observe, findings: Findings) -> None:
    """
    The role that opscheck logs in with may look, and nothing else.

    Its dsn lies wherever opscheck runs: in a pipeline, on a laptop. Whoever finds it can do all that the role may, and
    so can a query of a policy by mistake.
    """
    role = observe(expectation.own_role)
    beside = list(excess(expectation, role))
    findings.measure("rights beside looking", len(beside), subject=f"role {role.name}", limit=0, margin=-len(beside))
    for one in beside:
        findings.add(subject=f"role {role.name}", observed=one.observed, expected=one.expected, facts=one.facts)
