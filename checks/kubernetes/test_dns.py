"""The names of a cluster."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from ipaddress import ip_address

from opscheck import Findings, Observe
from opscheck.core.observation import CouldNotObserve
from opscheck.core.units import format_duration
from opscheck.core.words import MOST, some
from opscheck.systems.host.name_resolution import Resolution
from opscheck.systems.kubernetes.dns import (
    NOT_RESOLVED,
    OTHER_ADDRESSES,
    RESOLVER_FAILS,
    SERVICE_NOT_RESOLVED,
    SLOW,
    NamesResolve,
)
from opscheck.systems.kubernetes.endpoints import Network, ServiceEndpoints
from opscheck.systems.kubernetes.objects import reference
from opscheck.systems.kubernetes.selection import listed
from opscheck.systems.kubernetes.services import EndpointSlice, ListEndpointSlices, ListServices
from opscheck.systems.kubernetes.words import cannot_tell

DNS_NAMESPACE, DNS_SERVICE = "kube-system", "kube-dns"
"""The name in every common distribution except OpenShift."""

_NO_SUCH_NAME = "NXDOMAIN"
ServiceName = tuple[str, str, str]
"""Namespace and name of a service, and a pod's host name or nothing."""
Services = Mapping[tuple[str, str], ServiceEndpoints]
"""The services to compare the answers with, by namespace and name."""


def test_the_names_resolve(expectation: NamesResolve, observe: Observe, findings: Findings) -> None:
    """
    Service names resolve inside the cluster, in time, to the right addresses.

    Every connection starts with a name. Slow resolution slows everything; failed resolution is an outage while every
    pod and service looks healthy.
    """
    answers = {name: observe(expectation.resolving(name)) for name in expectation.full_names}
    there = listed(observe, expectation.lists(ListServices))
    network = Network(listed(observe, expectation.lists(ListEndpointSlices)), ())
    services = {(one.namespace, one.name): network.of(one) for one in there if not one.is_terminating}
    resolved = sum(bool(one.addresses) for one in answers.values())
    findings.measure("names resolved", resolved, limit=len(answers), margin=resolved - len(answers))
    judge_names(expectation, answers, services, observe.now, findings)
    for place, (name, seconds) in enumerate(slowest(expectation, answers)):
        if place == 0 or (expectation.latency and expectation.latency.severity(seconds)):
            here = findings.on(name, host_name=name)
            here.grade("resolution", seconds, expectation.latency, unit="s", remedies=[SLOW])


def _normal(address: str) -> str:
    try:
        return str(ip_address(address))
    except ValueError:
        return address


def judge_names(
    expectation: NamesResolve,
    answers: Mapping[str, Resolution],
    services: Services,
    now: datetime,
    findings: Findings,
) -> None:
    """Report all wrong names; a failing resolver is one finding, not one for each name."""
    unanswered = {name: one for name, one in answers.items() if not one.addresses and resolver_fails(one)}
    if unanswered:
        _judge_resolver(expectation, unanswered, findings)
    for name, answer in answers.items():
        known = expectation.service_of(name)
        of_service = {"namespace": known[0], "service": known[1]} if known else {}
        here = findings.on(name, host_name=name, **of_service)
        if not answer.addresses and name not in unanswered:
            _judge_unresolved(expectation, known, answer, services, here)
        elif answer.addresses and known is not None and expectation.match_services:
            _judge_addresses(known, answer, services, now - timedelta(seconds=expectation.grace), here)


def resolver_fails(answer: Resolution) -> bool:
    """
    True when the resolver is at fault: a name that always exists is not resolved either, or no answer came.

    nslookup prints the reason; getent has the same exit code for every reason.
    """
    if answer.control_resolved is not None:
        return not answer.control_resolved
    unknown = any(words in answer.said for words in (_NO_SUCH_NAME, "No answer", "can't resolve"))
    return answer.stopped or (bool(answer.said) and not unknown)


def _judge_resolver(expectation: NamesResolve, unanswered: Mapping[str, Resolution], findings: Findings) -> None:
    names = list(unanswered)
    control = expectation.resolving(names[0]).control
    said = tuple(dict.fromkeys(one.said for one in unanswered.values() if one.said))
    tool = f"resolved with {unanswered[names[0]].tool}"
    findings.add(
        subject=expectation.client.address,
        observed=_resolver_fault(unanswered.values(), control),
        expected="a resolver that answers",
        evidence=[f"not resolved: {some(names)}", *(f"nslookup: {one}" for one in said), tool],
        remedies=[RESOLVER_FAILS],
        facts={"host_name": names[0], "dns_namespace": DNS_NAMESPACE},
        because=[reference(expectation.target, "service", DNS_SERVICE, DNS_NAMESPACE)],
    )


