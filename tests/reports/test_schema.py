"""The published JSON Schema of run records."""

import json

import jsonschema
import pytest
import sample_runs as sample

from opscheck.core.record import encode
from opscheck.reports.schema import PUBLISHED, run_schema


def _errors(document):
    validator = jsonschema.Draft202012Validator(run_schema(), format_checker=jsonschema.FormatChecker())
    return [error.message for error in validator.iter_errors(document)]


def test_published_schema_equals_the_generated_one():
    assert json.dumps(run_schema(), indent=2, ensure_ascii=False) + "\n" == PUBLISHED.read_text()


def test_schema_is_valid_json_schema():
    jsonschema.Draft202012Validator.check_schema(run_schema())


@pytest.mark.parametrize("run", [sample.EVERYTHING, sample.ALL_WELL, sample.NOTHING, sample.HOSTILE])
def test_every_record_is_valid(run):
    assert [] == _errors(json.loads(encode(run)))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda run: run.pop("gate"), "'gate' is a required property"),
        (lambda run: run["results"][1]["findings"][0].pop("severity"), "'severity' is a required property"),
        (lambda run: run["results"][0].update(verdict="fine"), "'fine' is not one of"),
        (lambda run: run.update(schema="opscheck.run/v2"), "'opscheck.run/v1' was expected"),
    ],
)
def test_invalid_record_violates_the_schema(change, said):
    document = json.loads(encode(sample.EVERYTHING))
    change(document)

    assert any(said in error for error in _errors(document))


def test_times_are_marked_as_times():
    definitions = run_schema()["$defs"]

    assert "date-time" == definitions["Run"]["properties"]["started_at"]["format"]
    assert "date-time" == definitions["Finding"]["properties"]["since"]["anyOf"][0]["format"]
