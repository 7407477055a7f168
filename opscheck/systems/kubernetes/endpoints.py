"""Who answers for a service: its endpoints, counted once each, and the pods it selects."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from opscheck.core.words import counted, some_lines
from opscheck.systems.kubernetes.containers import containers, crashes_in_a_loop
from opscheck.systems.kubernetes.owners import owner_reference, reference
from opscheck.systems.kubernetes.pod_status import fault_of, has_ended, is_ready, pod_condition
from opscheck.systems.kubernetes.pods import Pod
from opscheck.systems.kubernetes.scope import OfKind
from opscheck.systems.kubernetes.selection import labels_there
from opscheck.systems.kubernetes.services import EndpointSlice, Service, ServicePort
from opscheck.systems.kubernetes.target import KubernetesTarget
from opscheck.systems.kubernetes.troubles import Trouble
from opscheck.systems.kubernetes.words import is_young, lasting, longer_than
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


_TOLD = 3


@dataclass(frozen=True)
class _Short(Trouble):
    pods: tuple[Pod, ...] = ()
    """The pods that are to blame."""


def too_few_ready(expectation: OfKind, behind: Behind, least: int, network: Network, now: datetime) -> Trouble | None:
    """Why fewer than `least` endpoints are ready, and have been for longer than the grace; None where not so."""
    if behind.ready >= least:
        return None
    since = fell_below(least, behind, now)
    if is_young(behind.service, now, expectation.grace) or not longer_than(expectation.grace, since, now):
        return None
    short = _short(behind, least, network, since, now)
    return replace(short, because=_explanations(expectation.target, short.pods))


def _short(behind: Behind, least: int, network: Network, since: datetime | None, now: datetime) -> _Short:
    ready = tuple(pod for pod in behind.pods if is_ready(pod))
    if not behind.service.selector:
        return _kept_by_hand(behind, least)
    if not behind.pods:
        return _no_pods(behind, least, network, since, now)
    if len(ready) >= least:
        return _not_in_slices(behind, least, ready, since, now)
    return _not_ready(behind, least, ready, since, now)


def _expected(least: int) -> str:
    return f"at least {counted(least, 'ready endpoint')}"


def selector_text(service: Service) -> str:
    """As kubectl takes it: `app=api,tier=web`."""
    return ",".join(f"{key}={value}" for key, value in sorted(service.selector.items()))


def _kept_by_hand(behind: Behind, least: int) -> _Short:
    addresses = {endpoint.addresses for one in behind.slices for endpoint in one.endpoints or () if endpoint.addresses}
    name = behind.service.name
    return _Short(
        behind.service,
        f"{behind.ready} of {len(addresses)} endpoints are ready",
        _expected(least),
        facts={"service": name, "sliced": name},
        evidence=("it has no selector: its endpoint slices are written by somebody, not made from pods",),
    )


def _no_pods(behind: Behind, least: int, network: Network, since: datetime | None, now: datetime) -> _Short:
    selector, name = selector_text(behind.service), behind.service.name
    evidence = list(_labels_there(behind.service, network))
    if behind.leaving:
        last = counted(len(behind.leaving), "pod")
        evidence.insert(0, f"its last {last}: terminating{lasting(since, now)}, and none came instead")
    return _Short(
        behind.service,
        f"selector {selector} matches no pod",
        _expected(least),
        since,
        tuple(evidence),
        {"service": name, "unmatched": selector},
        pods=behind.leaving,
    )


def _labels_there(service: Service, network: Network) -> Iterator[str]:
    there = network.pods_of(service.namespace)
    if not there:
        yield f"namespace {service.namespace} has no running pod at all"
        return
    yield from labels_there(sorted(service.selector), there)


def _not_in_slices(behind: Behind, least: int, ready: tuple[Pod, ...], since: datetime | None, now: datetime) -> _Short:
    name = behind.service.name
    return _Short(
        behind.service,
        f"{counted(len(ready), 'pod')} ready{lasting(since, now)}, but {behind.ready} in its endpoint slices",
        _expected(least),
        since,
        ("the endpoint slice controller of the cluster does not follow, or the slices are not its own",),
        {"service": name, "sliced": name, "selected": selector_text(behind.service)},
    )


def _not_ready(behind: Behind, least: int, ready: tuple[Pod, ...], since: datetime | None, now: datetime) -> _Short:
    unready = tuple(pod for pod in behind.pods if not is_ready(pod))
    selected = {"selected": selector_text(behind.service)} | ({"unready_pod": unready[0].name} if unready else {})
    name = behind.service.name
    return _Short(
        behind.service,
        f"{len(ready)} of {counted(len(behind.pods), 'pod')} ready{lasting(since, now)}",
        _expected(least),
        since,
        tuple(_why_unready(behind, unready, now)),
        {"service": name, "sliced": name} | selected,
        pods=unready,
    )


def _why_unready(behind: Behind, unready: tuple[Pod, ...], now: datetime) -> Iterator[str]:
    if behind.still_serving and not behind.ready:
        yield f"{behind.still_serving} that terminate still serve, as long as nothing else is ready"
    yield from some_lines(unready, lambda pod: _trouble_in_a_line(pod, now), _TOLD)


def _trouble_in_a_line(pod: Pod, now: datetime) -> str:
    trouble = fault_of(pod, now, 0)
    return f"{pod.name}: {trouble.observed if trouble else 'not ready'}"


def lost_ports(behind: Behind, now: datetime, grace: float) -> tuple[ServicePort, ...]:
    """
    Ports of the service that no ready endpoint has, though others have endpoints.

    While pods change, a new port has none until the first new pod is ready.
    """
    if not behind.ready or is_young(behind.service, now, grace):
        return ()
    changes = (unready_since(pod, now) for pod in (*behind.pods, *behind.leaving) if not is_ready(pod))
    if any(not longer_than(grace, at, now) for at in changes):
        return ()
    return tuple(port for port in behind.service.ports if not behind.offered(port))


def port_text(port: ServicePort) -> str:
    """`http (80)`, or the number alone."""
    return f"{port.name} ({port.port})" if port.name else f"{port.port}"


def _explanations(target: KubernetesTarget, pods: Iterable[Pod]) -> tuple[str, ...]:
    """What may explain that these pods do not serve: who controls them, themselves, and their nodes."""
    found = list(pods)
    owners = [owner_reference(target, pod) for pod in found]
    each = [reference(target, "pod", pod.name, pod.namespace) for pod in found]
    nodes = [reference(target, "node", pod.node) for pod in found if pod.node]
    return tuple(dict.fromkeys(one for one in (*owners, *each, *nodes) if one))
