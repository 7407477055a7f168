"""Judging ingresses: no missing field raises, and no order matters."""

from hypothesis import given, settings
from hypothesis import strategies as st

from checks.kubernetes.test_ingresses import Backends, address_findings, backends, class_findings, secret_findings
from opscheck import Findings
from opscheck.systems.kubernetes.endpoints import Network
from opscheck.systems.kubernetes.ingresses import IngressClass, IngressesServed, SecretName
from opscheck.testing import expect
from tests.checks.kubernetes.generated_network import INGRESSES, WORLD
from tests.checks.kubernetes.judging_pods import NOW, TARGET
from tests.property_tests import examples

INGRESSES_SERVED = expect(IngressesServed, TARGET, severity="P1")


def ingress_told(ingresses, services, slices, found):
    reached = Backends(INGRESSES_SERVED, services, Network(slices, found))
    classes, secrets, findings = [IngressClass()], [SecretName()], Findings(INGRESSES_SERVED)
    return sorted(
        repr(one)
        for ingress in ingresses
        for one in (
            *reached.findings(ingress, findings, NOW),
            *address_findings(INGRESSES_SERVED, ingress, ingresses, findings, NOW),
            *class_findings(INGRESSES_SERVED, ingress, classes, findings, NOW),
            *secret_findings(INGRESSES_SERVED, ingress, secrets, findings, NOW),
        )
    )


@given(**WORLD, ingresses=st.lists(INGRESSES, max_size=2))
@settings(max_examples=examples(150))
def test_no_ingress_is_too_odd_to_be_judged(services, slices, found, ingresses):
    assert isinstance(ingress_told(ingresses, services, slices, found), list)


@given(data=st.data(), **WORLD, ingresses=st.lists(INGRESSES, max_size=2, unique_by=lambda one: one.name))
def test_no_order_of_an_ingresss_world_means_anything(data, services, slices, found, ingresses):
    shuffled = [data.draw(st.permutations(these)) for these in (ingresses, services, slices, found)]

    assert ingress_told(ingresses, services, slices, found) == ingress_told(*shuffled)


@given(INGRESSES)
def test_every_backend_is_told_once(ingress):
    found = [(one.service, one.port) for one in backends(ingress)]

    assert len(set(found)) == len(found)
