"""The JSON Schema says what the models say, to editors and to validators that are not ours."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from yamlcore import CCoreLoader

from opscheck import Expectation, Graded, HttpTarget, Percentage
from opscheck.bundle import bundled
from opscheck.core.registry import Registry
from opscheck.policy import models
from opscheck.policy.schema import policy_schema
from tests.registries import BUNDLED

CHECKS = BUNDLED.checks
TARGETS = BUNDLED.target_kinds
CASES = Path(__file__).with_name("cases")
SHIPPED = sorted(bundled("policies").glob("*.yaml"))
BROKEN_IN_STRUCTURE = [
    "empty-file",
    "empty-limit",
    "entries-that-are-no-mappings",
    "escalation-of-nobody",
    "list-for-mapping",
    "merge-key",
    "odd-ids-and-tags",
    "only-comments",
    "root-is-a-list",
    "secrets-are-not-shown",
    "severity-misspelt",
    "unknown-check",
    "unknown-key",
    "unknown-kind-of-target",
    "waiver-that-never-ends",
    "wrong-unit",
    "wrong-version",
]


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    return policy_schema(BUNDLED)


@pytest.fixture(scope="module")
def errors(schema):
    """What another validator has against a policy."""
    validator = Draft202012Validator(schema)

    def errors(policy: Any) -> list[str]:
        return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(policy)]

    return errors


def document(path: Path) -> Any:
    with path.open(encoding="utf-8") as file:
        return yaml.load(file, CCoreLoader)  # noqa: S506 - it makes plain values only


def test_it_is_a_schema(schema):
    Draft202012Validator.check_schema(schema)

    assert schema == json.loads(json.dumps(schema))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_every_shipped_policy_is_valid(errors, path):
    assert errors(document(path)) == []


@pytest.mark.parametrize("name", BROKEN_IN_STRUCTURE)
def test_structural_error_violates_the_schema(errors, name):
    assert errors(document(CASES / f"{name}.yaml"))


def described(schema: dict[str, Any], key: str, definition: dict[str, Any]) -> bool:
    """True when a key is there and has a text, its own or that of what it refers to."""
    prop = definition["properties"].get(key, {})
    reference = prop.get("$ref", "").rpartition("/")[2]
    return bool(prop.get("description") or schema["$defs"].get(reference, {}).get("description"))


@pytest.mark.parametrize("name", CHECKS)
def test_every_field_of_every_check_is_there_with_its_text(schema, name):
    kind = BUNDLED.expectation_types()[name]
    keys = [field.alias or key for key, field in kind.model_fields.items()]
    definition = schema["$defs"][kind.__name__]

    assert [] == [key for key in keys if not described(schema, key, definition)]
    assert sorted(keys) == sorted(definition["properties"])
    assert definition["additionalProperties"] is False


@pytest.mark.parametrize("name", TARGETS)
def test_every_field_of_every_target_is_there_with_its_text(schema, name):
    definition = schema["$defs"][f"target.{BUNDLED.target_types()[name].__name__}"]

    assert {"name", *definition["properties"]} == set(BUNDLED.target_types()[name].model_fields)
    assert [] == [key for key in definition["properties"] if not described(schema, key, definition)]


@pytest.mark.parametrize(
    "model",
    [models.Defaults, models.EscalationRule, models.EscalationStep, models.Match, models.SeverityLevel, models.Waiver],
)
def test_every_other_part_is_there_with_its_texts(schema, model):
    definition = schema["$defs"][model.__name__]

    assert set(model.model_fields) == set(definition["properties"])
    assert [] == [key for key in model.model_fields if not described(schema, key, definition)]


def test_every_section_is_there_with_its_text(schema):
    assert set(models.PolicyFile.model_fields) == set(schema["properties"])
    assert [] == [key for key in schema["properties"] if not described(schema, key, schema)]


# -- what it lets through --------------------------------------------------------------------------------------------

PING = {"id": "cache", "check": "redis.ping", "target": "cache", "severity": "P0"}


def with_entry(**fields: Any) -> dict[str, Any]:
    return {"version": 1, "expectations": [{**PING, **fields}]}


@pytest.mark.parametrize(
    "fields",
    [
        {"latency": "50ms"},
        {"latency": {"P2": "50ms", "P1": "1h30m"}},
        {"latency": "${LATENCY:-50ms}"},
        {"latency": {"P2": "${LATENCY}"}},
        {"samples": "${SAMPLES:-5}"},
        {"severity": "${SEVERITY:-P0}"},
        {"tags": ["daily", "${TAG}"]},
    ],
    ids=repr,
)
def test_limits_are_plain_or_graded_and_may_come_from_the_environment(errors, fields):
    assert errors(with_entry(**fields)) == []


@pytest.mark.parametrize(
    "fields",
    [
        {"latency": 50},
        {"latency": "50"},
        {"latency": {"P5": "50ms"}},
        {"latency": {}},
        {"latency": None},
        {"latncy": "50ms"},
        {"samples": 0},
        {"severity": "critical"},
        {"target": {"kind": "redis"}},
        {"check": "redis.pong"},
    ],
    ids=repr,
)
def test_schema_rejects_what_the_loader_rejects(errors, fields):
    assert errors(with_entry(**fields))


def test_entry_of_an_overlay_may_omit_keys_of_the_base(errors):
    overlay = {
        "version": 1,
        "extends": "base.yaml",
        "targets": {"cache": {"url": "redis://cache"}},
        "expectations": [{"id": "cache", "latency": {"P2": "10ms"}}],
        "waivers": [{"id": "cache", "expires": "2026-12-01"}],
    }

    assert errors(overlay) == []
    assert len(errors({key: value for key, value in overlay.items() if key != "extends"})) == 4
    assert errors(overlay | {"expectations": [{"id": "cache", "latncy": "10ms"}]})


def test_schema_includes_own_checks():
    class QueueDepth(Expectation, check="acme.queue_depth"):
        """The queue drains."""

        target: HttpTarget
        waiting: Graded[Percentage]
        """How full the queue may be."""

    registry = Registry.bundled()
    registry.add(QueueDepth)
    schema = policy_schema(registry)
    definition = schema["$defs"]["QueueDepth"]

    assert definition["description"] == "The queue drains."
    assert definition["properties"]["waiting"]["description"] == "How full the queue may be."
    assert definition["properties"]["target"] == {
        "type": "string",
        "description": "The name of a target of kind http or prometheus.",
    }
    assert "acme.queue_depth" in schema["$defs"]["expectation"]["properties"]["check"]["enum"]
