"""Layering: what one file adds to another."""

import hashlib
from datetime import timedelta

import pytest

from opscheck import Severity

BASE = """
version: 1
environment: staging
defaults: {timeout: 3s, owner: platform}
public_variables: [STAGE]
targets:
  api: {kind: http, base_url: "https://staging.example.com", timeout: 2s}
  cache: {kind: redis, url: "redis://cache.example.com"}
expectations:
  - {id: api-health, check: http.response, target: api, severity: P1, latency: {P2: 1s, P1: 5s}, tags: [daily, gate]}
  - {id: cache, check: redis.ping, target: cache, severity: P0}
"""


@pytest.fixture
def over(write, load):
    """The policy that a text says over BASE."""

    def over(text: str, base: str = BASE):
        write(base, "base.yaml")
        return load(f"version: 1\nextends: base.yaml\n{text}")

    return over


def ids(policy):
    return [one.id for one in policy.expectations]


def test_mappings_merge_key_by_key(over):
    policy = over("""
environment: production
targets:
  api: {base_url: "https://api.example.com"}
defaults: {owner: operations}
""")

    assert policy.environment == "production"
    assert policy.targets["api"].base_url.get_secret_value() == "https://api.example.com"
    assert policy.targets["api"].timeout == 2
    assert policy.default_timeout == 3
    assert policy.expectations[0].owner == "operations"


def test_lists_replace(over):
    policy = over("expectations:\n  - {id: api-health, tags: [nightly]}\n")

    assert policy.expectations[0].tags == ("nightly",)


def test_entries_merge_by_id_and_keep_their_place_and_new_ones_follow(over):
    policy = over("""
expectations:
  - {id: workflows, check: http.value, target: api, value: active, at_most: {P3: 500}}
  - {id: cache, latency: {P2: 50ms}}
""")

    assert ids(policy) == ["api-health", "cache", "workflows"]
    assert policy.expectations[1].severity is Severity.P0
    assert str(policy.expectations[1].latency) == "P2 <= 50ms"


def test_a_graded_limit_merges_step_by_step(over):
    policy = over("expectations:\n  - {id: api-health, latency: {P1: 10s, P0: 30s}}\n")

    assert str(policy.expectations[0].latency) == "P2 <= 1s, P1 <= 10s, P0 <= 30s"


def test_null_removes_the_value_of_the_base(over):
    policy = over("expectations:\n  - {id: api-health, latency: {P2: null}, tags: null}\n")

    assert str(policy.expectations[0].latency) == "P1 <= 5s"
    assert policy.expectations[0].tags == ()


def test_empty_section_keeps_the_expectations_of_the_base(refusal, write):
    write(BASE, "base.yaml")

    assert "expectations: expected a list, got nothing" in refusal("version: 1\nextends: base.yaml\nexpectations:\n")


def test_waivers_merge_by_id(over):
    base = BASE + "waivers:\n  - {id: cache, reason: moving, owner: maria, expires: 2026-04-01}\n"
    policy = over("waivers:\n  - {id: cache, expires: 2026-06-01}\n", base)

    assert policy.waivers["cache"].expires.isoformat() == "2026-06-01"
    assert policy.waivers["cache"].reason == "moving"


def test_several_files_are_layered_in_their_order(load, write):
    write(BASE, "base.yaml")
    write("version: 1\nenvironment: eu\ndefaults: {owner: eu}\n", "eu.yaml")
    write("version: 1\nenvironment: blue\n", "blue.yaml")
    policy = load("version: 1\nextends: [base.yaml, eu.yaml, blue.yaml]\n")

    assert (policy.environment, policy.expectations[0].owner) == ("blue", "eu")


def test_a_file_that_two_layers_extend_does_not_undo_the_first(load, write):
    write(BASE, "base.yaml")
    write("version: 1\nextends: base.yaml\nenvironment: left\n", "left.yaml")
    write("version: 1\nextends: base.yaml\ndefaults: {owner: right}\n", "right.yaml")
    policy = load("version: 1\nextends: [left.yaml, right.yaml]\n")

    assert (policy.environment, policy.expectations[0].owner) == ("left", "right")
    assert ids(policy) == ["api-health", "cache"]


