"""kubernetes.dns: names, their resolver, the services behind them, and what a person does about each."""

import pytest
from pydantic import ValidationError

from checks.kubernetes import test_dns
from opscheck import Findings, HostTarget, KubernetesTarget, Severity
from opscheck.core.observation import CouldNotObserve, Problem, ProblemKind
from opscheck.core.templates import malformed, unknown_names
from opscheck.demo.kubernetes import endpoint, endpoint_slice
from opscheck.systems.host.name_resolution import Resolution, ResolveName
from opscheck.systems.kubernetes.dns import NamesResolve
from opscheck.systems.kubernetes.services import ListEndpointSlices, ListServices
from opscheck.testing import judge
from tests.checks.kubernetes.judging_pods import NOW, SECOND, ago
from tests.checks.kubernetes.judging_services import KINDS, a_service, answers
from tests.checks.kubernetes.rendering import rendered

CLUSTER = KubernetesTarget(kind="kubernetes", namespace="shop")
CONTROL = "kubernetes.default.svc.cluster.local"
API = "api.shop.svc.cluster.local"
LISTED = {kind: KINDS[kind] for kind in ("Service", "EndpointSlice")}


def expectation_of(cluster=CLUSTER, **fields) -> NamesResolve:
    host = HostTarget(kind="host", uri="kubectl://web-0?namespace=shop")
    targets = {"target": cluster.named("target"), "pod": host.named("pod")}
    given = {"id": "names", "check": "kubernetes.dns", "target": "target", "from": "pod", "severity": "P1"}
    return NamesResolve.model_validate(given | {"names": ["api"]} | fields, context={"targets": targets})


def resolved(*addresses: str, **fields) -> Resolution:
    return Resolution(**{"addresses": addresses, "tool": "getent", "seconds": 0.02} | fields)


def lost(**fields) -> Resolution:
    return resolved(**{"control_resolved": True} | fields)


def judged(*objects, cluster=CLUSTER, found=None, missing=None, **fields) -> Findings:
    """`found` is what each name stands for; objects are those of the namespaces shop and other."""
    expectation = expectation_of(cluster, **fields)
    known = answers(objects, LISTED, ("shop", "other")) | dict(missing or {})
    names = {ResolveName("pod", host_name=name, control=CONTROL): one for name, one in (found or {}).items()}
    return judge(test_dns.test_the_names_resolve, expectation, known | names, NOW)


def observed(*objects, **fields) -> list[str]:
    return [violation.observed for violation in judged(*objects, **fields).violations]


def commands(*objects, **fields) -> list[str]:
    expectation = expectation_of(fields.get("cluster", CLUSTER), names=fields.get("names", ["api"]))
    return rendered(expectation, judged(*objects, **fields))


def api(**fields):
    return a_service("api", namespace="shop", **fields)


def headless(*addresses, ready=True, hostname="", changed="", name="api"):
    """A headless service with these endpoints."""
    ends = [endpoint(f"{name}-{place}", one, ready=ready) for place, one in enumerate(addresses)]
    if hostname:
        ends[0]["hostname"] = hostname
    piece = endpoint_slice(name, "shop", endpoints=ends)
    if changed:
        piece["metadata"]["annotations"] = {"endpoints.kubernetes.io/last-change-trigger-time": changed}
    return [a_service(name, namespace="shop", cluster_ip="None"), piece]


def test_a_name_that_resolves_to_its_service_is_well():
    findings = judged(api(), found={API: resolved("10.96.12.7")}, latency="100ms")

    assert [] == findings.violations
    names, time = findings.measurements
    assert ("names resolved", 1, 1, 0) == (names.name, names.value, names.limit, names.margin)
    assert ("resolution", 0.02, "s", 0.1, API) == (time.name, time.value, time.unit, time.limit, time.subject)


# Names


def test_bare_name_is_a_service_and_dots_decide_for_others():
    names = ["api", "db.data.svc", "db-0.db.data.svc.cluster.local", "example.com"]

    assert (API, "db.data.svc.cluster.local", "db-0.db.data.svc.cluster.local", "example.com") == expectation_of(
        names=names
    ).full_names
    assert ("api.other.svc.k8s.example.com",) == expectation_of(
        namespace="other", cluster_domain="k8s.example.com"
    ).full_names


def test_every_name_is_asked_once_and_every_namespace_is_listed_once():
    names = ["api", "web", API, "db.other.svc", "example.com"]

    assert [
        ResolveName("pod", host_name=API, control=CONTROL),
        ResolveName("pod", host_name="web.shop.svc.cluster.local", control=CONTROL),
        ResolveName("pod", host_name="db.other.svc.cluster.local", control=CONTROL),
        ResolveName("pod", host_name="example.com", control=CONTROL),
        ListServices("target", "other"),
        ListServices("target", "shop"),
        ListEndpointSlices("target", "other"),
        ListEndpointSlices("target", "shop"),
    ] == list(expectation_of(names=names).queries())


