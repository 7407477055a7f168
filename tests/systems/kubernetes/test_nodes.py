"""What a policy may write about nodes, and what it is told when it writes something else."""

import pytest
from pydantic import ValidationError

from opscheck import KubernetesTarget
from opscheck.core.templates import malformed, unknown_names
from opscheck.systems.kubernetes.nodes import NodesHealthy
from opscheck.testing import expect
from tests.registries import BUNDLED

TARGET = KubernetesTarget(kind="kubernetes", namespace="shop")


def nodes(**fields) -> NodesHealthy:
    return expect(NodesHealthy, TARGET, **{"severity": "P1"} | fields)


def test_the_defaults():
    default = nodes()

    assert (1, 900, 600, 86400, 3600, 3) == (
        default.min_matches,
        default.grace,
        default.pressure_grace,
        default.cordoned_grace,
        default.removal_grace,
        default.version_skew,
    )
    assert ({}, None, None, None) == (default.conditions, default.pods, default.cpu_requests, default.memory_requests)


def test_it_explains_what_others_find_and_is_known_by_its_check():
    assert NodesHealthy.explains_others
    assert NodesHealthy is BUNDLED.expectation_types()["kubernetes.nodes"]


def test_an_unquoted_true_of_yaml_is_a_status_too():
    assert {"StorageReady": "True", "KernelDeadlock": "False"} == nodes(
        conditions={"StorageReady": True, "KernelDeadlock": "False"}
    ).conditions


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"conditions": {"Ready": "True"}}, "Ready is always judged"),
        ({"conditions": {"StorageReady": "yes"}}, "'True' or 'False'"),
        ({"severity": None}, "`severity` of a violation"),
        ({"version_skew": -1}, "greater than or equal to 0"),
        ({"namespace": "shop"}, "Extra inputs are not permitted"),
        ({"selector": "pool in web"}, "a label selector"),
        ({"cpu_requests": {"P3": 90}}, "a percentage such as 75%"),
        ({"removal_taints": [""]}, "at least 1 character"),
    ],
)
def test_a_mistake_is_told_in_terms_of_the_field(fields, text):
    with pytest.raises(ValidationError) as caught:
        nodes(**fields)
    assert text in caught.value.errors()[0]["msg"]


def test_each_remediation_can_be_written():
    for command in (command for remedy in nodes().remedies for command in remedy.commands):
        assert [] == [*malformed(command), *unknown_names(command, nodes())]
