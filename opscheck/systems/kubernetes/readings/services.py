"""What is wrong with a service, told from itself, its endpoint slices and its pods."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from opscheck.core.findings import Findings
from opscheck.core.words import counted, some_lines
from opscheck.systems.kubernetes.owners import owner_reference, reference
from opscheck.systems.kubernetes.pod_status import is_ready, trouble_of
from opscheck.systems.kubernetes.pods import Pod
from opscheck.systems.kubernetes.readings.endpoints import Behind, Network, fell_below, unready_since
from opscheck.systems.kubernetes.scope import OfKind
from opscheck.systems.kubernetes.selection import labels_there
from opscheck.systems.kubernetes.services import Service, ServicePort, ServicesServed
from opscheck.systems.kubernetes.target import KubernetesTarget
from opscheck.systems.kubernetes.troubles import Trouble
from opscheck.systems.kubernetes.words import is_young, lasting, longer_than, message

_TOLD = 3


@dataclass(frozen=True)
class _Short(Trouble):
    pods: tuple[Pod, ...] = ()
    """The pods that are to blame."""


def troubles(expectation: ServicesServed, behind: Behind, network: Network, now: datetime) -> Iterator[Trouble]:
    """Everything that is wrong with a service."""
    if behind.is_judged:
        short = _too_few(expectation, behind, network, now)
        lost = () if short else lost_ports(behind, now, expectation.grace)
        yield from (short,) if short else (_unported(behind, port) for port in lost)
    if expectation.load_balancer and behind.service.type == "LoadBalancer":
        yield from _balancing(behind.service, now, expectation.load_balancer_grace)


def _too_few(expectation: ServicesServed, behind: Behind, network: Network, now: datetime) -> Trouble | None:
    # The worst limit that has been broken for longer than the grace. One that was broken a moment ago must not hide
    # a milder one that has been broken for hours.
    for severity, least in reversed(expectation.min_ready.steps):
        trouble = too_few_ready(expectation, behind, least, network, now)
        if trouble is not None:
            return replace(trouble, severity=severity)
    return None


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
    trouble = trouble_of(pod, now, 0)
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


def _unported(behind: Behind, port: ServicePort) -> Trouble:
    service = behind.service
    aim = port.target_port if port.target_port is not None else port.port
    by_name = isinstance(aim, str)
    selected = {"unported": selector_text(service), "missing_port": str(aim)} if service.selector else {}
    return Trouble(
        service,
        f"port {port_text(port)} has no endpoint: "
        + (f"no ready pod has a port named {aim}" if by_name and service.selector else "no slice has that port"),
        "a ready endpoint behind each port",
        facts={"service": service.name, "sliced": service.name} | selected,
    )


def port_text(port: ServicePort) -> str:
    """`http (80)`, or the number alone."""
    return f"{port.name} ({port.port})" if port.name else f"{port.port}"


def _balancing(service: Service, now: datetime, grace: float) -> Iterator[Trouble]:
    facts = {"service": service.name, "unbalanced": service.name}
    wanted = service.spec and service.spec.load_balancer_class
    maker = f"load balancer class {wanted}" if wanted else "the cloud provider, as it names no load balancer class"
    if not service.load_balancer.addresses and not is_young(service, now, grace):
        yield Trouble(
            service,
            f"no load balancer address{lasting(service.created, now)}",
            "an address",
            service.created,
            (f"made by: {maker}",),
            facts,
        )
    for port in service.load_balancer.failed_ports:
        told = f"the load balancer's port {port.port} failed: {message(port.error)}"
        yield Trouble(service, told, "no error", facts=facts)


def _explanations(target: KubernetesTarget, pods: Iterable[Pod]) -> tuple[str, ...]:
    """What may explain that these pods do not serve: who controls them, themselves, and their nodes."""
    found = list(pods)
    owners = [owner_reference(target, pod) for pod in found]
    each = [reference(target, "pod", pod.name, pod.namespace) for pod in found]
    nodes = [reference(target, "node", pod.node) for pod in found if pod.node]
    return tuple(dict.fromkeys(one for one in (*owners, *each, *nodes) if one))


def measured(expectation: ServicesServed, behind: Iterable[Behind], findings: Findings) -> None:
    """Record how many endpoints the service with the fewest to spare has, and how many services are not judged."""
    limit, found = expectation.min_ready, tuple(behind)
    counts = [(limit.margin(one.ready), one.ready, one.service) for one in found if one.is_judged]
    if counts:
        margin, ready, service = min(counts, key=lambda count: count[0])
        name = expectation.subject(service)
        findings.measure("ready endpoints", ready, subject=name, limit=limit.limit(ready), margin=margin)
    asleep = sum(one.asleep for one in found)
    others = sum(not one.is_judged for one in found) - asleep
    for name, count in (("services scaled to zero", asleep), ("services without pods of their own", others)):
        if count:
            findings.measure(name, count)
