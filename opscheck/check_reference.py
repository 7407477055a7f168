"""The reference of checks, without a policy of the user: `opscheck checks`, and the pages of the documentation."""

import inspect
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from enum import Enum
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from opscheck.bundle import bundled
from opscheck.core.exit_codes import UserError
from opscheck.core.expectation import Expectation
from opscheck.core.field_docs import field_docs
from opscheck.core.registry import Registry
from opscheck.core.remedy import Remedy
from opscheck.core.target import InlineTarget, Target
from opscheck.core.units import ByteSize, Duration, Graded, GradedMinimum, Percentage, Severity
from opscheck.explanation import no_answer_lines, permission_lines, query_lines
from opscheck.inspection import read
from opscheck.policy.models import Policy
from opscheck.running.checks import Check, check_named

SCHEMA = "opscheck.checks/v1"
"""The `schema` of the JSON document."""

_NAMES = {Duration: "duration", Percentage: "percentage", ByteSize: "byte size", float: "number", int: "whole number"}
_NAMES |= {str: "text", bool: "true or false", Severity: "P0, P1, P2 or P3"}
_STEPS = {Duration: ("15m", "1h"), Percentage: ("75%", "90%"), ByteSize: ("10GB", "50GB")}


@dataclass(frozen=True)
class Field:
    """One key of an expectation, or of a mapping inside one (`parent.key`)."""

    name: str
    type: str
    required: bool
    default: str | None
    text: str


@dataclass(frozen=True)
class Example:
    """A policy that uses the check, and what its expectation queries."""

    policy: str
    queries: tuple[str, ...]
    permissions: tuple[str, ...]
    no_answer: tuple[str, ...]
    """The verdict on each kind of missing answer."""


@dataclass(frozen=True)
class CheckPage:
    """The reference of one check, for the author of an expectation."""

    name: str
    claim: str
    reason: str
    judgement: str
    """Its rules and the traps that it handles: the docstring of its expectation."""
    fields: tuple[Field, ...]
    severities: str
    remedies: tuple[Remedy, ...]
    facts: dict[str, str]
    """The values that a policy's own remediation may name."""
    example: Example | None
    writes: bool
    source: str


def checks_text(registry: Registry, own: Mapping[str, Check]) -> str:
    """Every check with its claim, by system; `own` are those of the folders that the command names."""
    return "\n\n".join("\n".join([system, *_aligned(rows)]) for system, rows in _claims(registry, own).items())


def checks_json(registry: Registry, own: Mapping[str, Check]) -> str:
    """The same as one JSON document."""
    listed = [{"check": name, "claim": claim} for rows in _claims(registry, own).values() for name, claim in rows]
    return _json({"checks": listed})


def page_json(page: CheckPage) -> str:
    """A page as one JSON document."""
    return _json(asdict(page))


def page_text(page: CheckPage) -> str:
    """A page for the terminal."""
    example = page.example
    sections = [
        f"{page.name}: {page.claim}",
        _section("Why", [page.reason]),
        _section("How it is judged", page.judgement.splitlines()),
        _section("Writes", ["It writes to a scratch system, and runs only with --drill."] if page.writes else []),
        _section("Fields", (line for field in page.fields for line in _field_lines(field))),
        _section("Severity", [page.severities]),
        _section("No answer (verdicts of the example)", example.no_answer if example else ()),
        _section("Queries of the example", example.queries if example else ()),
        _section("Permissions of the example", (example.permissions or ("none",)) if example else ()),
        _section("Remedies", (line for one in page.remedies for line in _remedy_lines(one))),
        _section("Values for `remediation`", (f"{{{{ {name} }}}}: {text}" for name, text in page.facts.items())),
        _section("Example", example.policy.splitlines() if example else ()),
        page.source,
    ]
    return "\n\n".join(section for section in sections if section)


def check_page(name: str, registry: Registry, own: Mapping[str, Check]) -> CheckPage:
    """The page of one check. Raises UserError when there is no such check."""
    kind, check = registry.expectation_type(name), own.get(name) or check_named(name, registry)
    if kind is None or check is None:
        near = get_close_matches(name, registry.checks, n=1)
        hint = f"did you mean {near[0]}?" if near else "`opscheck checks` lists them"
        raise UserError(f"no check is named {name}; {hint}")
    _, _, judgement = (inspect.getdoc(kind) or "").partition("\n\n")
    return CheckPage(
        name=name,
        claim=check.claim,
        reason=check.reason,
        judgement=judgement,
        fields=tuple(_fields(kind, registry)),
        severities=_severities(kind),
        remedies=kind.remedies,
        facts=dict(kind.fact_names),
        example=_example(name, registry),
        writes=kind.changes_its_target,
        source=f"{check.file}:{check.line}",
    )


def _claims(registry: Registry, own: Mapping[str, Check]) -> dict[str, list[tuple[str, str]]]:
    claims: dict[str, list[tuple[str, str]]] = {}
    for name in registry.checks:
        check = own.get(name) or check_named(name, registry)
        claims.setdefault(name.partition(".")[0], []).append((name, check.claim if check else ""))
    return claims


def _fields(kind: type[Expectation], registry: Registry) -> Iterator[Field]:
    """Its own fields, the required ones first; those that every expectation has are described once, elsewhere."""
    own = {name: field for name, field in kind.model_fields.items() if name not in Expectation.model_fields}
    yield from _described(kind, dict(sorted(own.items(), key=lambda item: not item[1].is_required())), registry)


