"""kubernetes.ingresses: backends, ports, certificates, classes and addresses, and what a person does about them."""

import pytest

from checks.kubernetes import test_ingresses
from opscheck import Findings
from opscheck.core.observation import CouldNotObserve, Problem, ProblemKind
from opscheck.demo.kubernetes import backend, event, ingress, ingress_class, secret
from opscheck.systems.kubernetes.ingresses import (
    Ingress,
    IngressClass,
    IngressesServed,
    ListIngressClasses,
    ListIngresses,
    ListSecretNames,
    SecretName,
)
from opscheck.systems.kubernetes.lists import ObjectList
from opscheck.testing import expect, judge
from tests.checks.kubernetes.judging_pods import NOW, SECOND, TARGET, ago
from tests.checks.kubernetes.judging_services import KINDS, a_service, answers, pods, served, slice_of
from tests.checks.kubernetes.rendering import rendered

ALL = KINDS | {
    "Ingress": (ListIngresses, Ingress),
    "IngressClass": (ListIngressClasses, IngressClass),
    "Secret": (ListSecretNames, SecretName),
}
GRACE = {"minutes": 15}


def an_ingress(name="shop", **fields):
    return ingress(name, **{"created": ago(days=3), "backends": {"/": "api:http"}} | fields)


def expectation_of(**fields) -> IngressesServed:
    return expect(IngressesServed, TARGET, **{"severity": "P1"} | fields)


def judged(*objects, missing=(), **fields) -> Findings:
    expectation = expectation_of(**fields)
    cluster = answers(objects, {"IngressClass": ALL["IngressClass"]}, (None,))
    known = answers(objects, ALL, expectation.namespaces) | cluster | dict(missing)
    return judge(test_ingresses.test_the_ingresses_are_served, expectation, known, NOW)


def observed(*objects, **fields) -> list[str]:
    return [violation.observed for violation in judged(*objects, **fields).violations]


def commands(*objects, **fields) -> list[str]:
    expectation = expectation_of(**fields)
    return rendered(expectation, judged(*objects, **fields))


def healthy():
    return served(pods(2))


def test_an_ingress_that_leads_to_a_served_service_is_well():
    findings = judged(an_ingress(), *healthy())

    assert [] == findings.violations
    (count,) = findings.measurements
    assert ("ingresses", 1, 1, 0) == (count.name, count.value, count.limit, count.margin)


def test_no_ingress_at_all_is_a_violation_that_says_so():
    (violation,) = judged().violations

    assert ("0 ingresses", ">= 1") == (violation.observed, violation.expected)
    assert [] == observed(min_matches=0)


# Backends


def test_a_service_that_does_not_exist_is_found_with_its_routes():
    lost = an_ingress(backends={"/": "api:http", "/cart": "cart:http", "/basket": "cart:http"})

    (violation,) = judged(lost, *healthy()).violations

    assert (
        "shop",
        "backend cart:http (shop.example.com/basket, shop.example.com/cart): service cart does not exist",
    ) == (
        violation.subject,
        violation.observed,
    )
    assert "target/default/ingress/shop" == violation.about
    assert ("target/default/service/cart",) == violation.because


def test_popeye_the_default_backend_is_judged_too():
    (found,) = observed(an_ingress(backends={}, defaultBackend=backend("fallback:80")), *healthy())

    assert "backend fallback:80 (the default backend): service fallback does not exist" == found


def test_a_service_of_another_namespace_does_not_count():
    assert 1 == len(observed(an_ingress(backends={"/": "api:http"}), a_service(namespace="other")))


def test_k8sgpt_a_backend_that_is_no_service_is_not_judged():
    bucket = {"resource": {"apiGroup": "k8s.example.com", "kind": "StorageBucket", "name": "static"}}

    assert [] == observed(an_ingress(backends={}, defaultBackend=bucket))


def test_an_action_of_the_aws_controller_is_no_service():
    assert [] == observed(an_ingress(backends={"/": "ssl-redirect:use-annotation"}))


def test_a_rule_without_paths_is_not_judged():
    assert [] == observed(an_ingress(rules=[{"host": "shop.example.com"}, {"http": None}, {"http": {"paths": None}}]))


@pytest.mark.parametrize("port", ["http", "80"])
def test_a_port_is_found_by_its_name_and_by_its_number(port):
    assert [] == observed(an_ingress(backends={"/": f"api:{port}"}), *healthy())


@pytest.mark.parametrize("port", ["https", "8080"])
def test_a_port_that_the_service_lacks_is_found(port):
    # 8080 is the pods' own: an ingress names the service's.
    (violation,) = judged(an_ingress(backends={"/": f"api:{port}"}), *healthy()).violations

    assert f"backend api:{port} (shop.example.com/): service api does not have this port" == violation.observed
    assert "one of its ports: http (80)" == violation.expected


