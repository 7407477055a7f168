"""kubernetes.services: what a service selects, what stands behind it without a selector, and what sleeps."""

from opscheck.demo.kubernetes import deployment, endpoint, endpoint_slice, timestamp
from opscheck.systems.kubernetes.workloads import ListDeployments, ListStatefulSets
from tests.checks.kubernetes.judging_pods import a_pod, ago
from tests.checks.kubernetes.judging_services import (
    a_service,
    expectation_of,
    judged,
    observed,
    pods,
    served,
    slice_of,
)

# What selects


def test_k8sgpt_selector_without_pods_is_one_finding():
    wanted = {"app": "apl", "tier": "web"}
    there = [*pods(2), a_pod("db-0", labels={"app": "db"})]

    (violation,) = judged(a_service("api", selector=wanted), *there).violations

    assert "no pod matches selector app=apl,tier=web" == violation.observed
    assert (
        "values of label app: api (2), db (1)",
        "values of label tier: (none) (3)",
    ) == violation.evidence


def test_a_namespace_without_pods_says_so():
    assert ("namespace default has no running pod",) == judged(a_service("api")).violations[0].evidence


def test_a_name_for_something_outside_has_no_endpoints():
    findings = judged(a_service("db", kind="ExternalName"))

    assert [] == findings.violations
    assert ["services", "services without pods of their own"] == [one.name for one in findings.measurements]


def test_service_without_selector_is_judged_by_manual_slices():
    by_hand = a_service("db", selector={})
    down = endpoint_slice("db", endpoints=[endpoint(address="192.0.2.7", ready=False)])

    assert [] == observed(by_hand)
    assert [] == observed(by_hand, endpoint_slice("db", endpoints=[endpoint(address="192.0.2.7")]))
    assert ["0 of 1 endpoint ready"] == observed(by_hand, down)


def test_addresses_by_hand_of_two_families_are_not_added_up():
    four = endpoint_slice("db", endpoints=[endpoint(address="192.0.2.7")])
    six = endpoint_slice("db", endpoints=[endpoint(address="2001:db8::7")], family="IPv6", suffix="six")

    assert ["1 of 2 endpoints ready"] == observed(a_service("db", selector={}), four, six, min_ready=2)


def test_service_that_publishes_unready_addresses_passes():
    # The endpoint slice controller says `ready: true` of every pod then.
    (pod,) = found = pods(1, ready=False)
    discovery = a_service("api", publishNotReadyAddresses=True, cluster_ip="None")

    assert [] == observed(discovery, endpoint_slice("api", endpoints=[endpoint(pod["metadata"]["name"])]), *found)


def test_a_headless_service_is_judged_too():
    assert ["0 of 1 pod ready for 1h"] == observed(*served(pods(1, ready=False), cluster_ip="None"))


def test_a_headless_service_without_ports_is_judged_too():
    headless = a_service("api", cluster_ip="None", ports={"x": 1})
    headless["spec"]["ports"] = None
    found = pods(1)

    assert [] == observed(headless, slice_of(found, ports={}), *found)


def test_a_service_that_terminates_is_left_out():
    gone = a_service("api")
    gone["metadata"]["deletionTimestamp"] = timestamp(ago(hours=1))

    assert [] == observed(gone, min_matches=0)


# Scaled to zero


def test_service_scaled_to_zero_is_violated_unless_allowed():
    asleep = [a_service("api"), deployment("api", replicas=0, available=0)]

    assert ["no pod matches selector app=api"] == observed(*asleep)
    findings = judged(*asleep, allow_scaled_to_zero=True)
    assert [] == findings.violations
    assert ("services scaled to zero", 1) == (findings.measurements[-1].name, findings.measurements[-1].value)


def test_workload_without_pods_is_not_scaled_to_zero():
    awake = deployment("api", replicas=3, available=0)
    other = deployment("api-canary", replicas=0, available=0)
    other["spec"]["template"]["metadata"]["labels"] = {"app": "api"}

    assert 1 == len(observed(a_service("api"), awake, other, allow_scaled_to_zero=True))


def test_a_selector_that_no_workload_carries_is_not_scaled_to_zero():
    objects = [a_service("api", selector={"app": "apl"}), deployment("api", replicas=0, available=0)]

    assert 1 == len(observed(*objects, allow_scaled_to_zero=True))


def test_workloads_are_asked_for_only_when_the_policy_needs_them():
    asked = tuple(expectation_of(allow_scaled_to_zero=True).queries())

    assert (ListDeployments("target", "default"), ListStatefulSets("target", "default")) == asked[3:]
    assert 3 == len(tuple(expectation_of().queries()))


# Exclusion by name


def test_excluded_service_is_not_judged():
    broken = [a_service("orders-db-ro"), a_service("orders-db")]

    assert [one.subject for one in judged(*broken).violations] == ["orders-db", "orders-db-ro"]
    assert [one.subject for one in judged(*broken, **{"except": ["*-ro"]}).violations] == ["orders-db"]


def test_exclusion_wins_over_name():
    broken = [a_service("orders-db-ro"), a_service("orders-db")]

    findings = judged(*broken, name="orders-*", **{"except": ["orders-db-ro", "other"]})

    assert [one.subject for one in findings.violations] == ["orders-db"]


def test_excluded_services_do_not_count_as_matches():
    replicas = [a_service("orders-db-ro"), a_service("users-db-ro")]

    (violation,) = judged(*replicas, **{"except": ["*-ro"]}).violations

    assert violation.subject == "all except *-ro in namespace default"
    assert (violation.observed, violation.expected) == ("0 services", ">= 1")
    assert violation.evidence == (
        "namespace default has 2 services",
        "existing names: orders-db-ro (1), users-db-ro (1)",
    )


def test_exclusion_without_match_hides_nothing():
    (violation,) = judged(a_service("orders-db"), **{"except": ["ORDERS-*", "orders"]}).violations

    assert violation.subject == "orders-db"
