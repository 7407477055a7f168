"""Describing a policy without touching a target: validate, list, permissions, schema."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from opscheck.core.exit_codes import UserError
from opscheck.core.expectation import Expectation
from opscheck.core.query import Permission
from opscheck.core.redaction import Secrets
from opscheck.core.registry import Registry
from opscheck.core.words import counted
from opscheck.policy.distributions import add_distribution
from opscheck.policy.draft import read_policy
from opscheck.policy.errors import Issue, PolicyError
from opscheck.policy.models import Policy
from opscheck.reports.text import padded, width_of, wrapped
from opscheck.running.checks import Check, check_named

_NARROWEST_CLAIM = 24
"""Columns below which a claim is hard to read."""


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


def read(path: Path, folders: Sequence[Path], below: Sequence[Path] = ()) -> Described:
    """Read a policy over the layers `below` it, and find its checks; variables need not be set. Raises UserError."""
    draft = read_policy(path, below=below, keep_unset=True)
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


def validated(
    path: Path, folders: Sequence[Path], today: date, *, below: Sequence[Path] = (), allow_unset: bool = False
) -> Validation:
    """Validate a policy over the layers `below` it, without touching a target. `allow_unset` is about variables."""
    try:
        draft = read_policy(path, below=below, keep_unset=allow_unset, layer_allowed=True)
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


def listed(described: Described, width: int | None = None) -> str:
    """
    One line per expectation, aligned: id, severities, check, target, claim.

    In at most `width` columns the claim is wrapped. Where that leaves too little room, target and check are left out.
    """
    rows: list[tuple[str, ...]] = [("ID", "SEVERITY", "CHECK", "TARGET", "EXPECTED")]
    for one in described.policy.expectations:
        claim = described.claim(one) + (" Only with --drill." if one.changes_its_target else "")
        cells = one.id, _severities(one), one.check, one.system.name if one.system else "-", claim
        rows.append(tuple(map(described.policy.secrets.clean, cells)))
    columns = _fitting(rows, width)
    return "\n".join(line for row in rows for line in _row(row, columns, width))


def _fitting(rows: Sequence[Sequence[str]], width: int | None) -> dict[int, int]:
    """The columns before the claim that fit, each with its width."""
    widths = {column: max(width_of(row[column]) for row in rows) for column in range(4)}
    for dropped in (3, 2, 1):
        if width is None or sum(widths.values()) + 2 * len(widths) + _NARROWEST_CLAIM <= width:
            break
        del widths[dropped]
    return widths


def _row(row: Sequence[str], columns: Mapping[int, int], width: int | None) -> Iterator[str]:
    head = "".join(f"{padded(row[column], size)}  " for column, size in columns.items())
    room = max((width or 0) - width_of(head), _NARROWEST_CLAIM)
    first, *rest = wrapped(row[4], room) if width else [row[4]]
    yield f"{head}{first}".rstrip()
    yield from (" " * width_of(head) + line for line in rest)


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
    return as_json("opscheck.list/v1", {"expectations": entries}, described.policy.secrets)


def as_json(schema: str, document: dict[str, Any], secrets: Secrets) -> str:
    """A document that says what it is, with no secret in it."""
    return json.dumps({"schema": schema, **_cleaned(document, secrets)}, indent=2, ensure_ascii=False)


def _cleaned(value: Any, secrets: Secrets) -> Any:
    if isinstance(value, dict):
        return {key: _cleaned(item, secrets) for key, item in value.items()}
    if isinstance(value, list):
        return [_cleaned(item, secrets) for item in value]
    return secrets.clean(value) if isinstance(value, str) else value


@dataclass(frozen=True)
class Grants:
    """The privileges of one target."""

    target: str
    kind: str
    comment: str
    """The comment marker of the tool that applies the text."""
    permissions: tuple[str, ...]
    text: str
    """Ready to apply; empty where nothing must be granted."""

    def section(self) -> str:
        """The text below a comment that names the target."""
        head = f"{self.comment} {self.target} ({self.kind})"
        return f"{head}\n{self.text}" if self.text else f"{head}: nothing to grant"


def permissions(described: Described, only: str | None = None) -> str:
    """
    The privileges that every target must grant, ready to apply, a commented section per target.

    `only` names one target, whose section can then be piped to kubectl or psql. Raises UserError when there is none.
    """
    return described.policy.secrets.clean("\n\n".join(one.section() for one in _grants(described, only)))


def permissions_json(described: Described, only: str | None = None) -> str:
    """The same as one JSON document."""
    targets = [
        {"target": one.target, "kind": one.kind, "permissions": list(one.permissions), "text": one.text}
        for one in _grants(described, only)
    ]
    return as_json("opscheck.permissions/v1", {"targets": targets}, described.policy.secrets)


def _grants(described: Described, only: str | None) -> list[Grants]:
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
    return [_granted(described, name, needed.get(name, [])) for name in targets if only in {None, name}]


def _granted(described: Described, name: str, needed: list[Permission]) -> Grants:
    target = described.policy.targets[name]
    renderer = described.registry.permissions(target.kind)
    # psql and pgbouncer.ini have comments of their own; other text would be part of the first statement.
    comment: str = getattr(renderer, "COMMENT", "#")
    distinct = list(dict.fromkeys(needed))
    text = renderer.render(target, distinct).strip() if distinct and renderer is not None else ""
    return Grants(name, target.kind, comment, tuple(one.text() for one in distinct), text)


def _severities(expectation: Expectation) -> str:
    graded = {severity for limit in expectation.limits().values() for severity, _ in limit.steps}
    return ",".join(sorted(graded | ({expectation.severity} if expectation.severity else set())))