def test_popeye_two_ports_without_a_name_are_not_the_same_port():
    found = pods(1)
    unnamed = a_service(ports={"": 80})

    (violation,) = observed(an_ingress(backends={"/": "api:81"}), unnamed, slice_of(found, ports={"": 8080}), *found)
    assert "backend api:81 (shop.example.com/): service api does not have this port" == violation


def test_a_backend_outside_the_cluster_has_no_endpoints_to_judge():
    assert [] == observed(an_ingress(), a_service(kind="ExternalName"))


def test_a_service_without_ready_endpoints_explains_the_ingress():
    down = served(pods(1, ready=False, since=ago(minutes=20)))

    (violation,) = judged(an_ingress(), *down).violations

    assert "backend api:http (shop.example.com/) has no ready endpoint: 0 of 1 pod ready for 20m" == violation.observed
    assert ago(minutes=20) == violation.since
    assert (
        "target/default/service/api",
        "target/default/deployment/api",
        "target/default/pod/api-7d4b9c6f5d-0",
        "target/node/node-1",
    ) == violation.because


def test_a_port_that_no_endpoint_has_is_no_backend():
    found = pods(1)
    two = a_service(ports={"http": 80, "admin": 81})

    (violation,) = observed(an_ingress(backends={"/": "api:admin"}), two, slice_of(found), *found)

    assert "backend api:admin (shop.example.com/) has no ready endpoint behind port admin (81)" == violation
    assert [] == observed(an_ingress(), two, slice_of(found), *found)


@pytest.mark.parametrize(("late", "count"), [(-SECOND, 0), (SECOND, 1)])
def test_a_service_may_be_without_endpoints_for_a_grace(late, count):
    down = served(pods(1, ready=False, since=ago(**GRACE) - late))

    assert count == len(observed(an_ingress(), *down))


@pytest.mark.parametrize(("late", "count"), [(-SECOND, 0), (SECOND, 4)])
def test_an_ingress_that_was_just_made_may_be_without_all(late, count):
    new = an_ingress(created=ago(**GRACE) - late, address="", ingress_class="nginx", tls={"cert": ["a.example.com"]})

    assert count == len(observed(new, tls_secrets=True, ingress_class=True))


# Certificates


def test_a_secret_that_does_not_exist_is_found_when_the_policy_asks():
    tls = an_ingress(tls={"shop-tls": ["shop.example.com"]})

    assert [] == observed(tls, *healthy())
    assert ["secret shop-tls with the certificate for shop.example.com does not exist"] == observed(
        tls, *healthy(), secret("shop-tls", "other"), tls_secrets=True
    )
    assert [] == observed(tls, *healthy(), secret("shop-tls"), tls_secrets=True)


def test_hosts_without_a_secret_get_the_controllers_own_certificate():
    assert [] == observed(an_ingress(tls={"": ["shop.example.com"]}), *healthy(), tls_secrets=True)


def test_a_secret_of_another_namespace_by_delegation_is_not_judged():
    assert [] == observed(an_ingress(tls={"certs/wildcard": ["shop.example.com"]}), *healthy(), tls_secrets=True)


def test_k8sgpt_secrets_that_may_not_be_listed_are_unknown_and_not_missing():
    denied = Problem(kind=ProblemKind.DENIED, text="may not list secrets")
    tls = an_ingress(tls={"shop-tls": ["shop.example.com"]})

    with pytest.raises(CouldNotObserve, match="may not list secrets"):
        judged(tls, *healthy(), missing={ListSecretNames("target", "default"): denied}, tls_secrets=True)


def test_findings_are_kept_when_another_list_is_denied():
    expectation = expectation_of(tls_secrets=True)
    denied = Problem(kind=ProblemKind.DENIED, text="may not list secrets")
    known = answers([an_ingress(backends={"/": "lost:80"})], ALL, ("default",))
    findings = Findings(expectation)

    with pytest.raises(CouldNotObserve):
        test_ingresses.test_the_ingresses_are_served(
            expectation,
            _Denying(known, denied),
            findings,  # type: ignore[arg-type]
        )

    assert ["backend lost:80 (shop.example.com/): service lost does not exist"] == [
        one.observed for one in findings.violations
    ]


class _Denying:
    """Answers from what is known, but no secrets."""

    now = NOW

    def __init__(self, known, denied):
        self._known, self._denied = known, denied

    def __call__(self, query):
        if isinstance(query, ListSecretNames):
            raise CouldNotObserve(query, self._denied)
        return self._known[query]

    def evidence(self, query):
        return self._known.get(query, ObjectList())