def _described(
    model: type[BaseModel], fields: Mapping[str, FieldInfo], registry: Registry, prefix: str = ""
) -> Iterator[Field]:
    docs = field_docs(model)
    for name, field in fields.items():
        shown = prefix + (field.alias or name)
        yield Field(
            name=shown,
            type=type_text(field.annotation, registry),
            required=field.is_required(),
            default=_default(field),
            text=" ".join(docs.get(name, "").split()),
        )
        for inner in _models(field.annotation):
            yield from _described(inner, inner.model_fields, registry, f"{shown}.")


def type_text(annotation: Any, registry: Registry) -> str:  # noqa: PLR0911 - one per form that a type has
    """The type of a field, in the words of policy files."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return " or ".join(f"`{one}`" for one in inner)
    if origin is Annotated:
        return type_text(inner[0], registry)
    if origin in {Union, UnionType}:
        return " or ".join(dict.fromkeys(type_text(one, registry) for one in inner if one is not NoneType))
    if origin in {tuple, list, frozenset}:
        return f"list of {type_text(inner[0], registry)}"
    if origin is dict:
        return f"mapping of {type_text(inner[0], registry)} to {type_text(inner[1], registry)}"
    if origin is not None and issubclass(origin, Graded):
        return _limit_text(origin, inner[0], registry)
    return _class_text(annotation, registry)


def _limit_text(limit: type[Graded[Any]], of: Any, registry: Registry) -> str:
    mild, bad = _STEPS.get(get_args(of)[0] if get_origin(of) is Annotated else of, ("5", "10"))
    if issubclass(limit, GradedMinimum):
        mild, bad = bad, mild
    return f"limit ({limit.words}): {type_text(of, registry)}, such as {{P2: {mild}, P1: {bad}}}"


def _class_text(annotation: Any, registry: Registry) -> str:
    if annotation in _NAMES:
        return _NAMES[annotation]
    if not isinstance(annotation, type):
        return "value"
    if issubclass(annotation, InlineTarget):
        return annotation.noun or "text"
    if issubclass(annotation, Target):
        return f"name of a target of kind {' or '.join(registry.kinds_of((annotation,)))}"
    if issubclass(annotation, Enum):
        return " or ".join(f"`{one.value}`" for one in annotation)
    return "mapping" if issubclass(annotation, BaseModel) else "text"


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel) and not issubclass(annotation, Target):
        yield annotation
    for inner in get_args(annotation):
        yield from _models(inner)


def _default(field: FieldInfo) -> str | None:
    value = field.default
    if field.is_required() or field.default_factory or value in (None, (), ""):
        return None
    if isinstance(value, bool):
        return str(value).lower()
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _severities(kind: type[Expectation]) -> str:
    limits = [name for name, field in kind.model_fields.items() if "Graded" in str(field.annotation)]
    graded = f"Each step of {' and '.join(f'`{name}`' for name in limits)} has its own. " if limits else ""
    needed = kind.needs_severity or not limits
    return f"{graded}`severity` is {'required' if needed else 'only needed for a limit without steps'}."


def _example(name: str, registry: Registry) -> Example | None:
    system = registry.systems.get(name.partition(".")[0])
    folder = system.examples if system and system.examples else bundled("policies")
    for file in sorted(folder.glob("*.yaml")):
        blocks = file.read_text(encoding="utf-8").split("\n\n")
        for block in blocks:
            if f"check: {name}\n" in f"{block}\n":
                return _example_of(name, file, block, blocks)
    return None


def _example_of(name: str, file: Path, block: str, blocks: list[str]) -> Example:
    described = read(file, ())
    expectation = next(one for one in described.policy.expectations if one.check == name)
    names = {one.name for one in expectation.systems}
    targets = [line for each in blocks for line in each.splitlines() if line.partition(":")[0].strip() in names]
    # The block of the first expectation has the key of the list above it.
    entry = block.rstrip().removeprefix("expectations:\n")
    head = ["version: 1", "environment: production"]
    policy = "\n".join([*head, *(["targets:", *targets] if targets else []), "expectations:", entry])
    return Example(
        policy,
        tuple(query_lines(expectation, described.policy)),
        tuple(permission_lines(expectation)),
        tuple(_no_answer(expectation, described.policy)),
    )


def _no_answer(expectation: Expectation, policy: Policy) -> Iterator[str]:
    """The meaning of a missing answer, with and without a latency limit."""
    lines = no_answer_lines(expectation, policy)
    yield from lines
    if "latency" in expectation.limits():
        without = no_answer_lines(expectation.model_copy(update={"latency": None}), policy)
        yield from (line for line in without if line.partition(":")[0].startswith("unknown") and line not in lines)


def _aligned(rows: list[tuple[str, str]]) -> list[str]:
    width = max(len(name) for name, _ in rows)
    return [f"  {name.ljust(width)}  {claim}" for name, claim in rows]


def _section(title: str, lines: Iterable[str]) -> str:
    kept = list(lines)
    return "\n".join([title, *(f"  {line}".rstrip() for line in kept)]) if any(kept) else ""


def _field_lines(field: Field) -> Iterator[str]:
    default = "required" if field.required else f"default {field.default}" if field.default else "optional"
    yield f"{field.name}  ({field.type}; {default})"
    yield f"  {field.text}"


def _remedy_lines(remedy: Remedy) -> Iterator[str]:
    yield remedy.summary
    yield from (f"  $ {command}" for command in remedy.commands)


def _json(document: dict[str, Any]) -> str:
    return json.dumps({"schema": SCHEMA, **document}, indent=2, ensure_ascii=False)
