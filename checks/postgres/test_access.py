"""The rights of opscheck's own role on a PostgreSQL server."""

from collections.abc import Iterator

from opscheck import Findings, Observe
from opscheck.core.record import Finding
from opscheck.systems.postgres.access import ALTER_ROLE, CREATE_ROLE, DEMOTE, OWN_ROLE, REVOKE, OwnRole, PostgresAccess


def test_opscheck_can_only_read(expectation: PostgresAccess, observe: Observe, findings: Findings) -> None:
    """
    The role of opscheck can read, and nothing else.

    Its DSN is in a pipeline or on a laptop. An attacker who finds it can do everything that the role can, and so can a
    mistake in a policy.
    """
    role = observe(expectation.own_role)
    here = findings.on(f"role {role.name}", role=role.name)
    excess = list(_excess(expectation, role, here))
    here.measure("rights beyond reading", len(excess), limit=0, margin=-len(excess))
    here.report_all(excess)


def _excess(expectation: PostgresAccess, role: OwnRole, here: Findings) -> Iterator[Finding]:
    """Each right of the role beyond reading, except the allowed ones."""
    if role.superuser:
        remedies = (CREATE_ROLE,) if role.bootstrap else (CREATE_ROLE, DEMOTE)
        yield here.finding(observed="superuser", expected="a read-only role", remedies=remedies)
        return
    for attribute in role.attributes:
        if attribute not in expectation.allowed:
            observed, expected = f"has {attribute}", "no attribute except LOGIN"
            facts = {"attribute": f"NO{attribute}"}
            yield here.finding(observed=observed, expected=expected, remedies=(ALTER_ROLE,), facts=facts)
    for name in role.roles:
        if name not in expectation.allowed:
            observed, facts = f"member of {name}", {"membership": name}
            yield here.finding(observed=observed, expected="no role that can act", remedies=(REVOKE,), facts=facts)
    if role.owned:
        observed = f"owns {_several('database', role.owned)}"
        yield here.finding(observed=observed, expected="a role that owns no database", remedies=(OWN_ROLE,))
    if role.writable_count:
        more = role.writable_count - len(role.writable)
        tables = _several("table", role.writable) + (f" and {more} more" if more else "")
        yield here.finding(observed=f"may change rows of {tables}", expected="SELECT only", remedies=(OWN_ROLE,))


def _several(what: str, names: tuple[str, ...]) -> str:
    return f"{what}{'s' if len(names) > 1 else ''} {', '.join(names)}"
