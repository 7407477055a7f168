"""What opscheck itself may do on a PostgreSQL server."""

from collections.abc import Iterator
from functools import partial

from opscheck import Findings, Observe
from opscheck.core.record import Finding
from opscheck.systems.postgres.access import ALTER_ROLE, CREATE_ROLE, DEMOTE, OWN_ROLE, REVOKE, OwnRole, PostgresAccess


def test_opscheck_may_only_look(expectation: PostgresAccess, observe: Observe, findings: Findings) -> None:
    """
    The role that opscheck logs in with may look, and nothing else.

    Its dsn lies wherever opscheck runs: in a pipeline, on a laptop. Whoever finds it can do all that the role may, and
    so can a query of a policy by mistake.
    """
    role = observe(expectation.own_role)
    excess = list(_excess(expectation, role))
    findings.measure("rights beside looking", len(excess), subject=f"role {role.name}", limit=0, margin=-len(excess))
    for finding in excess:
        findings.report(finding)


def _excess(expectation: PostgresAccess, role: OwnRole) -> Iterator[Finding]:
    """Each right that the role has besides reading, without those that the policy allows."""
    finding = partial(expectation.finding, subject=f"role {role.name}")
    known = {"role": role.name}
    if role.superuser:
        remedies = (CREATE_ROLE,) if role.bootstrap else (CREATE_ROLE, DEMOTE)
        observed, expected = "it is a superuser", "a role that may only look"
        yield finding(observed=observed, expected=expected, remedies=remedies, facts=known)
        return
    for attribute in role.attributes:
        if attribute not in expectation.allowed:
            observed, expected, facts = (
                f"it has {attribute}",
                "no attribute beside LOGIN",
                {"attribute": f"NO{attribute}"},
            )
            yield finding(observed=observed, expected=expected, remedies=(ALTER_ROLE,), facts=known | facts)
    for name in role.roles:
        if name not in expectation.allowed:
            observed, expected, facts = f"it is a member of {name}", "no role that acts", {"membership": name}
            yield finding(observed=observed, expected=expected, remedies=(REVOKE,), facts=known | facts)
    if role.owned:
        observed, expected = f"it owns {_several('database', role.owned)}", "a role that owns no database"
        yield finding(observed=observed, expected=expected, remedies=(OWN_ROLE,), facts=known)
    if role.writable_count:
        more = role.writable_count - len(role.writable)
        tables = _several("table", role.writable) + (f" and {more} more" if more else "")
        observed = f"it may change rows of {tables}"
        yield finding(observed=observed, expected="SELECT alone", remedies=(OWN_ROLE,), facts=known)


def _several(what: str, names: tuple[str, ...]) -> str:
    return f"{what}{'s' if len(names) > 1 else ''} {', '.join(names)}"
