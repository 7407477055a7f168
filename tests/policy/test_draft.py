"""From a policy file to a policy: in two phases, because a team's own checks are known late."""

import sys
from datetime import date
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from opscheck import Expectation, Graded, HttpTarget, Severity, Target
from opscheck.bundle import bundled
from opscheck.core.registry import Registry
from opscheck.core.units import Duration
from opscheck.policy.draft import read_policy
from opscheck.policy.errors import PolicyError
from opscheck.policy.models import PolicyFile
from opscheck.systems.http.response import HttpResponse
from opscheck.systems.redis.ping import RedisPong

TODAY = date(2026, 3, 1)

HEAD = """
version: 1
environment: production
targets:
  api: {kind: http, base_url: "https://api.example.com"}
  cache: {kind: redis, url: "redis://cache.example.com", timeout: 2s}
expectations:
"""
HEALTH = "  - {id: api-health, check: http.response, target: api, severity: P0}\n"
CACHE = "  - {id: cache, check: redis.ping, target: cache, severity: P1}\n"
QUEUE = "  - {id: queue, check: acme.queue_depth, target: api, waiting: {P2: 100}}\n"


@pytest.fixture
def draft(write):
    """What is known of a policy once its files were read."""

    def draft(text: str, **environ: str):
        return read_policy(write(text), environ=environ)

    return draft


def define_queue_depth() -> type[Expectation]:
    class QueueDepth(Expectation, check="acme.queue_depth"):
        """The queue drains."""

        target: HttpTarget
        waiting: Graded[int]

    return QueueDepth


# -- what ships ------------------------------------------------------------------------------------------------------

INSTALLATION = {
    "API_ENDPOINT": "api.example.com:443",
    "API_URL": "https://api.example.com",
    "API_TOKEN": "open-sesame",
    "DATABASE_URL": "postgres://ops:sesame-of-the-database@db.example.com/app",
    "REDIS_URL": "redis://cache.example.com",
}


def test_the_daily_policy_loads_with_nothing_but_its_environment():
    policy = read_policy(bundled("policies") / "daily.yaml", environ=INSTALLATION).finish(today=TODAY)

    assert policy.environment == "production"
    named = {"cluster", "api", "database", "cache", "db-host", "backups"}
    assert named | {"tls://${API_ENDPOINT}", "drills://state"} == set(policy.targets)
    assert {one.check for one in policy.expectations} == {
        "backup.content",
        "backup.objects",
        "host.disk",
        "http.response",
        "http.value",
        "kubernetes.certificates",
        "kubernetes.cronjobs",
        "kubernetes.logs",
        "kubernetes.nodes",
        "kubernetes.pods",
        "kubernetes.rollout",
        "kubernetes.services",
        "kubernetes.usage",
        "postgres.activity",
        "postgres.connections",
        "postgres.locks",
        "postgres.size",
        "postgres.vacuum",
        "recovery.drilled",
        "redis.memory",
        "redis.ping",
        "tls.certificate",
    }
    assert all(one.owner == "operations" and {"daily", "weekly"} & set(one.tags) for one in policy.expectations)


def test_base_alone_is_not_a_policy():
    with pytest.raises(PolicyError, match="expected at least one; nothing would be checked"):
        read_policy(bundled("policies") / "base.yaml", environ={}).finish(today=TODAY)


# -- two phases ------------------------------------------------------------------------------------------------------


def test_own_kind_becomes_known_between_the_phases(draft):
    read = draft(HEAD + HEALTH + QUEUE)
    unknown = read.unknown_checks()
    kind = define_queue_depth()
    read.registry.add(kind)
    policy = read.finish(today=TODAY)

    assert unknown == {"acme.queue_depth"}
    assert read.unknown_checks() == set()
    assert read.check_names() == {"http.response", "acme.queue_depth"}
    assert isinstance(policy.expectations[1], kind)


def test_own_kind_of_target_becomes_known_late(draft, monkeypatch):
    read = draft(HEAD.replace("  cache:", "  tank: {kind: tank, size: 5}\n  cache:") + HEALTH)

    class TankTarget(Target, kind="tank"):
        """A tank."""

        size: int

    class Tank(Expectation, check="tank.level"):
        """The tank is not too full."""

        target: TankTarget

    monkeypatch.setattr(sys.modules[__name__], "open_session", lambda target, timeout_s: None, raising=False)
    read.registry.add(Tank)

    assert read.finish(today=TODAY).targets["tank"].size == 5


def test_entries_are_those_of_one_kind_in_the_policy_s_order(draft):
    read = draft(HEAD + CACHE + HEALTH + HEALTH.replace("api-health", "api-again"))

    assert [one.id for one in read.entries(HttpResponse)] == ["api-health", "api-again"]
    assert [one.id for one in read.entries(RedisPong)] == ["cache"]
    assert read.entries(HttpResponse)[0] is read.entries(HttpResponse)[0]


def test_policy_contains_the_objects_of_its_entries(draft):
    read = draft(HEAD + CACHE + HEALTH)
    (entry,) = read.entries(HttpResponse)

    assert read.finish(today=TODAY).expectations[1] is entry


def test_finish_reports_the_errors_of_omitted_entries(draft):
    read = draft(HEAD + HEALTH + "  - {id: wrong, check: http.response, target: api}\n" + HEALTH)

    assert [one.id for one in read.entries(HttpResponse)] == ["api-health"]
    with pytest.raises(PolicyError) as error:
        read.finish(today=TODAY)
    assert [issue.line for issue in error.value.issues] == [9, 10]