@pytest.mark.parametrize("fields", [{"match_services": False}, {"names": ["example.com"]}])
def test_no_list_is_asked_for_where_nothing_is_compared(fields):
    (asked,) = expectation_of(**fields).queries()

    assert isinstance(asked, ResolveName)


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"names": []}, "at least 1 item"),
        ({"names": ["a b"]}, "the name of a service, such as api, or a full name"),
        ({"names": ["-rf"]}, "the name of a service, such as api, or a full name"),
        ({"names": ["api; reboot"]}, "the name of a service, such as api, or a full name"),
        ({"namespace": "*"}, "one namespace: a name is resolved in one"),
        ({"from": "target"}, "a target of kind host"),
        ({"severity": None}, "`severity`"),
    ],
)
def test_a_mistake_is_told_in_terms_of_the_field(fields, text):
    with pytest.raises(ValidationError) as caught:
        expectation_of(**fields)

    assert text in caught.value.errors()[0]["msg"]


# Not resolved


def test_missing_name_is_distinguished_from_a_silent_resolver():
    (violation,) = judged(found={API: lost()}).violations

    assert (API, "no such name, or no address", "an address") == (
        violation.subject,
        violation.observed,
        violation.expected,
    )
    assert ("service api does not exist in namespace shop", "resolved with getent") == violation.evidence
    assert ("target/shop/service/api",) == violation.because


def test_nslookup_output_is_evidence():
    said = f"server can't find {API}: NXDOMAIN"

    (violation,) = judged(api(), found={API: lost(said=said, tool="nslookup")}).violations

    assert (f"nslookup: {said}", "service api has 10.96.12.7", "resolved with nslookup") == violation.evidence


def test_a_headless_service_without_ready_endpoints_has_no_address():
    down = headless("10.244.1.7", ready=False)

    (violation,) = judged(*down, found={API: lost()}).violations

    assert "headless service api has no ready endpoint" == violation.evidence[0]
    assert ("target/shop/service/api",) == violation.because


def test_a_resolver_that_does_not_answer_is_one_finding_for_all_names():
    silent = lost(control_resolved=False, stopped=True, seconds=8.01)
    found = {API: silent, "web.shop.svc.cluster.local": silent}

    (violation,) = judged(api(), names=["api", "web"], found=found).violations

    assert ("kubectl://web-0", "the resolver does not answer within 8.01s", "a resolver that answers") == (
        violation.subject,
        violation.observed,
        violation.expected,
    )
    assert f"not resolved: {API}, web.shop.svc.cluster.local" == violation.evidence[0]
    assert ("target/kube-system/service/kube-dns",) == violation.because


def test_getent_tells_no_reason_so_that_nothing_is_made_up():
    refused = lost(control_resolved=False)

    assert [f"no name of the cluster is resolved, not even {CONTROL}"] == observed(found={API: refused})


def test_a_host_that_asks_another_dns_is_told_so():
    foreign = lost(control_resolved=False, said=f"server can't find {API}: NXDOMAIN")

    assert [f"the resolver does not find {CONTROL}: it may not use the cluster's DNS"] == observed(found={API: foreign})


def test_a_name_whose_own_servers_are_silent_does_not_blame_the_clusters():
    upstream = lost(control_resolved=True, stopped=True, seconds=8.0)

    (violation,) = judged(names=["db.example.com"], found={"db.example.com": upstream}).violations

    assert "no answer, while other names are resolved" == violation.observed
    assert () == violation.because


def test_busybox_27_a_tool_that_always_ends_well_is_judged_by_what_it_says():
    # It gives no status that would have the control asked.
    late = resolved(said="connection timed out; no servers could be reached", tool="nslookup")
    unknown = resolved(said=f"can't resolve '{API}'", tool="nslookup")

    assert "kubectl://web-0" == judged(found={API: late}).violations[0].subject
    assert API == judged(found={API: unknown}).violations[0].subject


@pytest.mark.parametrize("kind", [ProblemKind.UNREACHABLE, ProblemKind.UNSUPPORTED, ProblemKind.LATE])
def test_a_host_that_could_not_be_asked_is_unknown(kind):
    with pytest.raises(CouldNotObserve):
        judged(api(), found={API: Problem(kind=kind, text="no")})


def test_services_that_may_not_be_listed_are_unknown():
    denied = Problem(kind=ProblemKind.DENIED, text="may not list services")

    with pytest.raises(CouldNotObserve):
        judged(found={API: resolved("10.96.12.7")}, missing={ListServices("target", "shop"): denied})


# Addresses


def test_another_address_than_the_services_is_found():
    (violation,) = judged(api(), found={API: resolved("192.0.2.1")}).violations

    assert ("resolves to 192.0.2.1", "the address of service api: 10.96.12.7") == (
        violation.observed,
        violation.expected,
    )


