"""The ingresses of a cluster."""

from collections.abc import Iterable

from opscheck import Findings, Observe
from opscheck.systems.kubernetes.ingresses import IngressesServed, ListIngresses
from opscheck.systems.kubernetes.pods import ListPods
from opscheck.systems.kubernetes.readings.endpoints import Network
from opscheck.systems.kubernetes.readings.ingresses import (
    Backends,
    address_troubles,
    certificate_troubles,
    class_troubles,
)
from opscheck.systems.kubernetes.selection import count_matches, listed, matching
from opscheck.systems.kubernetes.services import ListEndpointSlices, ListServices
from opscheck.systems.kubernetes.troubles import Trouble, tell
from opscheck.systems.kubernetes.warnings import Warnings


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
