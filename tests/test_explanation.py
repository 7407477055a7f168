"""`explain`, `permissions` and `list`: as text of one width, and as JSON."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opscheck.bundle import bundled
from opscheck.check_reference import check_page
from opscheck.core.registry import Registry
from opscheck.explanation import explanation, no_answer_lines
from opscheck.inspection import Described, listed, listed_json, permissions_json, read

POLICY = """
version: 1
environment: here
targets:
  cache: {kind: redis, url: "redis://:hunter2secret@127.0.0.1:6379"}
  api: {kind: http, base_url: "https://api.example.com"}
expectations:
  - {id: fast, check: redis.ping, target: cache, severity: P1, latency: {P2: 50ms}}
  - {id: alive, check: redis.ping, target: cache, severity: P1}
  - {id: patient, check: redis.ping, target: cache, severity: P1, timeout: 1s, latency: {P2: 5s}}
  - {id: memory, check: redis.memory, target: cache, used: {P3: 80%, P2: 90%}, unlimited: true}
"""


@pytest.fixture(name="described")
def _described(tmp_path) -> Described:
    (tmp_path / "policy.yaml").write_text(POLICY)
    return read(tmp_path / "policy.yaml", ())


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        (
            "fast",
            [
                "violated (P1): no connection, no answer within 5s (exceeds the latency limit), an invalid answer",
                "unknown (P1): the requested object does not exist, access denied",
            ],
        ),
        (
            "alive",
            [
                "violated (P1): no connection, an invalid answer",
                (
                    "unknown (P1): no answer within 5s (without a latency limit), "
                    "the requested object does not exist, access denied"
                ),
            ],
        ),
        (
            "patient",
            [
                "violated (P1): no connection, an invalid answer",
                (
                    "unknown (P1): no answer within 1s (within the latency limit), "
                    "the requested object does not exist, access denied"
                ),
            ],
        ),
        (
            "memory",
            [
                (
                    "unknown (P2): no connection, no answer within 5s, an invalid answer, "
                    "the requested object does not exist, access denied"
                )
            ],
        ),
    ],
)
def test_verdict_on_a_missing_answer_is_explained(described, name, lines):
    page = explanation(described, name)

    assert no_answer_lines(page.expectation, described.policy) == lines
    assert "No answer\n  " + "\n  ".join(lines) in page.text()


def test_check_page_has_missing_answers_with_and_without_a_latency_limit():
    example = check_page("redis.ping", Registry.bundled(), {}).example

    assert example is not None
    assert [line.partition(":")[0] for line in example.no_answer] == ["violated (P0)", "unknown (P0)", "unknown (P0)"]
    assert "without a latency limit" in example.no_answer[2]


def test_explanation_as_json_has_a_schema_and_no_secret(described):
    document = json.loads(explanation(described, "fast").json())

    assert (document["schema"], document["id"]) == ("opscheck.explain/v1", "fast")
    assert document["targets"] == [{"name": "cache", "kind": "redis", "address": "redis://127.0.0.1:6379"}]
    assert {"problem": "no connection", "verdict": "violated", "severity": "P1"} in document["no_answer"]
    assert "hunter2secret" not in json.dumps(document)
    assert Path(document["source"]["file"]).name == "policy.yaml"


def test_permissions_as_json_are_listed_by_target(described):
    document = json.loads(permissions_json(described, "cache"))

    assert document["schema"] == "opscheck.permissions/v1"
    assert [one["target"] for one in document["targets"]] == ["cache"]
    assert "ping" in document["targets"][0]["permissions"]
    assert document["targets"][0]["text"]


@pytest.fixture(name="daily", scope="module")
def _daily() -> Described:
    return read(bundled("policies") / "daily.yaml", ())


@given(width=st.integers(60, 160))
def test_list_fits_the_width_and_cuts_no_word(daily, width):
    text = listed(daily, width)
    whole = {word for line in listed(daily).splitlines() for word in line.split()}

    assert max(map(len, text.splitlines())) <= width
    assert {word for line in text.splitlines() for word in line.split()} <= whole


def test_piped_list_has_one_whole_line_each(daily):
    assert len(listed(daily).splitlines()) == 1 + len(json.loads(listed_json(daily))["expectations"])