def test_one_ip_family_is_enough_and_addresses_are_normalised():
    both = api(clusterIPs=["10.96.12.7", "fd00:0:0:0::7"])

    assert [] == observed(both, found={API: resolved("10.96.12.7")})
    assert [] == observed(both, found={API: resolved("fd00::7", "10.96.12.7")})
    assert 1 == len(observed(both, found={API: resolved("fd00::8", "10.96.12.7")}))


def test_a_name_that_resolves_without_a_service_is_somebody_elses():
    assert ["resolves to 192.0.2.1, but service api does not exist in namespace shop"] == observed(
        found={API: resolved("192.0.2.1")}
    )


def test_a_headless_service_is_its_ready_endpoints():
    assert [] == observed(*headless("10.244.1.7", "10.244.1.8"), found={API: resolved("10.244.1.8", "10.244.9.9")})
    assert ["resolves to 10.244.9.9"] == observed(*headless("10.244.1.7"), found={API: resolved("10.244.9.9")})


def test_the_name_of_one_pod_is_its_own_address():
    name = "db-0.db.shop.svc.cluster.local"
    world = headless("10.244.1.7", "10.244.1.8", hostname="db-0", name="db")

    assert [] == observed(*world, names=[name], found={name: resolved("10.244.1.7")})
    assert ["resolves to 10.244.1.8"] == observed(*world, names=[name], found={name: resolved("10.244.1.8")})


def test_dns_may_be_late_after_endpoints_changed():
    stale = {API: resolved("10.244.9.9")}
    early, late = (ago(minutes=1) + SECOND).isoformat(), (ago(minutes=1) - SECOND).isoformat()

    assert [] == observed(*headless("10.244.1.7", changed=early), found=stale)
    assert 1 == len(observed(*headless("10.244.1.7", changed=late), found=stale))
    assert 1 == len(observed(*headless("10.244.1.7", changed="yesterday"), found=stale))


@pytest.mark.parametrize(("late", "count"), [(-SECOND, 0), (SECOND, 1)])
def test_dns_may_be_late_after_a_service_was_made_anew(late, count):
    young = api(created=ago(minutes=1) - late)

    assert count == len(observed(young, found={API: resolved("192.0.2.1")}))


def test_a_name_for_something_outside_and_full_names_are_not_compared():
    found = {API: resolved("192.0.2.1"), "example.com": resolved("192.0.2.2")}

    assert [] == observed(api(kind="ExternalName"), names=["api", "example.com"], found=found)


def test_a_policy_may_do_without_the_comparison():
    assert [] == observed(found={API: resolved("192.0.2.1")}, match_services=False)


# Time


def test_the_slowest_name_is_measured_and_all_that_are_too_slow_are_found():
    found = {
        API: resolved("10.96.12.7", seconds=5.02),
        "a.example.com": resolved("192.0.2.1", seconds=0.3),
        "b.example.com": resolved("192.0.2.1", seconds=0.01),
    }
    names = ["api", "a.example.com", "b.example.com"]

    findings = judged(api(), names=names, found=found, latency={"P3": "200ms", "P1": "2s"})

    assert [(API, Severity.P1, "resolution 5.02s"), ("a.example.com", Severity.P3, "resolution 300ms")] == [
        (one.subject, one.severity, one.observed) for one in findings.violations
    ]
    assert 3 == len(findings.measurements)


def test_without_a_clock_a_limit_on_time_is_unknown():
    timeless = {API: resolved("10.96.12.7", seconds=None)}

    assert [] == observed(api(), found=timeless)
    with pytest.raises(CouldNotObserve, match="no /proc/uptime"):
        judged(api(), found=timeless, latency="1s")


# What a person does about it


def test_each_kind_of_trouble_has_its_own_commands():
    ask = f"getent ahosts {API}; cat /etc/resolv.conf"

    assert [
        ask,
        "kubectl -n shop get services  # look for api",
        "kubectl -n shop get endpointslices -l kubernetes.io/service-name=api",
    ] == commands(found={API: lost()})
    assert [ask, "kubectl -n shop get service api -o wide"] == commands(api(), found={API: resolved("192.0.2.1")})
    assert [
        ask,
        "kubectl -n kube-system get pods -l k8s-app=kube-dns -o wide",
        "kubectl -n kube-system logs -l k8s-app=kube-dns --tail=50",
        "kubectl -n kube-system describe service kube-dns",
    ] == commands(found={API: lost(control_resolved=False)})


def test_commands_name_the_context_that_the_policy_pins():
    pinned = KubernetesTarget(kind="kubernetes", namespace="shop", context="prod")

    assert (
        "kubectl --context prod -n kube-system get pods -l k8s-app=kube-dns -o wide"
        == (commands(cluster=pinned, found={API: lost(control_resolved=False)})[1])
    )


def test_each_remediation_can_be_written():
    expectation = expectation_of()

    for command in (command for remedy in expectation.remedies for command in remedy.commands):
        assert [] == malformed(command)
        assert [] == unknown_names(command, expectation)
