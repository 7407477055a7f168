"""The services of a cluster."""

from collections.abc import Iterable, Iterator
from datetime import datetime

from opscheck import Findings, Observe
from opscheck.core.record import Finding
from opscheck.core.words import counted
from opscheck.systems.kubernetes.endpoints import Network, ServiceEndpoints, ports_without_endpoint, too_few_ready
from opscheck.systems.kubernetes.pods import ListPods
from opscheck.systems.kubernetes.selection import count_matches, listed, matching
from opscheck.systems.kubernetes.services import (
    LOAD_BALANCER,
    MISSING,
    NO_SELECTOR,
    PORT_NOT_FOUND,
    ListEndpointSlices,
    ListServices,
    Service,
    ServicePort,
    ServicesServed,
)
from opscheck.systems.kubernetes.warnings import Warnings
from opscheck.systems.kubernetes.words import is_young, lasting, message


def test_the_services_are_served(expectation: ServicesServed, observe: Observe, findings: Findings) -> None:
    """
    Every selected service has ready endpoints for each port, and its load balancer an address.

    A service without a ready endpoint refuses or drops every connection, while its name and address look healthy. With
    a wrong target port only the clients of that port notice.
    """
    there = listed(observe, expectation.lists(ListServices))
    matched = matching(expectation, (one for one in there if not one.is_terminating))
    count_matches(expectation, there, matched, findings, remedy=MISSING)
    network = Network(
        listed(observe, expectation.lists(ListEndpointSlices)),
        listed(observe, expectation.lists(ListPods)),
        listed(observe, expectation.workloads()),
    )
    warnings = Warnings(expectation, observe)
    each = [network.of(service) for service in matched]
    measure_endpoints(expectation, each, findings)
    for endpoints in each:
        for finding in service_findings(expectation, endpoints, findings, observe.now):
            findings.report(warnings.attach(finding, endpoints.service))


def service_findings(
    expectation: ServicesServed, endpoints: ServiceEndpoints, findings: Findings, now: datetime
) -> Iterator[Finding]:
    """The problems of a service."""
    service = endpoints.service
    here = expectation.on(findings, service, service=service.name, pod_selector=service.selector_text)
    if endpoints.is_judged:
        shortage = _shortage(expectation, endpoints, here, now)
        if shortage:
            yield shortage
        else:
            lost = ports_without_endpoint(endpoints, now, expectation.grace)
            yield from (_without_endpoint(service, port, here) for port in lost)
    if expectation.load_balancer and service.type == "LoadBalancer":
        yield from _load_balancer(expectation, service, here, now)


def _shortage(
    expectation: ServicesServed, endpoints: ServiceEndpoints, here: Findings, now: datetime
) -> Finding | None:
    # The worst limit that has been broken for longer than the grace. A limit broken a moment ago must not hide one of
    # lower severity that has been broken for hours.
    for severity, least in reversed(expectation.min_ready.steps):
        shortage = too_few_ready(endpoints, least, now, expectation.grace)
        if shortage is not None:
            return here.finding(
                observed=shortage.observed,
                expected=f">= {counted(least, 'ready endpoint')}",
                severity=severity,
                since=shortage.since,
                evidence=shortage.evidence,
                remedies=[shortage.remedy],
                facts={"pod": shortage.pods[0].name} if shortage.pods else {},
                because=shortage.causes(expectation.target),
            )
    return None


def _without_endpoint(service: Service, port: ServicePort, here: Findings) -> Finding:
    aim = port.target_port if port.target_port is not None else port.port
    by_name = isinstance(aim, str) and bool(service.selector)
    why = f"no ready pod has a port named {aim}" if by_name else "no slice has that port"
    return here.finding(
        observed=f"port {port.text} has no endpoint: {why}",
        expected="a ready endpoint behind each port",
        remedies=[PORT_NOT_FOUND if service.selector else NO_SELECTOR],
        facts={"port": str(aim)},
    )


def _load_balancer(expectation: ServicesServed, service: Service, here: Findings, now: datetime) -> Iterator[Finding]:
    wanted = service.spec and service.spec.load_balancer_class
    maker = f"load balancer class {wanted}" if wanted else "the cloud provider (no load balancer class is named)"
    if not service.load_balancer.addresses and not is_young(service, now, expectation.load_balancer_grace):
        yield here.finding(
            observed=f"no load balancer address{lasting(service.created, now)}",
            expected="an address",
            since=service.created,
            evidence=[f"created by {maker}"],
            remedies=[LOAD_BALANCER],
        )
    for port in service.load_balancer.failed_ports:
        observed = f"load balancer port {port.port} failed: {message(port.error)}"
        yield here.finding(observed=observed, expected="no error", remedies=[LOAD_BALANCER])


def measure_endpoints(expectation: ServicesServed, each: Iterable[ServiceEndpoints], findings: Findings) -> None:
    """Measure the service with the fewest spare endpoints, and the number of services that are not judged."""
    limit, found = expectation.min_ready, tuple(each)
    counts = [(limit.margin(one.ready), one.ready, one.service) for one in found if one.is_judged]
    if counts:
        margin, ready, service = min(counts, key=lambda count: count[0])
        name = expectation.subject(service)
        findings.measure("ready endpoints", ready, subject=name, limit=limit.limit(ready), margin=margin)
    scaled_to_zero = sum(one.scaled_to_zero for one in found)
    others = sum(not one.is_judged for one in found) - scaled_to_zero
    for name, count in (("services scaled to zero", scaled_to_zero), ("services without pods of their own", others)):
        if count:
            findings.measure(name, count)
