"""The JSON Schema of policy files, made of the models that read them, for editors and for other validators."""

from collections.abc import Iterable, Iterator
from typing import Any, cast

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue, models_json_schema
from pydantic_core import core_schema

from opscheck.core.expectation import Expectation
from opscheck.core.field_docs import field_docs
from opscheck.core.registry import Registry
from opscheck.core.target import InlineTarget, Target
from opscheck.policy.models import PolicyFile, Waiver
from opscheck.policy.variables import NAME_PATTERN

DIALECT = "https://json-schema.org/draft/2020-12/schema"

Schema = dict[str, Any]

_REFERENCE: Schema = {
    "type": "string",
    "pattern": rf"\$\{{{NAME_PATTERN}(:-[^}}]*)?\}}",
    "description": "A text with ${NAME} or ${NAME:-default}, which come from the environment.",
}
_REFERENCE_AT = {"$ref": "#/$defs/reference"}
_NARROW = frozenset({"pattern", "format", "enum"})


def policy_schema(registry: Registry) -> Schema:
    """
    The JSON Schema (draft 2020-12) of one policy file, with the fields of every check that is known now.

    An entry of a file that extends another may leave out what the other says.
    """
    policy_at, definitions = _definitions([PolicyFile], _Generator)
    schema = definitions.pop(policy_at[PolicyFile])
    # The shipped base says all of it already.
    definitions["SeverityLevel"].pop("required")
    definitions["Waiver"]["required"] = ["id"]
    schema["properties"]["version"].pop("default")
    properties = _with_references(schema["properties"], skipping={"version"})
    # Pydantic asks only for the names that fit a pattern; other names would be let through with anything.
    (names,) = properties["targets"].pop("patternProperties")
    properties["targets"] |= {"propertyNames": {"pattern": names}, "additionalProperties": {"$ref": "#/$defs/target"}}
    properties["expectations"]["items"] = {"$ref": "#/$defs/expectation"}
    schema |= {
        "properties": properties,
        "required": ["version"],
        "if": {"not": {"required": ["extends"]}},
        "then": {"properties": _complete()},
    }
    everything = {
        "reference": _REFERENCE,
        **_with_references(definitions),
        **_targets(registry),
        **_expectations(registry),
    }
    return {"$schema": DIALECT, "title": "opscheck policy", **schema, "$defs": _used(everything, schema)}


def _complete() -> Schema:
    """The keys that entries of a file without `extends` must have."""
    return {
        "targets": {"additionalProperties": {"required": ["kind"]}},
        "expectations": {"items": {"required": ["id", "check"]}},
        "waivers": {"items": {"required": list(Waiver.model_fields)}},
    }


def _targets(registry: Registry) -> Schema:
    kinds = registry.target_types()
    at, definitions = _definitions(set(kinds.values()), _Generator)
    for name, kind in kinds.items():
        definition = definitions[at[kind]]
        definition["properties"].pop("name")
        definition["properties"]["kind"] = {"const": name, "description": field_docs(Target)["kind"]}
    named = {f"target.{name}": _with_references(definition) for name, definition in definitions.items()}
    choice = _choice("kind", {name: f"target.{at[kind]}" for name, kind in kinds.items()}, named)
    return named | {"target": choice | {"description": "One system that can be reached."}}


def _expectations(registry: Registry) -> Schema:
    kinds = registry.expectation_types()
    at, definitions = _definitions(set(kinds.values()), _expectation_generator(registry))
    for name, kind in kinds.items():
        properties = definitions[at[kind]]["properties"]
        properties["check"] = {"const": name, "description": field_docs(Expectation)["check"]}
    definitions = cast("Schema", _with_references(definitions))
    choice = _choice("check", {name: at[kind] for name, kind in kinds.items()}, definitions)
    choice["required"] = ["id"]
    return definitions | {"expectation": choice | {"description": "What should be true of one target."}}


