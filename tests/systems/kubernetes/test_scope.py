"""What a policy may write about a cluster, and what it is told when it writes something else."""

import pytest
from pydantic import ValidationError

from opscheck import KubernetesTarget, Severity
from opscheck.core.templates import malformed, unknown_names
from opscheck.systems.kubernetes.logs import LogLines
from opscheck.systems.kubernetes.nodes import ListNodes
from opscheck.systems.kubernetes.pods import ListPods, PodsHealthy
from opscheck.systems.kubernetes.usage import ListNodeUsage, ListPodUsage, UsageWithinLimits
from opscheck.testing import expect
from tests.registries import BUNDLED

TARGET = KubernetesTarget(kind="kubernetes", namespace="shop")
LOGS = {"pattern": "error", "window": "24h", "lines": {"P3": 10}}


def pods(**fields) -> PodsHealthy:
    return expect(PodsHealthy, TARGET, **{"severity": "P0"} | fields)


def usage(**fields) -> UsageWithinLimits:
    return expect(UsageWithinLimits, TARGET, **{"of": "nodes", "cpu": {"P3": "80%"}} | fields)


def logs(**fields) -> LogLines:
    return expect(LogLines, TARGET, **LOGS | fields)


def refusal(make, **fields) -> str:
    with pytest.raises(ValidationError) as caught:
        make(**fields)
    return caught.value.errors()[0]["msg"]


def test_the_kinds_are_known_by_their_checks():
    assert {
        "kubernetes.pods": PodsHealthy,
        "kubernetes.usage": UsageWithinLimits,
        "kubernetes.logs": LogLines,
    }.items() <= (BUNDLED.expectation_types().items())


def test_the_fields_of_the_daily_policy():
    healthy = pods(
        selector="app=integration-deployment", min_matches=3, restarts={"at_most": 5, "within": "1h"}, grace="15m"
    )
    room = usage(cpu={"P3": "80%", "P1": "95%"}, memory={"P2": "85%", "P1": "95%"})
    quiet = logs(pattern=r"\berror\b", ignore_case=True, lines={"P3": 10, "P2": 200})

    assert (3, 5, 3600, 900) == (healthy.min_matches, healthy.restarts.at_most, healthy.restarts.within, healthy.grace)
    assert {"cpu", "memory"} == set(room.limits())
    assert (86400, True) == (quiet.window, quiet.ignore_case)


def test_the_defaults():
    assert (1, 900, None, False) == (pods().min_matches, pods().grace, pods().restarts, pods().count_completed)
    assert pods().no_oom_kill_within is None
    assert (False, False, None, 10_000_000) == (
        logs().ignore_case,
        logs().expect_lines,
        logs().container,
        logs().max_bytes,
    )


def test_the_namespace_is_the_targets_unless_the_policy_names_one_or_all():
    assert "shop" == pods().only_namespace
    assert "other" == pods(namespace="other").only_namespace
    assert pods(namespace="*").only_namespace is None


def test_selection_is_described_in_words():
    assert "app=web in namespace shop" == pods(selector="app=web").selected
    assert "all in every namespace" == pods(namespace="*").selected


def test_pods_need_a_severity():
    assert "`severity` of a violation, P0 to P3" in refusal(pods, severity=None)


def test_usage_needs_a_limit():
    assert "at least one limit (cpu, memory)" in refusal(usage, cpu=None)


def test_a_plain_limit_takes_the_severity_of_the_expectation():
    assert ((Severity.P2, 80.0),) == usage(cpu="80%", severity="P2").cpu.steps


@pytest.mark.parametrize(
    ("make", "fields", "text"),
    [
        (
            pods,
            {"selector": "app in web"},
            "a label selector such as `app=api,tier in (web, api)`: expected `(`, got `web`",
        ),
        (pods, {"selector": ""}, "the selector is empty; leave it out to select everything"),
        (pods, {"namespace": "No_Such"}, "the name of a namespace, or `*` for all of them"),
        (pods, {"min_matches": 0}, "greater than or equal to 1"),
        (pods, {"restarts": {"at_most": 5}}, "Field required"),
        (pods, {"restarts": {"at_most": 5, "within": "0s"}}, "a duration of 1s or more"),
        (pods, {"grace": "15"}, "a duration with its unit"),
        (usage, {"of": "deployments"}, "'nodes' or 'pods'"),
        (usage, {"namespace": "shop"}, "no `namespace` with `of: nodes`; nodes have no namespace"),
        (usage, {"cpu": {"P3": 80}}, "a percentage such as 75%"),
        (logs, {"pattern": "("}, "a regular expression (missing ), unterminated subpattern at position 0)"),
        (logs, {"pattern": ""}, "a regular expression that is not empty; an empty one matches every line"),
        (logs, {"window": "100ms"}, "a duration of 1s or more"),
        (logs, {"window": None}, "a duration with its unit"),
        (logs, {"lines": {"P3": 1.5}}, "a whole number"),
        (logs, {"max_bytes": "10"}, "a byte size with its unit"),
    ],
)
def test_a_mistake_is_told_in_terms_of_the_field(make, fields, text):
    assert text in refusal(make, **fields)


def test_the_questions():
    assert (ListPods("target", "shop"),) == tuple(pods().queries())
    assert (ListNodes("target"), ListNodeUsage("target")) == tuple(usage().queries())
    assert (ListPods("target", "shop"), ListPodUsage("target", "shop")) == tuple(usage(of="pods").queries())
    (asked,) = logs(selector="app=web", container="app", max_bytes="1MB").queries()
    assert ("shop", "app=web", "error", 86400, "app", 1_000_000) == (
        asked.namespace,
        asked.selector,
        asked.pattern,
        asked.window_s,
        asked.container,
        asked.max_bytes,
    )


@pytest.mark.parametrize("expectation", [pods(), usage(), logs()], ids=lambda one: one.check)
def test_each_remediation_can_be_written(expectation):
    for command in (text for remedy in expectation.remedies for text in remedy.commands):
        assert [] == malformed(command)
        assert [] == unknown_names(command, expectation)
