"""What opscheck's own role may do beside looking."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from opscheck.systems.postgres.access import OwnRole, PostgresAccess


@dataclass(frozen=True)
class Excess:
    """One thing that the role may do and reading does not need."""

    observed: str
    expected: str
    facts: dict[str, str] = field(default_factory=dict)


def excess(expectation: PostgresAccess, role: OwnRole) -> Iterator[Excess]:
    """Everything that the role may do beside looking, without what the policy allows."""
    if role.superuser:
        yield _superuser(role)
        return
    for attribute in role.attributes:
        if attribute not in expectation.allowed:
            taken = {"attribute_role": role.name, "attribute": f"NO{attribute}"}
            yield Excess(f"it has {attribute}", "no attribute beside LOGIN", taken)
    for name in role.roles:
        if name not in expectation.allowed:
            yield Excess(f"it is a member of {name}", "no role that acts", {"role": role.name, "membership": name})
    if role.owned:
        yield Excess(f"it owns {_several('database', role.owned)}", "a role that owns no database")
    if role.writable_count:
        yield Excess(f"it may change rows of {_tables(role)}", "SELECT alone")


def _superuser(role: OwnRole) -> Excess:
    facts = {"superuser": role.name} | ({} if role.bootstrap else {"demotable": role.name})
    return Excess("it is a superuser", "a role that may only look", facts)


def _tables(role: OwnRole) -> str:
    more = role.writable_count - len(role.writable)
    return _several("table", role.writable) + (f" and {more} more" if more else "")


def _several(what: str, names: tuple[str, ...]) -> str:
    return f"{what}{'s' if len(names) > 1 else ''} {', '.join(names)}"
