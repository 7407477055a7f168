"""The ingresses of a cluster."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from opscheck import Findings, Observe
from opscheck.core.record import Finding
from opscheck.core.words import some
from opscheck.systems.kubernetes.endpoints import Network, ports_without_endpoint, too_few_ready
from opscheck.systems.kubernetes.ingresses import (
    CLASS_NOT_FOUND,
    MISSING,
    NO_ADDRESS,
    NOT_SERVED,
    PORT_NOT_FOUND,
    SECRET_NOT_FOUND,
    SERVICE_NOT_FOUND,
    Ingress,
    IngressBackend,
    IngressClass,
    IngressesServed,
    ListIngresses,
    SecretName,
    ServiceBackendPort,
)
from opscheck.systems.kubernetes.objects import reference
from opscheck.systems.kubernetes.pods import ListPods
from opscheck.systems.kubernetes.selection import count_matches, listed, matching
from opscheck.systems.kubernetes.services import ListEndpointSlices, ListServices, Service, ServicePort
from opscheck.systems.kubernetes.warnings import Warnings
from opscheck.systems.kubernetes.words import is_young, lasting, message

_ROUTES = 3
# The AWS load balancer controller takes this as the name of an action, which an annotation defines.
_ACTION = "use-annotation"
# GKE's own controller takes these from the annotation alone; no ingress class of that name need exist.
_BUILT_IN = {"gce", "gce-internal"}


@dataclass(frozen=True)
class Backend:
    """A backend service of an ingress, with its routes."""

    service: str
    port: ServiceBackendPort
    routes: tuple[str, ...]

    @property
    def text(self) -> str:
        """`backend api:http (shop.example.com/api)`."""
        port = self.port.name or self.port.number
        name = f"{self.service}:{port}" if port else self.service
        return f"backend {name} ({some(self.routes, _ROUTES)})"


def test_the_ingresses_are_served(expectation: IngressesServed, observe: Observe, findings: Findings) -> None:
    """
    Every selected ingress has an address and routes to services with ready endpoints.

    Only the controller resolves the backends of an ingress. A service or port that does not exist, or has no ready
    pod, is an error page outside while everything inside looks healthy.
    """
    there = listed(observe, expectation.lists(ListIngresses))
    matched = matching(expectation, (one for one in there if not one.is_terminating))
    count_matches(expectation, there, matched, findings, remedy=MISSING)
    network = Network(
        listed(observe, expectation.lists(ListEndpointSlices)), listed(observe, expectation.lists(ListPods))
    )
    backends = Backends(expectation, listed(observe, expectation.lists(ListServices)), network)
    now, warnings = observe.now, Warnings(expectation, observe)

    def report(ingress: Ingress, found: Iterable[Finding]) -> None:
        for finding in found:
            findings.report(warnings.attach(finding, ingress))

    for ingress in matched:
        report(ingress, backends.findings(ingress, findings, now))
        if expectation.address:
            report(ingress, address_findings(expectation, ingress, there, findings, now))
    # Last, as these lists may be denied: findings made before still count.
    for ingress in matched if expectation.ingress_class else ():
        classes = listed(observe, expectation.classes())
        report(ingress, class_findings(expectation, ingress, classes, findings, now))
    for ingress in matched if expectation.tls_secrets else ():
        secrets = listed(observe, expectation.secrets())
        report(ingress, secret_findings(expectation, ingress, secrets, findings, now))


class Backends:
    """The services that ingresses may name, with their endpoints."""

    def __init__(self, expectation: IngressesServed, services: Iterable[Service], network: Network) -> None:
        self._expectation = expectation
        self._services = {(one.namespace, one.name): one for one in services}
        self._network = network

    def findings(self, ingress: Ingress, findings: Findings, now: datetime) -> Iterator[Finding]:
        """The problems of the services that `ingress` names."""
        young = is_young(ingress, now, self._expectation.grace)
        for backend in backends(ingress):
            here = self._expectation.on(findings, ingress, ingress=ingress.name, service=backend.service)
            because = reference(self._expectation.target, "service", backend.service, ingress.namespace)
            service = self._services.get((ingress.namespace, backend.service))
            if service is not None and service.type == "ExternalName":
                continue  # it has no endpoints and usually no ports
            port = service and _port(service, backend.port)
            if service is None or (port is None and (backend.port.name or backend.port.number)):
                if not young:
                    yield _not_found(backend, service, because, here)
            else:
                yield from self._unserved(backend, service, port, because, here, now)

    def _unserved(  # noqa: PLR0913, PLR0917 - the parts of a route, and of its finding
        self, backend: Backend, service: Service, port: ServicePort | None, because: str, here: Findings, now: datetime
    ) -> Iterator[Finding]:
        endpoints, grace = self._network.of(service), self._expectation.grace
        if not endpoints.is_judged:
            return
        shortage = too_few_ready(endpoints, 1, now, grace)
        if shortage is not None:
            why = f": {shortage.observed}"
        elif port is not None and port in ports_without_endpoint(endpoints, now, grace):
            why = f" behind port {port.text}"
        else:
            return
        yield here.finding(
            observed=f"{backend.text} has no ready endpoint{why}",
            expected="a ready endpoint",
            since=shortage.since if shortage else None,
            evidence=shortage.evidence if shortage else (),
            remedies=[NOT_SERVED],
            because=[because, *(shortage.causes(self._expectation.target) if shortage else ())],
        )


def _not_found(backend: Backend, service: Service | None, because: str, here: Findings) -> Finding:
    if service is None:
        observed, expected = f"{backend.text}: service {backend.service} does not exist", "a service of that name"
        return here.finding(observed=observed, expected=expected, remedies=[SERVICE_NOT_FOUND], because=[because])
    there = ", ".join(sorted(port.text for port in service.ports))
    return here.finding(
        observed=f"{backend.text}: service {service.name} does not have this port",
        expected=f"one of its ports: {there}" if there else "a port of the service; it has none",
        remedies=[PORT_NOT_FOUND],
        because=[because],
    )


def backends(ingress: Ingress) -> tuple[Backend, ...]:
    """The services that `ingress` names, each with its port once, sorted by name."""
    routes: dict[tuple[str, ServiceBackendPort], set[str]] = defaultdict(set)
    for route, backend in _routes(ingress):
        service = backend.service if backend else None
        if service is None or not service.name:
            continue  # a resource of the controller, or an incomplete backend
        port = service.port or ServiceBackendPort()
        if port.name != _ACTION:
            routes[service.name, port].add(route)
    found = (Backend(service, port, tuple(sorted(those))) for (service, port), those in routes.items())
    return tuple(sorted(found, key=lambda one: (one.service, one.port.name or "", one.port.number or 0)))


def _routes(ingress: Ingress) -> Iterator[tuple[str, IngressBackend | None]]:
    spec = ingress.spec
    if spec is None:
        return
    if spec.default_backend is not None:
        yield "the default backend", spec.default_backend
    for rule in spec.rules or ():
        for path in (rule.http.paths if rule.http else None) or ():
            yield f"{rule.host or '*'}{path.path or '/'}", path.backend


def _port(service: Service, wanted: ServiceBackendPort) -> ServicePort | None:
    # By name or by number, never by two empty names, which would be equal.
    if wanted.name:
        return next((port for port in service.ports if port.name == wanted.name), None)
    return next((port for port in service.ports if wanted.number and port.port == wanted.number), None)


def secret_findings(
    expectation: IngressesServed, ingress: Ingress, secrets: Iterable[SecretName], findings: Findings, now: datetime
) -> Iterator[Finding]:
    """
    Findings for missing secrets with certificates.

    Hosts without a secret get the controller's own certificate. For some controllers a name with a slash is in another
    namespace.
    """
    if is_young(ingress, now, expectation.grace):
        return  # the certificate may not be issued yet
    there = {one.name for one in secrets if one.namespace == ingress.namespace}
    hosts: dict[str, set[str]] = defaultdict(set)
    for tls in (ingress.spec and ingress.spec.tls) or ():
        if tls.secret_name and "/" not in tls.secret_name:
            hosts[tls.secret_name].update(tls.hosts or ())
    for name in sorted(set(hosts) - there):
        here = expectation.on(findings, ingress, ingress=ingress.name, secret=name)
        of = f" for {', '.join(sorted(hosts[name])[:_ROUTES])}" if hosts[name] else ""
        observed = f"secret {name} with the certificate{of} does not exist"
        yield here.finding(observed=observed, expected="the secret", remedies=[SECRET_NOT_FOUND])


def class_findings(
    expectation: IngressesServed, ingress: Ingress, classes: Iterable[IngressClass], findings: Findings, now: datetime
) -> Iterator[Finding]:
    """Findings for a missing class, or for an ingress without a class and no default."""
    if is_young(ingress, now, expectation.grace):
        return
    there = {one.name: one for one in classes}
    named, has_address = ingress.ingress_class, bool(ingress.load_balancer.addresses)
    by_annotation = not (ingress.spec and ingress.spec.ingress_class_name)
    if named:
        # In the annotation controllers accept their own names, even without an ingress class of that name.
        found = named in there or named in _BUILT_IN or (by_annotation and has_address)
    else:
        found = any(one.is_default for one in there.values()) or has_address
    if not found:
        here = expectation.on(findings, ingress, ingress=ingress.name, class_name=named or "a default")
        yield here.finding(
            observed=f"ingress class {named} does not exist" if named else "no class named, and no default class",
            expected="an existing ingress class",
            evidence=[f"existing classes: {', '.join(sorted(there)) or 'none'}"],
            remedies=[CLASS_NOT_FOUND],
        )


def address_findings(
    expectation: IngressesServed, ingress: Ingress, others: Iterable[Ingress], findings: Findings, now: datetime
) -> Iterator[Finding]:
    """Findings for an ingress without an address, and for failed ports of its load balancer."""
    here = expectation.on(findings, ingress, ingress=ingress.name)
    if not ingress.load_balancer.addresses and not is_young(ingress, now, expectation.grace):
        yield here.finding(
            observed=f"no address{lasting(ingress.created, now)}",
            expected="an address",
            since=ingress.created,
            evidence=[_of_same_class(ingress, others)],
            remedies=[NO_ADDRESS],
        )
    for port in ingress.load_balancer.failed_ports:
        observed = f"port {port.port} failed: {message(port.error)}"
        yield here.finding(observed=observed, expected="no error", remedies=[NO_ADDRESS])


def _of_same_class(ingress: Ingress, others: Iterable[Ingress]) -> str:
    name = ingress.ingress_class
    same = [one for one in others if one.ingress_class == name and one.name != ingress.name]
    of = f"class {name}" if name else "no class"
    if any(one.load_balancer.addresses for one in same):
        return f"other ingresses of {of} have an address"
    return f"no ingress of {of} has an address; if the controller never publishes one, set `address: false`"
