"""The services of a cluster."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime

from opscheck import Findings, Observe
from opscheck.systems.kubernetes.endpoints import Behind, Network, lost_ports, port_text, selector_text, too_few_ready
from opscheck.systems.kubernetes.pods import ListPods
from opscheck.systems.kubernetes.selection import count_matches, listed, matching
from opscheck.systems.kubernetes.services import ListEndpointSlices, ListServices, Service, ServicePort, ServicesServed
from opscheck.systems.kubernetes.troubles import Trouble, tell
from opscheck.systems.kubernetes.warnings import Warnings
from opscheck.systems.kubernetes.words import is_young, lasting, message


def test_the_services_are_served(expectation: ServicesServed, observe: Observe, findings: Findings) -> None:
    """
    Every selected service has ready endpoints behind each of its ports, and its load balancer an address.

    A service without a ready endpoint refuses or drops every connection, while its name and address still look
    well. With a port that leads nowhere the others go on, and only the clients of that port notice.
    """
    there = listed(observe, expectation.ask(ListServices))
    matched = matching(expectation, (one for one in there if not one.is_terminating))
    count_matches(expectation, there, matched, findings)
    network = Network(
        listed(observe, expectation.ask(ListEndpointSlices)),
        listed(observe, expectation.ask(ListPods)),
        (*listed(observe, expectation.deployments()), *listed(observe, expectation.stateful_sets())),
    )
    warnings = Warnings(expectation, observe)
    each = [network.behind(service) for service in matched]
    measured(expectation, each, findings)
    for behind in each:
        for trouble in troubles(expectation, behind, network, observe.now):
            tell(findings, expectation, trouble, warnings)


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