def _resolver_fault(answers: Iterable[Resolution], control: str) -> str:
    found = tuple(answers)
    if any(one.said and _NO_SUCH_NAME in one.said for one in found):
        return f"the resolver does not find {control}: it may not use the cluster's DNS"
    if any(one.stopped for one in found):
        took = max((one.seconds or 0 for one in found if one.stopped), default=0)
        after = f" within {format_duration(took)}" if took else ""
        return f"the resolver does not answer{after}"
    return f"no name of the cluster is resolved, not even {control}"


def _judge_unresolved(
    expectation: NamesResolve, known: ServiceName | None, answer: Resolution, services: Services, here: Findings
) -> None:
    evidence = [f"nslookup: {answer.said}"] if answer.said else []
    if known is not None and expectation.match_services:
        evidence += _service_seen(services, *known)
    here.add(
        observed="no answer, while other names are resolved" if answer.stopped else "no such name, or no address",
        expected="an address",
        evidence=[*evidence, f"resolved with {answer.tool}"],
        remedies=[SERVICE_NOT_RESOLVED if known else NOT_RESOLVED],
        because=[reference(expectation.target, "service", known[1], known[0])] if known else [],
    )


def _service_seen(services: Services, namespace: str, name: str, hostname: str) -> Iterator[str]:
    found = services.get((namespace, name))
    if found is None:
        yield f"service {name} does not exist in namespace {namespace}"
    elif found.service.is_headless and not _ready_addresses(found, hostname):
        of = f" named {hostname}" if hostname else ""
        yield f"headless service {name} has no ready endpoint{of}"
    elif found.service.cluster_ips:
        yield f"service {name} has {', '.join(found.service.cluster_ips)}"


def _judge_addresses(
    known: ServiceName, answer: Resolution, services: Services, since: datetime, here: Findings
) -> None:
    namespace, name, hostname = known
    found = services.get((namespace, name))
    observed, expected = f"resolves to {', '.join(answer.addresses)}", "the addresses of a service"
    if found is None:
        observed += f", but service {name} does not exist in namespace {namespace}"
    else:
        expected = _differs(found, hostname, answer, since)
    if expected:
        tool = f"resolved with {answer.tool}"
        here.add(observed=observed, expected=expected, evidence=[tool], remedies=[OTHER_ADDRESSES])


def _differs(found: ServiceEndpoints, hostname: str, answer: Resolution, since: datetime) -> str:
    """The expected addresses, if the name resolves to others and no endpoint changed since; else empty."""
    service, addresses = found.service, {_normal(address) for address in answer.addresses}
    if service.created is not None and service.created >= since:
        return ""
    if service.is_headless or hostname:
        expected = _ready_addresses(found, hostname)
        if not expected or addresses & expected or any(_changed_since(one, since) for one in found.slices):
            return ""
        return f"a ready endpoint of service {service.name}: {', '.join(sorted(expected)[:MOST])}"
    own = {_normal(address) for address in service.cluster_ips}
    if not own or addresses <= own:
        return ""  # a service without its own address is a name outside the cluster
    return f"the address of service {service.name}: {', '.join(service.cluster_ips)}"


def _ready_addresses(found: ServiceEndpoints, hostname: str) -> set[str]:
    """The addresses for the name of a headless service, or of one of its pods."""
    every = (endpoint for one in found.slices for endpoint in one.endpoints or () if endpoint.is_ready)
    named = (endpoint for endpoint in every if not hostname or endpoint.hostname == hostname)
    return {_normal(address) for endpoint in named for address in endpoint.addresses or ()}


def _changed_since(one: EndpointSlice, moment: datetime) -> bool:
    try:
        at = datetime.fromisoformat(one.annotations.endpoints_changed or "")
    except ValueError:
        return False
    return at.tzinfo is not None and at >= moment


def slowest(expectation: NamesResolve, answers: Mapping[str, Resolution]) -> tuple[tuple[str, float], ...]:
    """
    The duration of each successful resolution, the slowest first.

    Raises CouldNotObserve if the policy limits it and the host has no clock for it.
    """
    times = [(name, one.seconds) for name, one in answers.items() if one.addresses]
    lost = next((name for name, seconds in times if seconds is None), None)
    if lost is not None and expectation.latency is not None:
        text, advice = "the host has no /proc/uptime to measure it", "leave out `latency`, or use a Linux host"
        problem = cannot_tell(text, advice)
        raise CouldNotObserve(expectation.resolving(lost), problem)
    known = [(name, seconds) for name, seconds in times if seconds is not None]
    return tuple(sorted(known, key=lambda one: (-one[1], one[0])))
