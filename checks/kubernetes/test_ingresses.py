"""The ingresses of a cluster."""

from collections.abc import Iterable

from opscheck import Findings, Observe
from opscheck.expectations.kubernetes.network import IngressesServed
from opscheck.queries.kubernetes.network import Ingress, ListEndpointSlices, ListIngresses, ListServices
from opscheck.queries.kubernetes.pods import ListPods
from opscheck.readings.kubernetes.endpoints import Network
from opscheck.readings.kubernetes.ingresses import (
    Backends,
    Found,
    address_troubles,
    certificate_troubles,
    class_troubles,
)
from opscheck.readings.kubernetes.references import reference
from opscheck.readings.kubernetes.selection import count_matches, listed, matching
from opscheck.readings.kubernetes.services import facts
from opscheck.readings.kubernetes.warnings import Warnings


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
    backends = Backends(expectation.target, listed(observe, expectation.ask(ListServices)), network)
    now, grace = observe.now, expectation.grace
    warnings = Warnings(expectation, observe)
    for ingress in matched:
        tell(expectation, ingress, backends.troubles(ingress, now, grace), findings, warnings)
        if expectation.address:
            tell(expectation, ingress, address_troubles(ingress, there, now, grace), findings, warnings)
    # Last, as these may be denied: what was found stands beside what could not be looked at.
    for ingress in matched if expectation.ingress_class else ():
        classes = listed(observe, expectation.classes())
        tell(expectation, ingress, class_troubles(ingress, classes, now, grace), findings, warnings)
    for ingress in matched if expectation.tls_secrets else ():
        secrets = listed(observe, expectation.secrets())
        tell(expectation, ingress, certificate_troubles(ingress, secrets, now, grace), findings, warnings)


def tell(
    expectation: IngressesServed, ingress: Ingress, found: Iterable[Found], findings: Findings, warnings: Warnings
) -> None:
    """Record what is wrong with an ingress."""
    for one in found:
        findings.add(
            subject=expectation.subject(ingress),
            observed=one.trouble.observed,
            expected=one.trouble.expected,
            since=one.trouble.since,
            evidence=(*one.trouble.evidence, *warnings.about("Ingress", ingress)),
            facts=facts(expectation.target, ingress, one.trouble),
            about=reference(expectation.target, "ingress", ingress.name, ingress.namespace),
            because=one.because,
        )
