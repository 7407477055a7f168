"""The names of a cluster."""

from opscheck import Findings, Observe
from opscheck.systems.kubernetes.dns import NamesResolve
from opscheck.systems.kubernetes.readings.dns import Services, slowest, troubles
from opscheck.systems.kubernetes.selection import listed


def test_the_names_resolve(expectation: NamesResolve, observe: Observe, findings: Findings) -> None:
    """
    Names resolve where the clients are, soon, and to the addresses of the services they name.

    Every connection begins with a name. When names are resolved late, all is slow; when they are not, all is down,
    while every pod and service looks well.
    """
    answers = {name: observe(expectation.resolving(name)) for name in expectation.full_names}
    services = Services(listed(observe, expectation.services()), listed(observe, expectation.slices()))
    resolved = sum(bool(one.addresses) for one in answers.values())
    findings.measure("names resolved", resolved, limit=len(answers), margin=resolved - len(answers))
    for trouble in troubles(expectation, answers, services, observe.now):
        findings.add(
            subject=trouble.subject,
            observed=trouble.observed,
            expected=trouble.expected,
            evidence=trouble.evidence,
            facts=trouble.facts,
            because=trouble.because,
        )
    for place, (name, seconds) in enumerate(slowest(expectation, answers)):
        if place == 0 or (expectation.latency and expectation.latency.severity(seconds)):
            facts = {"host_name": name}
            findings.grade("resolution", seconds, expectation.latency, unit="s", subject=name, facts=facts)
