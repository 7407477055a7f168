"""Who answers for a service: its endpoints, counted once each, and the pods it selects."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from opscheck.systems.kubernetes.containers import containers, crashes_in_a_loop
from opscheck.systems.kubernetes.pod_status import has_ended, is_ready, pod_condition
from opscheck.systems.kubernetes.pods import Pod
from opscheck.systems.kubernetes.services import EndpointSlice, Service, ServicePort
from opscheck.systems.kubernetes.workloads import Deployment, StatefulSet


@dataclass(frozen=True)
class Behind:
    """What stands behind one service."""

    service: Service
    slices: tuple[EndpointSlice, ...]
    pods: tuple[Pod, ...]
    """The pods it selects, without those that ended or terminate, in the order of their names."""
    leaving: tuple[Pod, ...]
    """Those that terminate."""
    asleep: bool = False
    """True when no pod is there because everything that makes pods for this service has `replicas: 0`."""

    @property
    def is_judged(self) -> bool:
        """
        False where nobody should answer, or nobody can say who.

        That is a service scaled to zero, a name of something outside, and a service whose endpoints are somebody
        else's business, when nobody has made any: leader elections leave such services behind.
        """
        if self.asleep:
            return False
        return self.service.type != "ExternalName" and bool(self.service.selector or self.slices)

    @property
    def ready(self) -> int:
        """How many endpoints are ready."""
        return ready_endpoints(self.slices)

    @property
    def still_serving(self) -> int:
        """How many terminate and serve until then."""
        found = {
            endpoint.target_ref or endpoint.addresses
            for one in self.slices
            for endpoint in one.endpoints or ()
            if endpoint.still_serves
        }
        return len(found)

    def offered(self, port: ServicePort) -> int:
        """How many endpoints are ready behind a port of the service."""
        return ready_endpoints(one for one in self.slices if _has_port(one, port.name or ""))


class Network:
    """
    The endpoint slices and pods of the namespaces that are looked at, by the service they stand behind.

    `workloads` are those that may be scaled to zero.
    """

    def __init__(
        self,
        slices: Iterable[EndpointSlice],
        pods: Iterable[Pod],
        workloads: Iterable[Deployment | StatefulSet] = (),
    ) -> None:
        self._workloads = tuple(workloads)
        self._slices: Mapping[tuple[str, str], list[EndpointSlice]] = defaultdict(list)
        for one in slices:
            if not one.is_terminating:
                self._slices[one.namespace, one.service].append(one)
        self._pods: Mapping[str, list[Pod]] = defaultdict(list)
        # Hundreds of services look at thousands of pods: each looks at those alone that carry one of its labels.
        self._labelled: Mapping[tuple[str, str, str], list[Pod]] = defaultdict(list)
        for pod in pods:
            if not has_ended(pod):
                self._pods[pod.namespace].append(pod)
                for key, value in pod.labels.items():
                    self._labelled[pod.namespace, key, value].append(pod)

    def behind(self, service: Service) -> Behind:
        """What stands behind `service`."""
        slices = self._slices.get((service.namespace, service.name), ())
        selected = sorted(self._selected(service), key=lambda pod: pod.name)
        pods = tuple(pod for pod in selected if not pod.is_terminating)
        leaving = tuple(pod for pod in selected if pod.is_terminating)
        return Behind(service, tuple(slices), pods, leaving, asleep=not pods and self._is_scaled_to_zero(service))

    def pods_of(self, namespace: str) -> Sequence[Pod]:
        """The pods of a namespace that have not ended."""
        return self._pods.get(namespace, ())

    def _is_scaled_to_zero(self, service: Service) -> bool:
        wanted = service.selector.items()
        makers = [
            one.spec
            for one in self._workloads
            if one.namespace == service.namespace and one.spec and one.spec.template
            if wanted and wanted <= one.spec.template.labels.items()
        ]
        return bool(makers) and all(spec.replicas == 0 for spec in makers)

    def _selected(self, service: Service) -> Iterable[Pod]:
        # To a service, a selector of nothing is none; everywhere else it would be everything.
        wanted = service.selector.items()
        having = (self._labelled.get((service.namespace, *label), ()) for label in wanted)
        return (pod for pod in min(having, key=len, default=()) if wanted <= pod.labels.items())


def ready_endpoints(slices: Iterable[EndpointSlice]) -> int:
    """
    How many endpoints are ready, each counted once.

    A pod of two IP families is in a slice of each, and may for a moment be in two slices of one family.
    """
    objects: set[tuple[str | None, str | None]] = set()
    addresses: dict[str | None, set[str]] = defaultdict(set)
    for one in slices:
        for endpoint in one.endpoints or ():
            if not endpoint.addresses or not endpoint.is_ready:
                continue
            if endpoint.target_ref and endpoint.target_ref.name:
                objects.add((endpoint.target_ref.kind, endpoint.target_ref.name))
            else:
                # Kept by hand, nothing tells which addresses of two families belong together.
                addresses[one.address_type].add(endpoint.addresses[0])
    return len(objects) + max((len(family) for family in addresses.values()), default=0)


def _has_port(one: EndpointSlice, name: str) -> bool:
    return any((port.name or "") == name for port in one.ports or ())


def unready_since(pod: Pod, now: datetime) -> datetime | None:
    """
    When a pod that is not ready stopped being it.

    While it crashes in a loop, it is ready for moments and the condition tells of the last one; then it is when the
    pod started. Of one that terminates it is when it was deleted.
    """
    if pod.is_terminating:
        return pod.deleted
    if any(crashes_in_a_loop(container, now) for container in containers(pod)):
        return (pod.status and pod.status.start_time) or pod.created
    return _ready_changed(pod) or pod.created


def fell_below(least: int, behind: Behind, now: datetime) -> datetime | None:
    """
    Since when fewer than `least` of the pods are ready; None where the pods that are there do not tell.

    Pods that are ready, though the endpoint slices do not say so, count from when they became it.
    """
    there = (*behind.pods, *behind.leaving)
    ready = sorted(at for pod in behind.pods if is_ready(pod) and (at := _ready_changed(pod)))
    if len(ready) >= least:
        return ready[least - 1]
    left = sorted(at for pod in there if not is_ready(pod) and (at := unready_since(pod, now)))
    if not left:
        return None
    # Of n pods, the one that left fewer than `least` was the (n - least + 1)th to go. Where they never were as many,
    # the last change is what can be waited for.
    place = len(there) - least
    return left[place] if 0 <= place < len(left) else left[-1]


def _ready_changed(pod: Pod) -> datetime | None:
    ready = pod_condition(pod, "Ready")
    return ready and ready.last_transition_time
