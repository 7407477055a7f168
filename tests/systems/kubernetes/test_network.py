"""What a policy may write about services and ingresses."""

import pytest
from pydantic import ValidationError

from opscheck import KubernetesTarget, Severity
from opscheck.core.templates import malformed, unknown_names
from opscheck.systems.kubernetes.dns import NamesResolve
from opscheck.systems.kubernetes.ingresses import IngressesServed
from opscheck.systems.kubernetes.services import ServicesServed
from opscheck.testing import expect
from tests.registries import BUNDLED

TARGET = KubernetesTarget(kind="kubernetes", namespace="shop")


def services(**fields) -> ServicesServed:
    return expect(ServicesServed, TARGET, **{"severity": "P1"} | fields)


def ingresses(**fields) -> IngressesServed:
    return expect(IngressesServed, TARGET, **{"severity": "P1"} | fields)


def test_the_kinds_are_known_by_their_checks():
    assert {
        "kubernetes.services": ServicesServed,
        "kubernetes.ingresses": IngressesServed,
        "kubernetes.dns": NamesResolve,
    }.items() <= BUNDLED.expectation_types().items()


def test_the_defaults():
    assert ((Severity.P1, 1),) == services().min_ready.steps
    assert (300, 900, False, True) == (
        services().grace,
        services().load_balancer_grace,
        services().allow_scaled_to_zero,
        services().load_balancer,
    )
    assert (900, True, False, False) == (
        ingresses().grace,
        ingresses().address,
        ingresses().ingress_class,
        ingresses().tls_secrets,
    )


def test_a_service_explains_what_others_find():
    assert ServicesServed.explains_others


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"min_ready": 0}, "more than 0: no value can be lower"),
        ({"min_ready": {"P0": 3, "P2": 1}}, "limits that grow with the severity"),
        ({"min_ready": 1.5}, "a whole number"),
        ({"severity": None}, "`severity`"),
        ({"load_balancer_grace": "15"}, "a duration with its unit"),
    ],
)
def test_a_mistake_is_told_in_terms_of_the_field(fields, text):
    with pytest.raises(ValidationError) as caught:
        services(**fields)

    assert text in caught.value.errors()[0]["msg"]


@pytest.mark.parametrize("expectation", [services(), ingresses()], ids=lambda one: one.check)
def test_each_remediation_can_be_written(expectation):
    for command in (command for remedy in expectation.remedies for command in remedy.commands):
        assert [] == malformed(command)
        assert [] == unknown_names(command, expectation)
