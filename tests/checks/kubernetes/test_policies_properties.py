"""Judging autoscalers, budgets and quotas: whatever an object lacks, nothing is raised, and no order matters."""

from contextlib import suppress

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from checks.kubernetes.test_disruption import as_text
from opscheck.core.observation import CouldNotObserve
from opscheck.demo.kubernetes import condition, pod, policies
from opscheck.systems.kubernetes.autoscaling import Autoscaling
from opscheck.systems.kubernetes.disruption import DisruptionBudgets
from opscheck.systems.kubernetes.objects import LabelRequirement, LabelSelector
from opscheck.systems.kubernetes.quotas import Quotas
from tests.checks.kubernetes.judging_pods import ago
from tests.checks.kubernetes.judging_policies import judged
from tests.property_tests import examples

AUTOSCALER = policies.autoscaler(
    "api", created=ago(days=9), replicas=10, limited="TooManyReplicas", active="FailedGetResourceMetric"
)
BUDGET = policies.disruption_budget("web", created=ago(days=9), healthy=1)
QUOTA = policies.quota("compute", created=ago(days=9), hard={"pods": "10", "limits.cpu": "2"}, used={"pods": "11"})
PODS = [pod(f"web-{end}", labels={"app": "web"}, ready=False, created=ago(days=1)) for end in ("1", "2")]
POLICIES = [
    (Autoscaling, AUTOSCALER, {}),
    (DisruptionBudgets, BUDGET, {"allowed": {"P3": 1}, "min_pods": 1}),
    (Quotas, QUOTA, {}),
]
CASES = pytest.mark.parametrize(("kind", "whole", "fields"), POLICIES, ids=["autoscaler", "budget", "quota"])


def paths(item, path=()):
    """The path of every field of an object, but for what names it and says which list it is in."""
    for key, value in item.items() if isinstance(item, dict) else enumerate(item):
        if (*path, key) in {("kind",), ("metadata",), ("metadata", "name"), ("metadata", "namespace")}:
            if key == "metadata":
                yield from paths(value, (*path, key))
            continue
        yield (*path, key)
        if isinstance(value, dict | list):
            yield from paths(value, (*path, key))


def without(item, path, *, null):
    """The object with one field null or missing; an entry of a list can only be missing."""
    copy = msgspec.json.decode(msgspec.json.encode(item))
    at = copy
    for key in path[:-1]:
        at = at[key]
    if null and isinstance(at, dict) and path[:2] != ("spec", "hard") and path[:2] != ("status", "hard"):
        at[path[-1]] = None
    else:
        del at[path[-1]]
    return copy


@CASES
@pytest.mark.parametrize("null", [True, False], ids=["null", "missing"])
def test_no_field_is_needed(kind, whole, fields, null):
    for path in paths(whole):
        quantity = len(path) == 3 and path[1] in {"hard", "used"}
        lacking = without(whole, path, null=null and not quantity and "matchLabels" not in path[:-1])
        with suppress(CouldNotObserve):
            judged(kind, lacking, *PODS, **fields)


@CASES
@given(data=st.data())
@settings(max_examples=examples(60))
def test_objects_without_many_fields_are_judged(kind, whole, fields, data):
    lacking = whole
    for _ in range(data.draw(st.integers(2, 6))):
        left = [path for path in paths(lacking) if "matchLabels" not in path[:-1]]
        lacking = without(lacking, data.draw(st.sampled_from(left)), null=False)
    with suppress(CouldNotObserve):
        judged(kind, lacking, *PODS, **fields)


@CASES
@given(data=st.data())
@settings(max_examples=examples(30))
def test_the_order_of_lists_means_nothing(kind, whole, fields, data):
    other = msgspec.json.decode(msgspec.json.encode(whole))
    other["metadata"]["name"] = "other"
    shuffled = msgspec.json.decode(msgspec.json.encode(whole))
    if conditions := shuffled["status"].get("conditions"):
        shuffled["status"]["conditions"] = data.draw(st.permutations(conditions))

    straight = judged(kind, whole, other, *PODS, **fields)
    mixed = judged(kind, *data.draw(st.permutations([shuffled, other, *PODS])), **fields)

    assert straight.violations == mixed.violations
    assert straight.measurements == mixed.measurements


@pytest.mark.parametrize(
    ("kind", "whole"), [(Autoscaling, policies.autoscaler), (DisruptionBudgets, policies.disruption_budget)]
)
@pytest.mark.parametrize("status", ["True", "False", "Unknown"])
def test_a_condition_type_that_nobody_knows_is_ignored(kind, whole, status):
    well = whole("web", created=ago(days=9))
    well["status"]["conditions"].insert(0, condition("Hibernated", status, ago(days=2), "FailedGetScale"))

    assert [] == judged(kind, well).violations


def test_a_selector_is_written_as_kubectl_takes_it():
    everything = LabelSelector(
        match_labels={"tier": "front", "app": "web"},
        match_expressions=(
            LabelRequirement(key="zone", operator="In", values=("b", "a")),
            LabelRequirement(key="canary", operator="DoesNotExist"),
            LabelRequirement(key="team", operator="Exists"),
            LabelRequirement(key="env", operator="NotIn", values=("test",)),
        ),
    )

    assert "app=web,tier=front,zone in (a,b),!canary,team,env notin (test)" == as_text(everything)
    assert "" == as_text(None) == as_text(LabelSelector())
    assert "" == as_text(LabelSelector(match_expressions=(LabelRequirement(key="a", operator="Near"),)))
