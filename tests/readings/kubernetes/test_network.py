"""Judging services and ingresses: whatever an object lacks, nothing is raised, and no order matters."""

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from opscheck.demo.kubernetes import timestamp
from opscheck.expectations.kubernetes.network import IngressesServed
from opscheck.queries.kubernetes.network import EndpointSlice, Ingress, IngressClass, SecretName, Service
from opscheck.queries.kubernetes.workloads import Deployment
from opscheck.readings.kubernetes.endpoints import Network, ready_endpoints
from opscheck.readings.kubernetes.ingresses import (
    Backends,
    address_troubles,
    backends,
    certificate_troubles,
    class_troubles,
)
from opscheck.readings.kubernetes.services import troubles
from opscheck.testing import expect
from tests.checks.kubernetes.judging_pods import NOW, TARGET, ago
from tests.checks.kubernetes.judging_services import expectation_of
from tests.property_tests import examples
from tests.readings.kubernetes.test_pods import pods

TIMES = st.integers(-600, 7200).map(lambda seconds: timestamp(ago(seconds=seconds)))
NAMES = st.sampled_from(["web", "api"])
MAYBE = st.one_of(st.none(), st.booleans())
PORT_NAMES = st.sampled_from(["", "http", None])


def part(**fields):
    """An object of which one field may be missing and one null."""
    lacking = st.tuples(*(st.sampled_from(["", "", *fields]) for _ in ("missing", "null")))

    def made(whole, lacking):
        missing, null = lacking
        return {name: None if name == null else value for name, value in whole.items() if name != missing}

    return st.builds(made, st.fixed_dictionaries(fields), lacking)


METADATA = part(
    name=NAMES,
    namespace=st.just("default"),
    creationTimestamp=TIMES,
    labels=st.fixed_dictionaries({"kubernetes.io/service-name": NAMES}),
)
BALANCER = part(
    loadBalancer=part(
        ingress=st.lists(
            part(
                ip=st.just("203.0.113.9"),
                hostname=st.just("lb.example.com"),
                ports=st.lists(part(port=st.just(80), error=st.sampled_from([None, "Quota"])), max_size=1),
            ),
            max_size=2,
        )
    )
)
SERVICES = part(
    metadata=METADATA,
    spec=part(
        type=st.sampled_from(["ClusterIP", "LoadBalancer", "ExternalName", "NewType"]),
        selector=st.fixed_dictionaries({"app": NAMES}),
        ports=st.lists(
            part(name=PORT_NAMES, port=st.just(80), targetPort=st.sampled_from([8080, "http"])),
            max_size=2,
        ),
        clusterIP=st.sampled_from(["None", "10.96.0.7"]),
    ),
    status=BALANCER,
).map(lambda one: msgspec.convert(one, Service))
ENDPOINTS = part(
    addresses=st.lists(st.sampled_from(["10.0.0.1", "10.0.0.2"]), min_size=1, max_size=1),
    conditions=part(ready=MAYBE, serving=MAYBE, terminating=MAYBE),
    targetRef=part(kind=st.just("Pod"), name=st.sampled_from(["web-1", "web-2"])),
)
SLICES = part(
    metadata=METADATA,
    addressType=st.sampled_from(["IPv4", "IPv6"]),
    endpoints=st.lists(ENDPOINTS, max_size=3),
    ports=st.lists(part(name=PORT_NAMES, port=st.just(8080)), max_size=2),
).map(lambda one: msgspec.convert(one, EndpointSlice))
BACKENDS = part(
    service=part(name=NAMES, port=part(name=PORT_NAMES, number=st.sampled_from([80, 81]))),
    resource=part(kind=st.just("Bucket")),
)
INGRESSES = part(
    metadata=METADATA,
    spec=part(
        ingressClassName=st.sampled_from(["nginx", "gce"]),
        defaultBackend=BACKENDS,
        rules=st.lists(
            part(host=st.just("example.com"), http=part(paths=st.lists(part(backend=BACKENDS), max_size=2))), max_size=2
        ),
        tls=st.lists(part(secretName=st.sampled_from(["cert", "a/b", ""]), hosts=st.just(["example.com"])), max_size=2),
    ),
    status=BALANCER,
).map(lambda one: msgspec.convert(one, Ingress))
WORKLOADS = part(
    metadata=METADATA,
    spec=part(
        replicas=st.sampled_from([0, 1]), template=part(metadata=part(labels=st.fixed_dictionaries({"app": NAMES})))
    ),
).map(lambda one: msgspec.convert(one, Deployment))

EXPECTATION = expectation_of(min_ready={"P2": 2, "P0": 1})
INGRESSES_SERVED = expect(IngressesServed, TARGET, severity="P1")


def told(services, slices, found, workloads=()):
    network = Network(slices, found, workloads)
    each = [(one, network.behind(one)) for one in services]
    return sorted(
        repr((one.name, trouble)) for one, behind in each for trouble in troubles(EXPECTATION, behind, network, NOW)
    )


def ingress_told(ingresses, services, slices, found):
    reached = Backends(INGRESSES_SERVED, services, Network(slices, found))
    classes, secrets = [IngressClass()], [SecretName()]
    return sorted(
        repr(one)
        for ingress in ingresses
        for one in (
            *reached.troubles(ingress, NOW),
            *address_troubles(ingress, ingresses, NOW, 900),
            *class_troubles(ingress, classes, NOW, 900),
            *certificate_troubles(ingress, secrets, NOW, 900),
        )
    )


WORLD = {
    "services": st.lists(SERVICES, max_size=2, unique_by=lambda one: one.name),
    "slices": st.lists(SLICES, max_size=3),
    "found": st.lists(pods(), max_size=3, unique_by=lambda one: one.name),
}


@given(**WORLD, workloads=st.lists(WORKLOADS, max_size=2))
@settings(max_examples=examples(150))
def test_no_service_is_too_odd_to_be_judged(services, slices, found, workloads):
    assert isinstance(told(services, slices, found, workloads), list)


@given(data=st.data(), **WORLD)
def test_no_order_of_a_services_world_means_anything(data, services, slices, found):
    shuffled = [data.draw(st.permutations(these)) for these in (services, slices, found)]

    assert told(services, slices, found) == told(*shuffled)


@given(**WORLD, ingresses=st.lists(INGRESSES, max_size=2))
@settings(max_examples=examples(150))
def test_no_ingress_is_too_odd_to_be_judged(services, slices, found, ingresses):
    assert isinstance(ingress_told(ingresses, services, slices, found), list)


@given(data=st.data(), **WORLD, ingresses=st.lists(INGRESSES, max_size=2, unique_by=lambda one: one.name))
def test_no_order_of_an_ingresss_world_means_anything(data, services, slices, found, ingresses):
    shuffled = [data.draw(st.permutations(these)) for these in (ingresses, services, slices, found)]

    assert ingress_told(ingresses, services, slices, found) == ingress_told(*shuffled)


@given(st.lists(SLICES, max_size=3))
def test_the_same_slices_twice_hold_no_more_endpoints(slices):
    assert ready_endpoints(slices) == ready_endpoints(slices * 2)


@given(INGRESSES)
def test_every_backend_is_told_once(ingress):
    found = [(one.service, one.port) for one in backends(ingress)]

    assert len(set(found)) == len(found)