def test_secrets_are_asked_by_name_alone_and_only_where_the_policy_says_so():
    plain, curious = expectation_of(), expectation_of(tls_secrets=True, ingress_class=True)

    assert not [one for one in plain.described() if isinstance(one, ListSecretNames | ListIngressClasses)]
    assert ListSecretNames.only_metadata
    assert [ListIngressClasses("target"), ListSecretNames("target", "default")] == list(curious.queries())[4:]
    assert "list secrets in namespace default" == ListSecretNames("target", "default").rule.text()


# Classes


def test_a_class_that_does_not_exist_is_found_when_the_policy_asks():
    wrong = an_ingress(ingress_class="ngnix")

    assert [] == observed(wrong, *healthy())
    (violation,) = judged(wrong, *healthy(), ingress_class("nginx"), ingress_class=True).violations
    assert "ingress class ngnix does not exist" == violation.observed
    assert ("existing classes: nginx",) == violation.evidence


def test_an_ingress_without_a_class_goes_to_the_default_one():
    bare = an_ingress(ingress_class="", address="")

    assert [] == observed(bare, *healthy(), ingress_class("nginx", default=True), ingress_class=True, address=False)
    assert ["no class named, and no default class"] == observed(
        bare, *healthy(), ingress_class("nginx"), ingress_class=True, address=False
    )


def test_an_ingress_that_some_controller_serves_needs_no_default_class():
    assert [] == observed(an_ingress(ingress_class=""), *healthy(), ingress_class=True)


@pytest.mark.parametrize("name", ["gce", "gce-internal"])
def test_the_classes_of_gke_are_no_objects(name):
    by_annotation = an_ingress(ingress_class="")
    by_annotation["metadata"]["annotations"] = {"kubernetes.io/ingress.class": name, "other": "thing"}

    assert [] == observed(by_annotation, *healthy(), ingress_class=True)
    assert [] == observed(an_ingress(ingress_class=name), *healthy(), ingress_class=True)


def test_by_the_annotation_a_controller_may_have_a_name_of_its_own():
    by_annotation = an_ingress(ingress_class="")
    by_annotation["metadata"]["annotations"] = {"kubernetes.io/ingress.class": "internal"}

    assert [] == observed(by_annotation, *healthy(), ingress_class=True)


# Addresses


def test_an_ingress_without_an_address_is_found():
    (violation,) = judged(an_ingress(address=""), *healthy()).violations

    assert ("no address for 3d", "an address", ago(days=3)) == (
        violation.observed,
        violation.expected,
        violation.since,
    )
    assert (
        "no ingress of class nginx has an address; if the controller never publishes one, set `address: false`",
    ) == violation.evidence


def test_addresses_of_the_same_class_are_evidence():
    (violation,) = judged(an_ingress(address=""), an_ingress("other"), *healthy()).violations

    assert ("other ingresses of class nginx have an address",) == violation.evidence


def test_a_policy_may_do_without_addresses():
    assert [] == observed(an_ingress(address=""), *healthy(), address=False)


def test_a_port_that_could_not_be_opened_is_found():
    half = an_ingress()
    half["status"]["loadBalancer"]["ingress"][0]["ports"] = [{"port": 443, "protocol": "TCP", "error": "QuotaExceeded"}]

    assert ["port 443 failed: QuotaExceeded"] == observed(half, *healthy())


# What a person does about it


def test_each_kind_of_trouble_has_its_own_commands():
    describe = "kubectl -n default describe ingress shop"

    assert [describe, "kubectl -n default get services  # find the one for cart"] == commands(
        an_ingress(backends={"/": "cart:http"})
    )
    assert [describe, "kubectl -n default get service api -o wide"] == commands(
        an_ingress(backends={"/": "api:9"}), *healthy()
    )
    assert [
        describe,
        "kubectl -n default get endpointslices -l kubernetes.io/service-name=api",
        "kubectl -n default describe service api",
    ] == commands(an_ingress(), a_service())
    assert [describe, "kubectl -n default get secrets  # look for shop-tls"] == commands(
        an_ingress(tls={"shop-tls": []}), *healthy(), tls_secrets=True
    )
    assert [describe, "kubectl -n default get ingressclasses  # look for nginx"] == commands(
        an_ingress(), *healthy(), ingress_class=True
    )
    assert [
        describe,
        "kubectl -n default get events --field-selector involvedObject.kind=Ingress,involvedObject.name=shop",
    ] == commands(an_ingress(address=""), *healthy())


def test_warnings_about_the_ingress_are_evidence():
    warning = event("x", about="Ingress/shop", reason="Sync", message="no such zone", kind="Warning", at=ago(minutes=2))

    (violation,) = judged(an_ingress(address=""), *healthy(), warning).violations

    assert "Sync, 2m ago: no such zone" == violation.evidence[-1]
