"""The names of a cluster."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address

from opscheck import Findings, Observe
from opscheck.core.observation import CouldNotObserve
from opscheck.core.units import format_duration
from opscheck.core.words import MOST, some
from opscheck.systems.host.name_resolution import Resolution
from opscheck.systems.kubernetes.dns import NamesResolve
from opscheck.systems.kubernetes.owners import reference
from opscheck.systems.kubernetes.remedies import place_facts
from opscheck.systems.kubernetes.selection import listed
from opscheck.systems.kubernetes.services import EndpointSlice, Service
from opscheck.systems.kubernetes.words import cannot_tell

DNS_NAMESPACE, DNS_SERVICE = "kube-system", "kube-dns"
"""Where every common distribution but OpenShift has it, whatever it runs."""

_NO_SUCH_NAME = "NXDOMAIN"


@dataclass(frozen=True)
class Trouble:
    """What is wrong with a name, or with the resolver for many of them."""

    subject: str
    observed: str
    expected: str
    facts: Mapping[str, str]
    evidence: tuple[str, ...] = ()
    because: tuple[str, ...] = ()


class Services:
    """The services of the cluster that names are compared with."""

    def __init__(self, services: Iterable[Service], slices: Iterable[EndpointSlice]) -> None:
        self._services = {(one.namespace, one.name): one for one in services if not one.is_terminating}
        self._slices = [one for one in slices if not one.is_terminating]

    def get(self, namespace: str, name: str) -> Service | None:
        """The service, None where there is none."""
        return self._services.get((namespace, name))

    def endpoints(self, service: Service, hostname: str) -> set[str]:
        """The addresses that the name of a headless service, or of one of its pods, stands for."""
        return {
            _normal(address)
            for one in self._slices_of(service)
            for endpoint in one.endpoints or ()
            if endpoint.is_ready and (not hostname or endpoint.hostname == hostname)
            for address in endpoint.addresses or ()
        }

    def changed_since(self, service: Service, moment: datetime) -> bool:
        """True when its endpoints have changed since, as far as the slices say so."""
        times = (_time(one.annotations.endpoints_changed) for one in self._slices_of(service))
        return any(at is not None and at >= moment for at in times)

    def _slices_of(self, service: Service) -> Iterator[EndpointSlice]:
        return (one for one in self._slices if (one.namespace, one.service) == (service.namespace, service.name))


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


def _time(text: str | None) -> datetime | None:
    try:
        found = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return found if found.tzinfo else None


def _normal(address: str) -> str:
    try:
        return str(ip_address(address))
    except ValueError:
        return address


def troubles(
    expectation: NamesResolve, answers: Mapping[str, Resolution], services: Services, now: datetime
) -> Iterator[Trouble]:
    """What is wrong with the names; a resolver that answers none of them is one trouble, and not one for each name."""
    unanswered = {name: one for name, one in answers.items() if not one.addresses and resolver_fails(one)}
    if unanswered:
        yield _resolver(expectation, unanswered)
    for name, answer in answers.items():
        if answer.addresses and expectation.match_services:
            yield from _other_addresses(expectation, name, answer, services, now)
        elif not answer.addresses and name not in unanswered:
            yield _unresolved(expectation, name, answer, services)


def resolver_fails(answer: Resolution) -> bool:
    """
    True when the name is not to blame: a name that always exists is not resolved either, or nothing answered at all.

    nslookup says why; getent ends alike for all reasons.
    """
    if answer.control_resolved is not None:
        return not answer.control_resolved
    return answer.stopped or (bool(answer.said) and not _is_unknown_name(answer.said))


def _is_unknown_name(said: str) -> bool:
    return _NO_SUCH_NAME in said or "No answer" in said or "can't resolve" in said


def _resolver(expectation: NamesResolve, unanswered: Mapping[str, Resolution]) -> Trouble:
    names, target = list(unanswered), expectation.target
    first = unanswered[names[0]]
    control = expectation.resolving(names[0]).control
    said = tuple(dict.fromkeys(one.said for one in unanswered.values() if one.said))
    return Trouble(
        expectation.client.address,
        _how_it_fails(unanswered.values(), control),
        "a resolver that answers",
        {"host_name": names[0]} | _dns_facts(expectation),
        (f"not resolved: {some(names)}", *(f"nslookup: {one}" for one in said), _asked(first)),
        (reference(target, "service", DNS_SERVICE, DNS_NAMESPACE),),
    )


def _how_it_fails(answers: Iterable[Resolution], control: str) -> str:
    found = tuple(answers)
    if any(one.said and _NO_SUCH_NAME in one.said for one in found):
        return f"the resolver there knows no name of the cluster, not even {control}: does it ask the cluster's DNS?"
    if any(one.stopped for one in found):
        took = max((one.seconds or 0 for one in found if one.stopped), default=0)
        after = f" within {format_duration(took)}" if took else ""
        return f"the resolver does not answer{after}"
    return f"no name of the cluster is resolved there, not even {control}"


def _asked(answer: Resolution) -> str:
    return f"asked with {answer.tool}"


def _dns_facts(expectation: NamesResolve) -> dict[str, str]:
    context = expectation.target.context
    if context:
        return {"context": context, "dns_namespace": DNS_NAMESPACE}
    return {"current_dns_namespace": DNS_NAMESPACE}


def _unresolved(expectation: NamesResolve, name: str, answer: Resolution, services: Services) -> Trouble:
    told = "no answer, though other names are resolved" if answer.stopped else "no such name, or no address"
    known = expectation.service_of(name)
    evidence = [f"nslookup: {answer.said}"] if answer.said else []
    facts, because = {"host_name": name}, tuple[str, ...]()
    if known is not None:
        namespace, service, _ = known
        facts |= place_facts(expectation.target, namespace) | {"lost_service": service}
        because = (reference(expectation.target, "service", service, namespace),)
        if expectation.match_services:
            evidence += _service_seen(services, *known)
    return Trouble(name, told, "an address", facts, (*evidence, _asked(answer)), because)


def _service_seen(services: Services, namespace: str, name: str, hostname: str) -> Iterator[str]:
    service = services.get(namespace, name)
    if service is None:
        yield f"there is no service {name} in namespace {namespace}"
    elif service.is_headless and not services.endpoints(service, hostname):
        of = f" named {hostname}" if hostname else ""
        yield f"service {name} is headless, and has no ready endpoint{of}"
    elif service.cluster_ips:
        yield f"service {name} has {', '.join(service.cluster_ips)}"


def _other_addresses(
    expectation: NamesResolve, name: str, answer: Resolution, services: Services, now: datetime
) -> Iterator[Trouble]:
    known = expectation.service_of(name)
    if known is None:
        return
    namespace, service_name, hostname = known
    service = services.get(namespace, service_name)
    told = f"resolves to {', '.join(answer.addresses)}"
    facts = place_facts(expectation.target, namespace) | {"host_name": name, "other_service": service_name}
    if service is None:
        missing = f"there is no service {service_name} in namespace {namespace}"
        yield Trouble(name, f"{told}, but {missing}", "the addresses of a service", facts, (_asked(answer),))
    elif wanted := _differs(service, hostname, answer, services, now - timedelta(seconds=expectation.grace)):
        yield Trouble(name, told, wanted, facts, (_asked(answer),))


def _differs(service: Service, hostname: str, answer: Resolution, services: Services, since: datetime) -> str:
    """What the name should resolve to, where it does not and nothing has changed since; empty where all is well."""
    addresses = {_normal(address) for address in answer.addresses}
    if service.created is not None and service.created >= since:
        return ""
    if service.is_headless or hostname:
        expected = services.endpoints(service, hostname)
        if not expected or addresses & expected or services.changed_since(service, since):
            return ""
        return f"a ready endpoint of service {service.name}: {', '.join(sorted(expected)[:MOST])}"
    own = {_normal(address) for address in service.cluster_ips}
    if not own or addresses <= own:
        return ""  # without an address of its own it stands for something outside
    return f"the address of service {service.name}: {', '.join(service.cluster_ips)}"


def slowest(expectation: NamesResolve, answers: Mapping[str, Resolution]) -> tuple[tuple[str, float], ...]:
    """
    How long each name that was resolved took, the slowest first.

    Raises CouldNotObserve where the policy limits that and the host has no clock that tells.
    """
    times = [(name, one.seconds) for name, one in answers.items() if one.addresses]
    lost = next((name for name, seconds in times if seconds is None), None)
    if lost is not None and expectation.latency is not None:
        text, advice = "the host has no /proc/uptime to time it with", "leave out `latency`, or ask from a Linux host"
        problem = cannot_tell(text, advice)
        raise CouldNotObserve(expectation.resolving(lost), problem)
    known = [(name, seconds) for name, seconds in times if seconds is not None]
    return tuple(sorted(known, key=lambda one: (-one[1], one[0])))
