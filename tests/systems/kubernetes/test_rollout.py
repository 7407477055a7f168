"""What a policy may write about rollouts, and what it is told when it writes something else."""

import pytest
from pydantic import ValidationError

from opscheck import KubernetesTarget, Severity
from opscheck.core.templates import malformed, unknown_names
from opscheck.systems.kubernetes.pods import ListPods
from opscheck.systems.kubernetes.rollout import RolloutComplete
from opscheck.systems.kubernetes.workloads import ListDaemonSets, ListDeployments, ListStatefulSets
from opscheck.testing import expect

TARGET = KubernetesTarget(kind="kubernetes", namespace="shop")


def rollout(**fields) -> RolloutComplete:
    return expect(RolloutComplete, TARGET, **{"severity": "P1"} | fields)


def refusal(**fields) -> str:
    with pytest.raises(ValidationError) as caught:
        rollout(**fields)
    return caught.value.errors()[0]["msg"]


def test_the_defaults():
    found = rollout()

    assert ("deployments", "statefulsets", "daemonsets") == found.workloads
    assert (900, 1, True, None) == (found.grace, found.min_matches, found.allow_paused, found.while_serving)


def test_the_questions_are_one_list_of_each_chosen_kind_and_one_of_pods():
    every = (ListDeployments, ListStatefulSets, ListDaemonSets, ListPods)

    assert tuple(kind("target", "shop") for kind in every) == tuple(rollout().queries())
    assert (ListDaemonSets("target", "shop"), ListPods("target", "shop")) == tuple(
        rollout(workloads=["daemonsets", "daemonsets"]).queries()
    )
    assert ["list deployments in namespace shop", "list deployments.apps in namespace shop"] == [
        ListDeployments("target", "shop").text(),
        ListDeployments("target", "shop").rule.text(),
    ]


@pytest.mark.parametrize(("severity", "milder"), [("P0", "P1"), ("P1", "P2"), ("P2", "P3"), ("P3", "P3")])
def test_while_it_serves_it_is_one_step_milder(severity, milder):
    assert Severity(milder) == rollout(severity=severity).serving_severity


def test_while_it_serves_it_is_as_bad_as_the_policy_says():
    assert Severity.P1 == rollout(while_serving="P1").serving_severity


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"severity": None}, "`severity` of a violation, P0 to P3"),
        (
            {"while_serving": "P0"},
            "a severity no higher than `severity` (P1), which is for workloads that do not serve",
        ),
        ({"workloads": []}, "at least 1 item"),
        ({"workloads": ["jobs"]}, "'deployments', 'statefulsets' or 'daemonsets'"),
        ({"grace": "15"}, "a duration with its unit"),
    ],
)
def test_a_mistake_is_told_in_terms_of_the_field(fields, text):
    assert text in refusal(**fields)


def test_the_remediation_can_be_written():
    for command in (text for remedy in rollout().remedies for text in remedy.commands):
        assert [] == malformed(command)
        assert [] == unknown_names(command, rollout())
