"""The ingresses of a cluster."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from opscheck import Findings, Observe
from opscheck.core.words import some
from opscheck.systems.kubernetes.endpoints import Behind, Network, lost_ports, port_text, too_few_ready
from opscheck.systems.kubernetes.ingresses import (
    Ingress,
    IngressBackend,
    IngressClass,
    IngressesServed,
    ListIngresses,
    SecretName,
    ServiceBackendPort,
)
from opscheck.systems.kubernetes.owners import reference
from opscheck.systems.kubernetes.pods import ListPods
from opscheck.systems.kubernetes.selection import count_matches, listed, matching
from opscheck.systems.kubernetes.services import ListEndpointSlices, ListServices, Service, ServicePort
from opscheck.systems.kubernetes.troubles import Trouble, tell
from opscheck.systems.kubernetes.warnings import Warnings
from opscheck.systems.kubernetes.words import is_young, lasting, message

_ROUTES = 3

# The AWS load balancer controller takes the name for one of its actions, which stands in an annotation.
_ACTION = "use-annotation"

# GKE's own controller takes these from the annotation alone; no ingress class of that name need exist.
_BUILT_IN = {"gce", "gce-internal"}


@dataclass(frozen=True)
class Backend:
    """A service that an ingress sends requests to, and on which routes."""

    service: str
    port: ServiceBackendPort
    routes: tuple[str, ...]

    @property
    def text(self) -> str:
        """`backend api:http (shop.example.com/api)`."""
        port = self.port.name or self.port.number
        name = f"{self.service}:{port}" if port else self.service
        return f"backend {name} ({some(self.routes, _ROUTES)})"


class Backends:
    """The services that ingresses may name, and what stands behind them."""

    def __init__(self, expectation: IngressesServed, services: Iterable[Service], network: Network) -> None:
        self._expectation = expectation
        self._services = {(one.namespace, one.name): one for one in services}
        self._network = network

    def troubles(self, ingress: Ingress, now: datetime) -> Iterator[Trouble]:
        """What is wrong with the services behind `ingress`."""
        for backend in backends(ingress):
            service = self._services.get((ingress.namespace, backend.service))
            because = (reference(self._expectation.target, "service", backend.service, ingress.namespace),)
            young = is_young(ingress, now, self._expectation.grace)
            if service is None:
                if not young:
                    yield replace(_missing(ingress, backend), because=because)
            elif service.type == "ExternalName":
                continue  # it has neither endpoints nor, as a rule, ports
            elif (port := _port(service, backend.port)) is None and (backend.port.name or backend.port.number):
                if not young:
                    yield replace(_no_port(ingress, backend, service), because=because)
            else:
                found = self._unserved(ingress, backend, self._network.behind(service), port, now)
                yield from (replace(one, because=(*because, *one.because)) for one in found)

    def _unserved(
        self, ingress: Ingress, backend: Backend, behind: Behind, port: ServicePort | None, now: datetime
    ) -> Iterator[Trouble]:
        if not behind.is_judged:
            return
        facts = {"ingress": ingress.name, "unserved_service": behind.service.name}
        short = too_few_ready(self._expectation, behind, 1, self._network, now)
        if short is not None:
            told = f"{backend.text} has no ready endpoint: {short.observed}"
            yield Trouble(ingress, told, "a ready endpoint", short.since, short.evidence, facts, short.because)
        elif port is not None and any(lost == port for lost in lost_ports(behind, now, self._expectation.grace)):
            told = f"{backend.text} has no ready endpoint behind port {port_text(port)}"
            yield Trouble(ingress, told, "a ready endpoint", facts=facts)


def test_the_ingresses_are_served(expectation: IngressesServed, observe: Observe, findings: Findings) -> None:
    """
    Every selected ingress leads to services that exist and are served, and has an address.

    What an ingress names is looked up by its controller and by nobody before: a service or a port that does not
    exist, or has no ready pods, is an error page for everybody outside, while all inside the cluster looks well.
    """
    there = listed(observe, expectation.ask(ListIngresses))
    matched = matching(expectation, (one for one in there if not one.is_terminating))
    count_matches(expectation, there, matched, findings)
    network = Network(listed(observe, expectation.ask(ListEndpointSlices)), listed(observe, expectation.ask(ListPods)))
    backends = Backends(expectation, listed(observe, expectation.ask(ListServices)), network)
    now, grace = observe.now, expectation.grace
    warnings = Warnings(expectation, observe)

    def tell_all(troubles: Iterable[Trouble]) -> None:
        for trouble in troubles:
            tell(findings, expectation, trouble, warnings)

    for ingress in matched:
        tell_all(backends.troubles(ingress, now))
        if expectation.address:
            tell_all(address_troubles(ingress, there, now, grace))
    # Last, as these may be denied: what was found stands beside what could not be looked at.
    for ingress in matched if expectation.ingress_class else ():
        tell_all(class_troubles(ingress, listed(observe, expectation.classes()), now, grace))
    for ingress in matched if expectation.tls_secrets else ():
        tell_all(certificate_troubles(ingress, listed(observe, expectation.secrets()), now, grace))


def backends(ingress: Ingress) -> tuple[Backend, ...]:
    """The services that `ingress` names, each with its port once, in the order of their names."""
    routes: dict[tuple[str, ServiceBackendPort], set[str]] = defaultdict(set)
    for route, backend in _routes(ingress):
        service = backend.service if backend else None
        if service is None or not service.name:
            continue  # a resource of the controller, or half written
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
    # By name or by number, never both empty: two ports without a name would be equal by theirs.
    if wanted.name:
        return next((port for port in service.ports if port.name == wanted.name), None)
    return next((port for port in service.ports if wanted.number and port.port == wanted.number), None)


def _missing(ingress: Ingress, backend: Backend) -> Trouble:
    return Trouble(
        ingress,
        f"{backend.text}: there is no service {backend.service}",
        "a service of that name",
        facts={"ingress": ingress.name, "missing_service": backend.service},
    )


def _no_port(ingress: Ingress, backend: Backend, service: Service) -> Trouble:
    there = ", ".join(sorted(port_text(port) for port in service.ports))
    return Trouble(
        ingress,
        f"{backend.text}: service {service.name} has no such port",
        f"one of its ports: {there}" if there else "a port of the service; it has none",
        facts={"ingress": ingress.name, "wrong_port_of": service.name},
    )


def certificate_troubles(
    ingress: Ingress, secrets: Iterable[SecretName], now: datetime, grace: float
) -> Iterator[Trouble]:
    """
    Secrets with certificates that do not exist.

    Hosts without a secret get the controller's own certificate, and a name with a slash means another namespace, as
    some controllers read it.
    """
    if is_young(ingress, now, grace):
        return  # whoever issues certificates may not be done
    there = {one.name for one in secrets if one.namespace == ingress.namespace}
    hosts: dict[str, set[str]] = defaultdict(set)
    for tls in (ingress.spec and ingress.spec.tls) or ():
        if tls.secret_name and "/" not in tls.secret_name:
            hosts[tls.secret_name].update(tls.hosts or ())
    for name in sorted(set(hosts) - there):
        of = f" for {', '.join(sorted(hosts[name])[:_ROUTES])}" if hosts[name] else ""
        facts = {"ingress": ingress.name, "missing_secret": name}
        yield Trouble(ingress, f"there is no secret {name} with the certificate{of}", "the secret", facts=facts)


def class_troubles(ingress: Ingress, classes: Iterable[IngressClass], now: datetime, grace: float) -> Iterator[Trouble]:
    """An ingress whose class does not exist, or that names none while there is no default one."""
    if is_young(ingress, now, grace):
        return
    there = {one.name: one for one in classes}
    named = ingress.ingress_class
    evidence = (f"classes there: {', '.join(sorted(there)) or 'none'}",)
    if named:
        by_annotation = not (ingress.spec and ingress.spec.ingress_class_name)
        # By the annotation, controllers take their own names, whether there is a class of that name or not.
        if named not in there and named not in _BUILT_IN and not (by_annotation and ingress.load_balancer.addresses):
            yield _no_class(ingress, f"there is no ingress class {named}", named, evidence)
    elif not any(one.is_default for one in there.values()) and not ingress.load_balancer.addresses:
        yield _no_class(ingress, "it names no class, and none is the default", "a default", evidence)


def _no_class(ingress: Ingress, observed: str, name: str, evidence: tuple[str, ...]) -> Trouble:
    facts = {"ingress": ingress.name, "missing_class": name}
    return Trouble(ingress, observed, "an ingress class whose controller takes it", evidence=evidence, facts=facts)


def address_troubles(ingress: Ingress, others: Iterable[Ingress], now: datetime, grace: float) -> Iterator[Trouble]:
    """An ingress that no controller has given an address, and ports that its load balancer could not open."""
    facts: Mapping[str, str] = {"ingress": ingress.name, "unaddressed": ingress.name}
    if not ingress.load_balancer.addresses and not is_young(ingress, now, grace):
        since = ingress.created
        there = (_alike(ingress, others),)
        yield Trouble(ingress, f"no address{lasting(since, now)}", "an address", since, there, facts)
    for port in ingress.load_balancer.failed_ports:
        yield Trouble(ingress, f"port {port.port} failed: {message(port.error)}", "no error", facts=facts)


def _alike(ingress: Ingress, others: Iterable[Ingress]) -> str:
    name = ingress.ingress_class
    same = [one for one in others if one.ingress_class == name and one.name != ingress.name]
    of = f"class {name}" if name else "no class"
    if any(one.load_balancer.addresses for one in same):
        return f"other ingresses of {of} have one"
    return f"no ingress of {of} has one: does its controller run? If it never publishes any, say `address: false`"
