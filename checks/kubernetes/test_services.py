"""The services of a cluster."""

from opscheck import Findings, Observe
from opscheck.systems.kubernetes.pods import ListPods
from opscheck.systems.kubernetes.readings.endpoints import Network
from opscheck.systems.kubernetes.readings.services import measured, troubles
from opscheck.systems.kubernetes.selection import count_matches, listed, matching
from opscheck.systems.kubernetes.services import ListEndpointSlices, ListServices, ServicesServed
from opscheck.systems.kubernetes.troubles import tell
from opscheck.systems.kubernetes.warnings import Warnings


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
