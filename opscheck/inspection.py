"""Describing a policy without touching a target: validate, list, explain, permissions, schema."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from opscheck.core.exit_codes import UserError
from opscheck.core.expectation import Expectation
from opscheck.core.query import Permission
from opscheck.core.registry import Registry
from opscheck.core.target import Target
from opscheck.core.units import format_duration
from opscheck.core.words import counted
from opscheck.gathering.plan import timeout_of
from opscheck.policy.distributions import add_distribution
from opscheck.policy.draft import read_policy
from opscheck.policy.errors import Issue, PolicyError
from opscheck.policy.models import Policy
from opscheck.running.checks import Check, check_named

_ONLY_WITH_DRILL = "It writes only to a scratch system, and runs only with --drill."


@dataclass(frozen=True)
class Described:
    """A policy and the checks that judge it."""

    policy: Policy
    registry: Registry
    own: dict[str, Check]
    """The checks of the folders that the command names."""

    def check(self, name: str) -> Check | None:
        """The check of this name."""
        return self.own.get(name) or check_named(name, self.registry)

    def claim(self, expectation: Expectation) -> str:
        """The expectation in one sentence."""
        check = None if expectation.title else self.check(expectation.check)
        return expectation.title or (check.claim if check else "")


def read(path: Path, folders: Sequence[Path]) -> Described:
    """Read a policy and find its checks; variables need not be set. Raises UserError."""
    draft = read_policy(path, keep_unset=True)
    own = _own_checks(folders, draft.registry)
    policy = draft.finish(today=datetime.now(UTC).date())
    return Described(policy, draft.registry, own)


@dataclass(frozen=True)
class Validation:
    """The errors and the content of one policy file."""

    path: Path
    errors: tuple[Issue, ...] = ()
    expectations: int = 0
    is_layer: bool = False
    notices: tuple[str, ...] = ()

    def text(self) -> str:
        """A line for each error; without errors one line and the notices."""
        if self.errors:
            return "\n".join(map(str, self.errors))
        found = "a layer for other policies" if self.is_layer else counted(self.expectations, "expectation")
        return "\n".join([f"{self.path}: {found}, no errors", *(f"{self.path}: {notice}" for notice in self.notices)])


def validated(path: Path, folders: Sequence[Path], today: date, *, allow_unset: bool = False) -> Validation:
    """Validate a policy without touching a target. Variables may be unset with `allow_unset`."""
    try:
        draft = read_policy(path, keep_unset=allow_unset, layer_allowed=True)
        _own_checks(folders, draft.registry)
        policy = draft.finish(today=today, strict=True)
    except PolicyError as error:
        return Validation(path, error.issues)
    return Validation(path, (), len(policy.expectations), draft.is_layer, tuple(policy.notices))


def validated_json(found: Iterable[Validation]) -> str:
    """The same as one JSON document."""
    files = [
        {
            "file": str(one.path),
            "valid": not one.errors,
            "layer": one.is_layer,
            "expectations": one.expectations,
            "errors": [asdict(error) | {"text": str(error)} for error in one.errors],
            "notices": list(one.notices),
        }
        for one in found
    ]
    return json.dumps({"schema": "opscheck.validate/v1", "files": files}, indent=2, ensure_ascii=False)


def known_checks(folders: Sequence[Path], uses: Sequence[str] = ()) -> tuple[Registry, dict[str, Check]]:
    """The bundled systems and those of the distributions in `uses`, and the checks in `folders`."""
    registry = Registry.bundled()
    for requirement in uses:
        add_distribution(registry, requirement)
    return registry, _own_checks(folders, registry)


def policy_schema(folders: Sequence[Path], uses: Sequence[str] = ()) -> dict[str, Any]:
    """The JSON Schema of policy files, also with the checks in `folders` and of the distributions in `uses`."""
    registry, _ = known_checks(folders, uses)
    from opscheck.policy.schema import policy_schema as schema_of_policies  # noqa: PLC0415 - only `schema` needs it

    return schema_of_policies(registry)


def _own_checks(folders: Sequence[Path], registry: Registry) -> dict[str, Check]:
    if not folders:
        return {}
    from opscheck.running.launch import discover  # noqa: PLC0415 - pytest is not needed for the bundled checks

    return discover(folders, registry)


def listed(described: Described) -> str:
    """One line per expectation, aligned."""
    rows = [("ID", "SEVERITY", "CHECK", "TARGET", "EXPECTED")]
    for one in described.policy.expectations:
        claim = described.claim(one) + (" Only with --drill." if one.changes_its_target else "")
        rows.append((one.id, _severities(one), one.check, one.system.name if one.system else "-", claim))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = [
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[4]]) for row in rows
    ]
    return described.policy.secrets.clean("\n".join(line.rstrip() for line in lines))


def listed_json(described: Described) -> str:
    """The same as one JSON document."""
    entries = [
        {
            "id": one.id,
            "check": one.check,
            "target": one.system.name if one.system else None,
            "title": described.claim(one),
            "severities": _severities(one).split(","),
            "only_with_drill": one.changes_its_target,
            "tags": list(one.tags),
            "owner": one.owner,
            "source": {"file": described.policy.source(one.id).file, "line": described.policy.source(one.id).line},
        }
        for one in described.policy.expectations
    ]
    return described.policy.secrets.clean(json.dumps(entries, indent=2, ensure_ascii=False))


def explained(described: Described, name: str) -> str:
    """Everything about one expectation. Raises UserError when there is no such id."""
    expectation = _find(described.policy, name)
    check = described.check(expectation.check)
    source = described.policy.source(expectation.id)
    sections = [
        f"{expectation.id}: {described.claim(expectation)}",
        _paragraph("Claim", [check.claim, check.reason] if check else []),
        _paragraph("Judged by", [f"{expectation.check}, {check.file}:{check.line}" if check else expectation.check]),
        _paragraph("Target", [f"{one.name} ({one.kind}): {one.address}" for one in expectation.systems] or ["none"]),
        _paragraph("Writes", [_ONLY_WITH_DRILL] if expectation.changes_its_target else []),
        _paragraph("Limits", _limit_lines(expectation)),
        _paragraph("Queries", query_lines(expectation, described.policy)),
        _paragraph("Permissions", permission_lines(expectation) or ["none"]),
        _paragraph("Remediation", _remediation_lines(expectation)),
        _paragraph("About", _about_lines(expectation)),
        f"{source.file}:{source.line}",
    ]
    return described.policy.secrets.clean("\n\n".join(section for section in sections if section))


def permissions(described: Described, only: str | None = None) -> str:
    """
    The privileges that every target must grant, ready to apply, a commented section per target.

    `only` names one target, whose section can then be piped to kubectl or psql. Raises UserError when there is none.
    """
    # An inline target, such as an endpoint, grants nothing.
    targets = [
        name for name, target in described.policy.targets.items() if not described.registry.is_inline(target.kind)
    ]
    if only is not None and only not in targets:
        raise UserError(f"{described.policy.path}: no target is named {only}; there are {', '.join(sorted(targets))}")
    needed: dict[str, list[Permission]] = {}
    for expectation in described.policy.expectations:
        for query in expectation.described() if expectation.skip is None else ():
            for target, permission in query.permissions_by_target():
                needed.setdefault(target, []).append(permission)
    chosen = [name for name in targets if only in {None, name}]
    sections = [_rendered(described, name, needed.get(name, [])) for name in chosen]
    return described.policy.secrets.clean("\n\n".join(sections))


def _rendered(described: Described, name: str, needed: list[Permission]) -> str:
    target = described.policy.targets[name]
    renderer = described.registry.permissions(target.kind)
    # psql and pgbouncer.ini have comments of their own; other text would be part of the first statement.
    comment = getattr(renderer, "COMMENT", "#")
    if not needed or renderer is None:
        return f"{comment} {name} ({target.kind}): nothing to grant"
    text: str = renderer.render(target, list(dict.fromkeys(needed)))
    return f"{comment} {name} ({target.kind})\n{text.strip()}"


def _find(policy: Policy, name: str) -> Expectation:
    for expectation in policy.expectations:
        if expectation.id == name:
            return expectation
    near = get_close_matches(name, [one.id for one in policy.expectations], n=1)
    suggestion = f"; did you mean {near[0]}?" if near else f"; `opscheck list {policy.path}` shows them"
    if any(one.check == name for one in policy.expectations):
        suggestion = f"; it is a check: `opscheck checks {name}` describes it"
    raise UserError(f"{policy.path}: no expectation has the id {name}{suggestion}")


def _paragraph(title: str, lines: Iterable[str]) -> str:
    kept = [line for line in lines if line]
    return "\n".join([title, *(f"  {line}" for line in kept)]) if kept else ""


def _limit_lines(expectation: Expectation) -> list[str]:
    lines = [f"{name}: {limit}" for name, limit in expectation.limits().items()]
    if expectation.severity:
        lines.append(f"conditions without a threshold: {expectation.severity}")
    base = set(Expectation.model_fields) | {"target"} | set(expectation.limits())
    own = {
        field.alias or name: getattr(expectation, name)
        for name, field in type(expectation).model_fields.items()
        if name not in base
    }
    shown = {name: value for name, value in own.items() if not isinstance(value, Target)}
    return lines + [f"{name}: {_shown(value)}" for name, value in shown.items() if value not in (None, (), [], {}, "")]


def _shown(value: object) -> str:
    """A field's value as in a policy."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, BaseModel) and type(value).__str__ is BaseModel.__str__:
        return ", ".join(f"{name} {_shown(item)}" for name, item in value if item is not None)
    if isinstance(value, dict):
        return "; ".join(f"{name} ({_shown(item)})" for name, item in value.items())
    if isinstance(value, tuple | list):
        return "; ".join(str(item) for item in value)
    return str(value)


