"""The endpoints and pods of services, and why a service has too few ready ones."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from opscheck.core.remedy import Remedy
from opscheck.core.words import counted, some_lines
from opscheck.systems.kubernetes.containers import containers
from opscheck.systems.kubernetes.objects import owner_reference, reference
from opscheck.systems.kubernetes.pod_status import fault_of
from opscheck.systems.kubernetes.pods import Pod
from opscheck.systems.kubernetes.selection import labels_there
from opscheck.systems.kubernetes.services import (
    NO_PODS,
    NO_SELECTOR,
    NOT_IN_SLICES,
    NOT_READY,
    TOO_FEW_PODS,
    EndpointSlice,
    Service,
    ServicePort,
)
from opscheck.systems.kubernetes.target import KubernetesTarget
from opscheck.systems.kubernetes.words import is_young, lasting, longer_than
from opscheck.systems.kubernetes.workloads import Deployment, StatefulSet

_SHOWN = 3


@dataclass(frozen=True)
class ServiceEndpoints:
    """One service with its endpoint slices and pods."""

    service: Service
    slices: tuple[EndpointSlice, ...]
    pods: tuple[Pod, ...]
    """The selected pods without ended and terminating ones, sorted by name."""
    leaving: tuple[Pod, ...]
    """Terminating pods."""
    neighbours: Sequence[Pod] = ()
    """All pods of its namespace that have not ended."""
    scaled_to_zero: bool = False
    """True when it has no pods because every workload that creates them has `replicas: 0`."""

    @property
    def is_judged(self) -> bool:
        """
        False where no endpoint is expected or can be determined.

        That is a service scaled to zero, a name outside the cluster, and a service without selector and endpoint
        slices: leader elections leave such services behind.
        """
        if self.scaled_to_zero:
            return False
        return self.service.type != "ExternalName" and bool(self.service.selector or self.slices)

    @property
    def ready(self) -> int:
        """Number of ready endpoints."""
        return ready_endpoints(self.slices)

    @property
    def still_serving(self) -> int:
        """Number of terminating endpoints that still serve."""
        found = {
            endpoint.target_ref or endpoint.addresses
            for one in self.slices
            for endpoint in one.endpoints or ()
            if endpoint.still_serves
        }
        return len(found)

    def offered(self, port: ServicePort) -> int:
        """Number of ready endpoints for a port of the service."""
        name = port.name or ""
        return ready_endpoints(one for one in self.slices if any((its.name or "") == name for its in one.ports or ()))


class Network:
    """
    The endpoint slices and pods of the selected namespaces, by service.

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
        # An index: hundreds of services select among thousands of pods.
        self._labelled: Mapping[tuple[str, str, str], list[Pod]] = defaultdict(list)
        for pod in pods:
            if not pod.has_ended:
                self._pods[pod.namespace].append(pod)
                for key, value in pod.labels.items():
                    self._labelled[pod.namespace, key, value].append(pod)

    def of(self, service: Service) -> ServiceEndpoints:
        """The endpoints and pods of `service`."""
        slices = self._slices.get((service.namespace, service.name), ())
        selected = sorted(self._selected(service), key=lambda pod: pod.name)
        pods = tuple(pod for pod in selected if not pod.is_terminating)
        leaving = tuple(pod for pod in selected if pod.is_terminating)
        neighbours = self._pods.get(service.namespace, ())
        scaled_to_zero = not pods and self._is_scaled_to_zero(service)
        return ServiceEndpoints(service, tuple(slices), pods, leaving, neighbours, scaled_to_zero)

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
        # An empty selector of a service selects nothing; elsewhere it would select everything.
        wanted = service.selector.items()
        having = (self._labelled.get((service.namespace, *label), ()) for label in wanted)
        return (pod for pod in min(having, key=len, default=()) if wanted <= pod.labels.items())


