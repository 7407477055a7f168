"""Services, their endpoint slices and pods at one moment, and what kubernetes.services says of them then."""

import msgspec

from checks.kubernetes import test_services
from opscheck import Findings
from opscheck.demo.kubernetes import endpoint, endpoint_slice, service
from opscheck.systems.kubernetes.events import Event, ListWarnings
from opscheck.systems.kubernetes.lists import ObjectList
from opscheck.systems.kubernetes.pods import ListPods, Pod
from opscheck.systems.kubernetes.services import (
    EndpointSlice,
    ListEndpointSlices,
    ListServices,
    Service,
    ServicesServed,
)
from opscheck.systems.kubernetes.workloads import Deployment, ListDeployments, ListStatefulSets, StatefulSet
from opscheck.testing import expect, judge
from tests.checks.kubernetes.judging_pods import NOW, TARGET, a_pod, ago
from tests.checks.kubernetes.rendering import rendered

KINDS = {
    "Service": (ListServices, Service),
    "EndpointSlice": (ListEndpointSlices, EndpointSlice),
    "Pod": (ListPods, Pod),
    "Deployment": (ListDeployments, Deployment),
    "StatefulSet": (ListStatefulSets, StatefulSet),
    "Event": (ListWarnings, Event),
}


def answers(objects, kinds, namespaces=("default",)):
    """What the lists hold when the cluster holds these objects."""
    found = {}
    for kind, (query, struct) in kinds.items():
        for namespace in namespaces:
            items = (one for one in objects if one["kind"] == kind)
            here = (one for one in items if namespace in {None, one["metadata"].get("namespace")})
            found[query("target", namespace)] = ObjectList(tuple(msgspec.convert(one, struct) for one in here))
    return found


def expectation_of(target=TARGET, **fields) -> ServicesServed:
    return expect(ServicesServed, target, **{"severity": "P1"} | fields)


def judged(*objects, target=TARGET, **fields) -> Findings:
    expectation = expectation_of(target, **fields)
    known = answers(objects, KINDS, expectation.namespaces)
    return judge(test_services.test_the_services_are_served, expectation, known, NOW)


def observed(*objects, **fields) -> list[str]:
    return [violation.observed for violation in judged(*objects, **fields).violations]


def commands(*objects, target=TARGET, **fields) -> list[str]:
    expectation = expectation_of(target, **fields)
    return rendered(expectation, judged(*objects, target=target, **fields))


def pods(count, *, ready=True, since=None, start=0, **fields):
    """Pods of the deployment api, `api-7d4b9c6f5d-0` and on."""
    made = range(start, start + count)
    labels = {"app": "api"}
    return [
        a_pod(f"api-7d4b9c6f5d-{number}", labels=labels, ready=ready, since=since or ago(hours=1), **fields)
        for number in made
    ]


def slice_of(found, name="api", **fields):
    """The slice that the cluster makes for these pods."""
    ends = [
        endpoint(
            pod["metadata"]["name"],
            f"10.244.1.{number + 1}",
            ready=pod["status"]["conditions"][2]["status"] == "True" and "deletionTimestamp" not in pod["metadata"],
            serving=pod["status"]["conditions"][2]["status"] == "True",
            terminating="deletionTimestamp" in pod["metadata"],
        )
        for number, pod in enumerate(found)
    ]
    return endpoint_slice(name, endpoints=ends, **fields)


def a_service(name="api", **fields):
    """A service that has been there for a month."""
    return service(name, **{"created": ago(days=30)} | fields)


def served(found, **fields):
    """A service that selects these pods, its endpoint slice, and the pods."""
    return [a_service(**fields), slice_of(found), *found]
