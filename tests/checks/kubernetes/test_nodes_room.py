"""kubernetes.nodes: how much of a node pods have taken, counted as the scheduler counts."""

import msgspec
import pytest

from checks.kubernetes import test_nodes
from opscheck import Findings, Severity
from opscheck.core.observation import CouldNotObserve, Problem, ProblemKind
from opscheck.systems.kubernetes.api_server import ReadVersion, ServerVersion
from opscheck.systems.kubernetes.lists import ObjectList
from opscheck.systems.kubernetes.nodes import ListNodes, Node
from opscheck.systems.kubernetes.pods import ListPods
from opscheck.testing import Answers
from tests.checks.kubernetes.judging_nodes import NOW, a_node, a_pod, ago, commands, expected, judged

CPU = {"cpu_requests": {"P3": "90%"}}


def measured(*nodes, pods, name="cpu requests", **fields) -> list[float]:
    return [one.value for one in judged(*nodes, pods=pods, **fields).measurements if one.name == name]


def test_mixin_KubeletTooManyPods_holds_the_pods_to_what_the_node_can_take():  # noqa: N802 - the alert's own name
    pods = [a_pod(f"web-{number}") for number in range(20)]

    (violation,) = judged(a_node(pods="20"), pods=pods, limits={"pods": {"P3": "95%"}}).violations

    assert ("node-1", "pods 100% (20 of 20)", Severity.P3) == (
        violation.subject,
        violation.observed,
        violation.severity,
    )
    assert "" == violation.about  # a full node is no trouble of the pods on it
    assert [] == judged(a_node(pods="21"), pods=pods[:19], limits={"pods": {"P3": "95%"}}).violations


def test_requests_are_held_to_what_the_node_can_give():
    pods = [a_pod(f"web-{number}", requests={"cpu": "950m", "memory": "1Gi"}) for number in range(4)]
    limits = CPU | {"memory_requests": {"P2": "50%"}}

    (violation,) = judged(a_node(cpu="4", memory="16Gi"), pods=pods, **limits).violations

    assert "cpu requests 95% (3.8 of 4 cores)" == violation.observed
    assert [25.0] == measured(a_node(memory="16Gi"), pods=pods, name="memory requests", **limits)


def test_pods_that_are_done_and_pods_elsewhere_take_no_room():
    pods = [
        a_pod("web-1", requests={"cpu": "1"}),
        a_pod("done", phase="Succeeded", requests={"cpu": "1"}),
        a_pod("failed", phase="Failed", requests={"cpu": "1"}),
        a_pod("elsewhere", node="node-2", requests={"cpu": "1"}),
        a_pod("nowhere", node=None, requests={"cpu": "1"}),
    ]

    assert [25.0] == measured(a_node(cpu="4"), pods=pods, **CPU)


def test_pods_of_every_namespace_and_terminating_ones_take_room():
    pods = [
        a_pod("web-1", namespace="shop", requests={"cpu": "1"}),
        a_pod("web-1", namespace="other", requests={"cpu": "1"}, deleted=ago(minutes=1)),
    ]

    assert [50.0] == measured(a_node(cpu="4"), pods=pods, **CPU)


def test_a_node_without_pods_is_empty():
    assert [0.0] == measured(a_node(), pods=[], **CPU)


def test_a_ready_node_that_does_not_say_what_it_can_give_is_unknown():
    node = a_node("node-2")
    node["status"]["allocatable"] = node["status"]["capacity"] = {}

    with pytest.raises(CouldNotObserve, match=r"unknown: node-2 \(no allocatable cpu reported\)"):
        judged(a_node("node-1"), node, pods=[], **CPU)


def test_a_quantity_that_is_none_makes_its_node_unknown_and_no_other():
    pods = [a_pod("odd", requests={"cpu": "lots"}), a_pod("web", node="node-2", requests={"cpu": "4"})]

    with pytest.raises(CouldNotObserve, match=r"node-1 \(invalid quantity 'lots'"):
        judged(a_node("node-1"), a_node("node-2"), pods=pods, **CPU)


def test_a_node_that_just_joined_is_not_held_to_what_it_has_not_said():
    node = a_node("node-2", ready=False, since=ago(minutes=1))
    node["status"]["allocatable"] = node["status"]["capacity"] = {}

    assert [0.0] == measured(a_node("node-1"), node, pods=[], **CPU)


def test_down_nodes_are_reported_without_permission_to_list_pods():
    expectation = expected(**CPU)
    down = a_node(ready=False, since=ago(hours=1))
    answers = {
        ListNodes("target"): ObjectList((msgspec.convert(down, Node),)),
        ListPods("target", None): Problem(kind=ProblemKind.DENIED, text="may not list pods"),
        ReadVersion("target"): ServerVersion(git_version="v1.34.1"),
    }
    findings = Findings(expectation)

    with pytest.raises(CouldNotObserve, match="may not list pods"):
        test_nodes.test_the_nodes_are_well(expectation, Answers(answers, NOW), findings)

    assert ["not ready for 1h (KubeletNotReady)"] == [one.observed for one in findings.violations]


def test_a_crowded_node_has_commands_of_its_own():
    pods = [a_pod("web-1", requests={"cpu": "3900m"})]

    assert [
        "kubectl -n default describe node node-1",
        "kubectl -n default get pods -A -o wide --field-selector spec.nodeName=node-1",
    ] == commands(a_node(cpu="4"), pods=pods, **CPU)