def test_finish_reports_the_same_errors_each_time(draft):
    read = draft(HEAD + QUEUE)

    for _ in range(2):
        with pytest.raises(PolicyError, match=r"unknown check, got \"acme\.queue_depth\"") as error:
            read.finish(today=TODAY)
        assert len(error.value.issues) == 1


def test_errors_of_both_phases_come_together(draft):
    read = draft((HEAD + HEALTH).replace("https://api.example.com", "${API_URL}").replace("P0", "P9") + "colour: red\n")

    with pytest.raises(PolicyError) as error:
        read.finish(today=TODAY)
    assert [issue.path for issue in error.value.issues] == [
        "targets.api.base_url",
        "expectations[api-health].severity",
        "colour",
    ]


def test_invalid_target_is_reported_once(refusal):
    told = refusal(HEAD.replace("timeout: 2s", "timeout: 2") + CACHE + CACHE.replace("id: cache", "id: cache-2"))

    assert len(told.splitlines()) == 1
    assert told.startswith("policy.yaml:6:")


def test_exception_of_a_validator_is_a_policy_error(refusal):
    class Fragile(Expectation, check="acme.fragile"):
        """Breaks."""

        number: int

        def model_post_init(self, context: object) -> None:
            raise KeyError(self.number)

    registry = Registry.bundled()
    registry.add(Fragile)
    told = refusal(HEAD + "  - {id: one, check: acme.fragile, severity: P1, number: 7}\n", registry=registry)

    assert "expectations[one]: the validators of Fragile" in told
    assert "KeyError: 7" in told


# -- what a policy says ----------------------------------------------------------------------------------------------


def test_defaults_apply_to_omitted_fields(load):
    said = "defaults: {owner: platform, runbook: https://runbooks.example.com, tags: [daily], timeout: 3s}\n"
    policy = load(said + HEAD.lstrip() + HEALTH + CACHE.replace("}", ", owner: caches, tags: [gate]}"))
    health, cache = policy.expectations

    assert ("platform", ("daily",), "https://runbooks.example.com") == (health.owner, health.tags, health.runbook)
    assert ("caches", ("gate",)) == (cache.owner, cache.tags)


def test_target_timeout_overrides_the_default(load):
    policy = load("defaults: {timeout: 3s}\n" + HEAD.lstrip() + CACHE)

    assert Duration(3) == policy.default_timeout
    assert Duration(2) == policy.targets["cache"].timeout
    assert policy.expectations[0].timeout is None


def test_default_timeout_is_five_seconds(load):
    assert Duration(5) == load(HEAD + CACHE).default_timeout


def test_a_target_knows_its_name_and_an_expectation_its_place(load):
    policy = load(HEAD + HEALTH + CACHE)

    assert policy.expectations[1].system is policy.targets["cache"]
    assert policy.targets["cache"].name == "cache"
    assert ("policy.yaml", 9) == (policy.source("cache").file, policy.source("cache").line)


def test_the_first_escalation_rule_may_be_for_one_expectation(load):
    rule = "escalation:\n  - {match: {id: cache, severity: P1}, steps: [{after: 5m, notify: Maria}, {notify: Lead}]}\n"
    (escalation,) = load(HEAD + CACHE + rule).escalation

    assert ("cache", Severity.P1, None) == (escalation.match.id, escalation.match.severity, escalation.match.tag)
    assert [(300, "Maria"), (None, "Lead")] == [(step.after, step.notify) for step in escalation.steps]


def test_severity_removed_by_a_layer_is_reported(refusal):
    assert "severities: expected an entry for P3 too" in refusal(HEAD + CACHE + "severities: {P3: null}\n")


def test_order_of_keys_does_not_change_a_policy(load, write):
    text = HEAD + HEALTH + CACHE
    turned = yaml.safe_dump(dict(reversed(yaml.safe_load(text).items())), sort_keys=False)

    assert load(text).expectations == load(turned).expectations


# -- any policy ------------------------------------------------------------------------------------------------------

words = st.sampled_from(
    ["P1", "5s", "75%", "api", "api-health", "http.response", "${X}", "${", "", "2026-12-01", "{{ x }}"]
)
scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), words, st.text(max_size=5))
keys = st.sampled_from(
    [
        *PolicyFile.model_fields,
        *Target.model_fields,
        *HttpResponse.model_fields,
        "json",
        "base_url",
        "commands",
        "steps",
    ]
)
trees = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(keys, inner, max_size=5)),
    max_leaves=12,
)


@given(st.dictionaries(keys, trees, max_size=6), trees)
def test_any_document_is_a_policy_or_a_list_of_errors(tmp_path_factory, sections, entry):
    path = Path(tmp_path_factory.getbasetemp() / "any-policy.yaml")
    told = {
        "version": 1,
        "expectations": [{"id": "one", "check": "http.response", "target": "api", "x": entry}],
        **sections,
    }
    path.write_text(yaml.safe_dump(told), encoding="utf-8")

    with pytest.raises(PolicyError) as error:
        read_policy(path, environ={}).finish(today=TODAY, strict=True)

    assert all(line.startswith(str(path.parent)) for line in str(error.value).splitlines())