def ready_endpoints(slices: Iterable[EndpointSlice]) -> int:
    """
    Number of ready endpoints, each counted once.

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
                # A manual slice: addresses of two families cannot be paired.
                addresses[one.address_type].add(endpoint.addresses[0])
    return len(objects) + max((len(family) for family in addresses.values()), default=0)


def unready_since(pod: Pod, now: datetime) -> datetime | None:
    """
    The time since which a pod has not been ready.

    In a crash loop it is ready for moments, and the condition has the time of the last one; then the start of the pod
    counts. For a terminating pod it is the deletion.
    """
    if pod.is_terminating:
        return pod.deleted
    if any(container.crashes_in_a_loop(now) for container in containers(pod)):
        return (pod.status and pod.status.start_time) or pod.created
    return _ready_changed(pod) or pod.created


def fell_below(least: int, endpoints: ServiceEndpoints, now: datetime) -> datetime | None:
    """
    The time since which fewer than `least` pods are ready; None where the existing pods do not show it.

    Ready pods that are missing from the endpoint slices count from the time when they became ready.
    """
    there = (*endpoints.pods, *endpoints.leaving)
    ready = sorted(at for pod in endpoints.pods if pod.is_ready and (at := _ready_changed(pod)))
    if len(ready) >= least:
        return ready[least - 1]
    left = sorted(at for pod in there if not pod.is_ready and (at := unready_since(pod, now)))
    if not left:
        return None
    # Of n pods, the (n - least + 1)th to go left fewer than `least`. Where there never were that many, the last
    # change counts.
    place = len(there) - least
    return left[place] if 0 <= place < len(left) else left[-1]


def _ready_changed(pod: Pod) -> datetime | None:
    ready = pod.condition("Ready")
    return ready and ready.last_transition_time


@dataclass(frozen=True)
class Shortage:
    """The reason why a service has too few ready endpoints."""

    observed: str
    since: datetime | None
    remedy: Remedy
    evidence: tuple[str, ...]
    pods: tuple[Pod, ...] = ()
    """The pods that are not ready, or terminating."""

    def causes(self, target: KubernetesTarget) -> tuple[str, ...]:
        """References of possible causes: the owners of these pods, the pods themselves, and their nodes."""
        owners = [owner_reference(target, pod) for pod in self.pods]
        each = [reference(target, "pod", pod.name, pod.namespace) for pod in self.pods]
        nodes = [reference(target, "node", pod.node) for pod in self.pods if pod.node]
        return tuple(dict.fromkeys(one for one in (*owners, *each, *nodes) if one))


def too_few_ready(endpoints: ServiceEndpoints, least: int, now: datetime, grace: float) -> Shortage | None:
    """The reason why fewer than `least` endpoints are ready for longer than `grace` seconds; None if enough are."""
    if endpoints.ready >= least:
        return None
    since = fell_below(least, endpoints, now)
    if is_young(endpoints.service, now, grace) or not longer_than(grace, since, now):
        return None
    service, ready = endpoints.service, sum(pod.is_ready for pod in endpoints.pods)
    if not service.selector:
        every = (endpoint for one in endpoints.slices for endpoint in one.endpoints or ())
        addresses = {endpoint.addresses for endpoint in every if endpoint.addresses}
        evidence = "the service has no selector: another program writes its endpoint slices"
        observed = f"{endpoints.ready} of {counted(len(addresses), 'endpoint')} ready"
        return Shortage(observed, None, NO_SELECTOR, (evidence,))
    if not endpoints.pods:
        observed = f"no pod matches selector {service.selector_text}"
        return Shortage(observed, since, NO_PODS, tuple(_pods_there(endpoints, since, now)), endpoints.leaving)
    if ready >= least:
        observed = f"{counted(ready, 'pod')} ready{lasting(since, now)}, but {endpoints.ready} in its endpoint slices"
        evidence = "the endpoint slice controller lags behind, or does not manage these slices"
        return Shortage(observed, since, NOT_IN_SLICES, (evidence,))
    unready = tuple(pod for pod in endpoints.pods if not pod.is_ready)
    observed = f"{ready} of {counted(len(endpoints.pods), 'pod')} ready{lasting(since, now)}"
    remedy = NOT_READY if unready else TOO_FEW_PODS
    return Shortage(observed, since, remedy, tuple(_why_unready(endpoints, unready, now)), unready)


def _pods_there(endpoints: ServiceEndpoints, since: datetime | None, now: datetime) -> Iterator[str]:
    service, leaving = endpoints.service, len(endpoints.leaving)
    if leaving:
        yield f"last {counted(leaving, 'pod')} terminating{lasting(since, now)}, without a replacement"
    if endpoints.neighbours:
        yield from labels_there(sorted(service.selector), endpoints.neighbours)
    else:
        yield f"namespace {service.namespace} has no running pod"


def _why_unready(endpoints: ServiceEndpoints, unready: tuple[Pod, ...], now: datetime) -> Iterator[str]:
    def reason(pod: Pod) -> str:
        fault = fault_of(pod, now, 0)
        return f"{pod.name}: {fault.observed if fault else 'not ready'}"

    if endpoints.still_serving and not endpoints.ready:
        yield f"{counted(endpoints.still_serving, 'terminating endpoint')} still serving, as nothing else is ready"
    yield from some_lines(unready, reason, _SHOWN)


def ports_without_endpoint(endpoints: ServiceEndpoints, now: datetime, grace: float) -> tuple[ServicePort, ...]:
    """
    Ports of the service without a ready endpoint, while other ports have one.

    During a rollout a new port has none until the first new pod is ready.
    """
    if not endpoints.ready or is_young(endpoints.service, now, grace):
        return ()
    changes = (unready_since(pod, now) for pod in (*endpoints.pods, *endpoints.leaving) if not pod.is_ready)
    if any(not longer_than(grace, at, now) for at in changes):
        return ()
    return tuple(port for port in endpoints.service.ports if not endpoints.offered(port))
