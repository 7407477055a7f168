"""Consistency between the parts of a policy: ids, waivers, severities, escalation, and commands."""

from collections.abc import Sequence as Entries
from datetime import date

from opscheck.core.expectation import Expectation
from opscheck.core.templates import malformed, unknown_names
from opscheck.core.units import Severity
from opscheck.policy.errors import Issues
from opscheck.policy.models import PolicyFile, Waiver
from opscheck.policy.nodes import Mapping, Node, Scalar, items_of, shown_text, text_of, walk
from opscheck.policy.suggestions import did_you_mean

_SOON_DAYS = 14


def check_severities(issues: Issues) -> None:
    """Every severity has an entry; a layer can remove one."""
    table = issues.root.items.get("severities")
    if isinstance(table, Mapping) and (missing := [one.value for one in Severity if one.value not in table.items]):
        issues.at(table, ("severities",), f"expected an entry for {', '.join(missing)} too")


def check_environment(issues: Issues) -> None:
    """The policy has an environment."""
    if "environment" not in issues.root.items:
        issues.at(issues.root, (), "the key `environment` is missing", hint="such as `environment: production`")


def check_ids(issues: Issues) -> None:
    """Every expectation has an id of its own."""
    first: dict[str, Node] = {}
    for index, node in _named(issues.root, "expectations"):
        name = text_of(node)
        if name in first:
            place = first[name].place
            rule = f"expected an id of its own; {shown_text(name)} is already used at {place.file}:{place.line}"
            issues.at(node, ("expectations", index), rule)
        elif name is not None:
            first[name] = node


def check_names(issues: Issues) -> None:
    """No name of a pytest item is secret: it selects the item, and reports contain it."""
    for index, entry in _mappings(issues.root, "expectations"):
        for path, node in _public_parts(entry):
            if isinstance(node, Scalar) and not node.unset and node.written != str(node.value):
                rule = "expected a public name; the value of a variable is secret"
                hint = "write it here, or list the variable in `public_variables`"
                issues.at(node, ("expectations", index, *path), rule, node.shown, hint)


def _public_parts(entry: Mapping) -> list[tuple[tuple[str | int, ...], Node]]:
    """The values of an expectation that become pytest names: its id, its check and its tags."""
    names = [((key,), entry.items[key]) for key in ("id", "check") if key in entry.items]
    return [*names, *((("tags", index), tag) for index, tag in enumerate(items_of(entry.items.get("tags"))))]


def check_waivers(issues: Issues, sections: PolicyFile, today: date, *, strict: bool) -> None:
    """Each expectation has at most one waiver. With `strict`, none may have expired."""
    ids = _ids(issues.root)
    seen: set[str] = set()
    for index, node in _named(issues.root, "waivers"):
        name, path = text_of(node), ("waivers", index)
        if name is None:
            continue
        if name not in ids:
            issues.at(node, path, "expected the id of an expectation", node.shown, did_you_mean(name, ids, "there are"))
        elif name in seen:
            issues.at(node, path, "expected one waiver for each expectation; this is the second")
        seen.add(name)
    for index, waiver in enumerate(sections.waivers if strict else ()):
        if waiver.expired(today):
            _refuse_expired(issues, index, waiver)


def waiver_notices(waivers: Entries[Waiver], today: date) -> tuple[str, ...]:
    """A sentence for each waiver that has expired or expires within 14 days."""
    return tuple(notice for waiver in waivers if (notice := _notice(waiver, today)))


def check_escalation(issues: Issues) -> None:
    """A rule for one expectation names an existing one."""
    ids = _ids(issues.root)
    for index in range(len(items_of(issues.root.items.get("escalation")))):
        node, path = walk(issues.root, ("escalation", index, "match", "id"))
        name = text_of(node) if path[-1] == "id" else None
        if name is not None and name not in ids:
            hint = did_you_mean(name, ids, "there are")
            issues.at(node, path, "expected the id of an expectation", node.shown, hint)


def check_commands(issues: Issues, index: int, expectation: Expectation) -> None:
    """Remediation commands name only known facts, and can be quoted safely."""
    commands = expectation.remediation.commands if expectation.remediation else ()
    for number, command in enumerate(commands):
        path = ("expectations", index, "remediation", "commands", number)
        node = walk(issues.root, path)[0]
        for fault in malformed(command):
            issues.at(node, path, fault)
        for name, meant in unknown_names(command, expectation):
            hint = f"did you mean {{{{ {meant} }}}}?" if meant else None
            issues.at(node, path, f"no finding of {expectation.check} knows {{{{ {name} }}}}", hint=hint)


def _refuse_expired(issues: Issues, index: int, waiver: Waiver) -> None:
    path = ("waivers", index, "expires")
    rule = "expected today or a later day; the waiver has expired"
    issues.at(walk(issues.root, path)[0], path, rule, waiver.expires.isoformat(), "renew or remove the waiver")


def _notice(waiver: Waiver, today: date) -> str | None:
    because = f"({waiver.owner}: {waiver.reason})"
    left = (waiver.expires - today).days
    if left < 0:
        return f"the waiver of {waiver.id} expired on {waiver.expires} and no longer applies {because}"
    if left > _SOON_DAYS:
        return None
    when = "today" if left == 0 else "tomorrow" if left == 1 else f"in {left} days"
    return f"the waiver of {waiver.id} expires {when}, on {waiver.expires} {because}"


def _ids(root: Mapping) -> list[str]:
    return [name for _, node in _named(root, "expectations") if (name := text_of(node)) is not None]


def _named(root: Mapping, section: str) -> list[tuple[int, Node]]:
    """The ids in a list, with their index."""
    return [(index, item.items["id"]) for index, item in _mappings(root, section) if "id" in item.items]


def _mappings(root: Mapping, section: str) -> list[tuple[int, Mapping]]:
    """The entries of a list that are mappings, with their index."""
    return [(index, item) for index, item in enumerate(items_of(root.items.get(section))) if isinstance(item, Mapping)]