def _choice(key: str, branches: dict[str, str], definitions: Schema) -> Schema:
    """A mapping whose `key` says which of the definitions it follows; without it, only their keys are known."""
    keys = {name for at in branches.values() for name in definitions[at]["properties"]}
    follow = [
        {
            "if": {"properties": {key: {"const": name}}, "required": [key]},
            "then": {"$ref": f"#/$defs/{at}"},
        }
        for name, at in branches.items()
    ]
    return {
        "type": "object",
        "properties": {key: {"enum": list(branches), "description": f"One of {', '.join(branches)}."}},
        "allOf": [*follow, {"if": {"not": {"required": [key]}}, "then": {"propertyNames": {"enum": sorted(keys)}}}],
    }


def _definitions(
    models: Iterable[type[BaseModel]], generator: type[GenerateJsonSchema]
) -> tuple[dict[type[BaseModel], str], Schema]:
    """The schemas of models and of all they are made of, by name, and the name of each model."""
    inputs = [(model, cast("Any", "validation")) for model in sorted(models, key=lambda model: model.__qualname__)]
    made, schema = models_json_schema(inputs, schema_generator=generator)
    names: dict[type[BaseModel], str] = {}
    definitions: Schema = schema.get("$defs", {})
    for (model, _), inline in made.items():
        # Of a model that looks values up first, pydantic gives no definition but the schema itself.
        name = inline.get("$ref", model.__qualname__).rpartition("/")[2]
        definitions.setdefault(name, inline)
        names[cast("type[BaseModel]", model)] = name
    return names, definitions


def _used(definitions: Schema, schema: Schema) -> Schema:
    """The definitions that `schema` leads to."""
    used: set[str] = set()
    ahead = set(_references(schema))
    while ahead:
        used |= ahead
        ahead = {name for at in ahead for name in _references(definitions[at])} - used
    return {name: definitions[name] for name in sorted(used)}


def _references(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        if isinstance(schema.get("$ref"), str):
            yield schema["$ref"].rpartition("/")[2]
        schema = list(schema.values())
    for item in schema if isinstance(schema, list) else ():
        yield from _references(item)


def _with_references(schema: Any, skipping: frozenset[str] | set[str] = frozenset()) -> Any:
    """`schema` that also allows `${NAME}` for each value that is not a text."""
    if isinstance(schema, list):
        return [_with_references(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if _is_narrow(schema):
        outside = {key: schema[key] for key in ("description", "default") if key in schema}
        inside = {key: value for key, value in schema.items() if key not in outside}
        return {"anyOf": [inside, _REFERENCE_AT], **outside}
    unchanged = {"propertyNames", "default", "const", *skipping}
    return {key: value if key in unchanged else _with_references(value) for key, value in schema.items()}


def _is_narrow(schema: Schema) -> bool:
    kind = schema.get("type")
    return kind in {"integer", "number", "boolean"} or (kind == "string" and not _NARROW.isdisjoint(schema))


class _Generator(GenerateJsonSchema):
    """Without what pydantic adds for programs: titles made of names, and null where a key may be left out."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 - pydantic's
        return False

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        made = super().model_schema(schema)
        made.pop("title", None)
        fields, docs = schema["cls"].model_fields, field_docs(schema["cls"])
        described = {field.alias or name: docs[name] for name, field in fields.items() if name in docs}
        for name, text in described.items():
            if name in made.get("properties", {}):
                made["properties"][name] = {**made["properties"][name], "description": text}
        return made

    def enum_schema(self, schema: core_schema.EnumSchema) -> JsonSchemaValue:
        made = super().enum_schema(schema)
        made.pop("title", None)
        return made

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        made = super().default_schema(schema)
        if made.get("default", "") is None or isinstance(made.get("default"), dict | list | tuple):
            made.pop("default")
        return made


def _expectation_generator(registry: Registry) -> type[GenerateJsonSchema]:
    """A generator for expectations, in which a target is its name."""

    class Generator(_Generator):
        def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
            kind = schema["cls"]
            if not issubclass(kind, Target):
                return super().model_schema(schema)
            if issubclass(kind, InlineTarget):
                return {"type": "string", "description": kind.noun}
            kinds = " or ".join(registry.kinds_of((kind,)))
            return {"type": "string", "description": f"The name of a target of kind {kinds}."}

    return Generator
