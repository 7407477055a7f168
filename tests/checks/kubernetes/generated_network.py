"""Services, endpoint slices and ingresses in any state, for property tests: any field may be missing or null."""

import msgspec
from hypothesis import strategies as st

from opscheck.demo.kubernetes import timestamp
from opscheck.systems.kubernetes.ingresses import Ingress
from opscheck.systems.kubernetes.services import EndpointSlice, Service
from opscheck.systems.kubernetes.workloads import Deployment
from tests.checks.kubernetes.judging_pods import ago
from tests.checks.kubernetes.test_pods_properties import pods

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


WORLD = {
    "services": st.lists(SERVICES, max_size=2, unique_by=lambda one: one.name),
    "slices": st.lists(SLICES, max_size=3),
    "found": st.lists(pods(), max_size=3, unique_by=lambda one: one.name),
}