def query_lines(expectation: Expectation, policy: Policy) -> Iterator[str]:
    """Its queries in words, each with its time limit."""
    for query in expectation.described():
        timeout = format_duration(timeout_of(expectation, query, policy.default_timeout))
        kept = ", kept in the state file" if query.remembered else ""
        yield f"{query.text()}, answered within {timeout}{kept}"


def permission_lines(expectation: Expectation) -> list[str]:
    """The permissions of its queries, a line each."""
    needed = dict.fromkeys(permission for query in expectation.described() for permission in query.permissions())
    return [f"{one.text()}; risk: {one.risk}" if one.risk else one.text() for one in needed]


def _remediation_lines(expectation: Expectation) -> list[str]:
    """The policy's remediation, else each remedy of the check, then the facts that a policy may name."""
    suggested = (expectation.remediation,) if expectation.remediation else expectation.remedies
    lines = [line for one in suggested for line in (one.summary, *(f"$ {command}" for command in one.commands))]
    return [*lines, *(f"{{{{ {name} }}}}: {meaning}" for name, meaning in expectation.fact_names.items())]


def _about_lines(expectation: Expectation) -> list[str]:
    about = {"owner": expectation.owner, "runbook": expectation.runbook, "tags": ", ".join(expectation.tags)}
    about["skipped"] = expectation.skip
    return [f"{name}: {value}" for name, value in about.items() if value]


def _severities(expectation: Expectation) -> str:
    graded = {severity for limit in expectation.limits().values() for severity, _ in limit.steps}
    return ",".join(sorted(graded | ({expectation.severity} if expectation.severity else set())))
