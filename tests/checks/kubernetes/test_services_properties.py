"""Judging services: no missing field raises, and no order matters."""

from hypothesis import given, settings
from hypothesis import strategies as st

from checks.kubernetes.test_services import service_findings
from opscheck import Findings
from opscheck.systems.kubernetes.endpoints import Network, ready_endpoints
from tests.checks.kubernetes.generated_network import SLICES, WORKLOADS, WORLD
from tests.checks.kubernetes.judging_pods import NOW
from tests.checks.kubernetes.judging_services import expectation_of
from tests.property_tests import examples

EXPECTATION = expectation_of(min_ready={"P2": 2, "P0": 1})


def told(services, slices, found, workloads=()):
    network, findings = Network(slices, found, workloads), Findings(EXPECTATION)
    each = [network.of(one) for one in services]
    found = [
        (one.service.name, finding) for one in each for finding in service_findings(EXPECTATION, one, findings, NOW)
    ]
    return sorted(map(repr, found))


@given(**WORLD, workloads=st.lists(WORKLOADS, max_size=2))
@settings(max_examples=examples(150))
def test_no_service_is_too_odd_to_be_judged(services, slices, found, workloads):
    assert isinstance(told(services, slices, found, workloads), list)


@given(data=st.data(), **WORLD)
def test_no_order_of_a_services_world_means_anything(data, services, slices, found):
    shuffled = [data.draw(st.permutations(these)) for these in (services, slices, found)]

    assert told(services, slices, found) == told(*shuffled)


@given(st.lists(SLICES, max_size=3))
def test_the_same_slices_twice_hold_no_more_endpoints(slices):
    assert ready_endpoints(slices) == ready_endpoints(slices * 2)