def test_layer_path_is_relative_to_the_extending_file(load, write):
    write(BASE, "shared/common/base.yaml")
    write("version: 1\nextends: common/base.yaml\n", "shared/team.yaml")

    assert ids(load("version: 1\nextends: shared/team.yaml\n")) == ["api-health", "cache"]


def test_the_shipped_base_comes_before_everything(load, over):
    policy = over("severities:\n  P1: {respond_within: 30m}\n")

    assert {severity: level.name for severity, level in policy.severities.items()} == {
        "P0": "Critical",
        "P1": "High",
        "P2": "Medium",
        "P3": "Low",
    }
    assert timedelta(minutes=30) == timedelta(seconds=policy.severities[Severity.P1].respond_within)
    assert policy.escalation[-1].steps[0].notify == "On-call Engineer"


def test_the_shipped_base_can_be_named_and_changes_nothing_then(load):
    text = BASE.replace("version: 1\n", "version: 1\nescalation: [{steps: [{notify: Me}]}]\n")
    plain, named = load(text), load(text + "extends: opscheck:base.yaml\n")

    assert plain.severities == named.severities
    assert plain.escalation == named.escalation


def test_missing_bundled_layer_is_reported_at_its_place(refusal):
    told = refusal("version: 1\nextends: opscheck:bse.yaml\n")

    assert told == "policy.yaml:2:10: extends: opscheck:bse.yaml: no such file; did you mean base.yaml?"


def test_the_name_of_a_layer_may_come_from_the_environment(load, refusal, write):
    write(BASE, "eu.yaml")
    policy = load("version: 1\nextends: ${REGION}.yaml\n", {"REGION": "eu"})

    assert ids(policy) == ["api-health", "cache"]
    assert policy.source("cache").file == "${REGION}.yaml"
    assert refusal("version: 1\nextends: ${REGION}.yaml\n").startswith(
        "policy.yaml:2:10: extends: the variable REGION is not set"
    )


@pytest.mark.parametrize("name", ["''", "[]", "[3]", "{a: b}", '"nul\\0.yaml"', "."], ids=repr)
def test_invalid_extends_is_rejected_at_its_place(refusal, name):
    assert refusal(f"version: 1\nextends: {name}\n").startswith("policy.yaml:2:1")


def test_malformed_reference_in_extends_is_reported(refusal):
    told = refusal("version: 1\nextends: ${REGION.yaml\n")

    assert told.startswith("policy.yaml:2:10: extends: expected ${NAME} or ${NAME:-default}")


def test_cycle_of_layers_is_rejected(refusal, write):
    for number in range(60):
        write(f"version: 1\nextends: {number + 1}.yaml\n", f"{number}.yaml")

    assert refusal("version: 1\nextends: 0.yaml\n") == (
        "48.yaml:2:10: extends: expected at most 50 files that extend each other"
    )


def test_error_names_the_file_of_the_value(refusal, write):
    write(BASE.replace("{P2: 1s, P1: 5s}", "{P2: 1, P1: 5s}"), "base.yaml")
    told = refusal("version: 1\nextends: base.yaml\nexpectations:\n  - {id: cache, latency: {P2: soon}}\n")

    assert [line.partition(": ")[0] for line in told.splitlines()] == ["base.yaml:10:85", "policy.yaml:4:31"]


def test_merged_expectation_keeps_its_first_place(over):
    policy = over("""
expectations:
  - {id: cache, latency: {P2: 50ms}}
  - {id: new, check: redis.ping, target: cache, severity: P3}
""")

    assert ("base.yaml", 11) == (policy.source("cache").file, policy.source("cache").line)
    assert ("policy.yaml", 6) == (policy.source("new").file, policy.source("new").line)


def test_hash_covers_the_files_in_order(over, write):
    policy = over("environment: production\n")
    named = "version: 1\nextends: base.yaml\nenvironment: production\n" + BASE

    assert hashlib.sha256(named.encode()).hexdigest() == policy.sha256


def test_broken_layer_is_reported_with_other_errors(refusal, write):
    write("version: 1\ntargets: {\n", "broken.yaml")
    told = refusal("environment: production\nextends: broken.yaml\n")

    assert "policy.yaml:1:1: the key `version` is missing" in told
    assert "broken.yaml:3:1: targets: invalid YAML" in told
