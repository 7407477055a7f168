"""kubernetes.services: endpoints, ports and load balancers of services, and what a person does about them."""

import pytest

from checks.kubernetes import test_services
from opscheck import KubernetesTarget, Severity
from opscheck.core.observation import CouldNotObserve, Problem, ProblemKind
from opscheck.demo.kubernetes import condition, endpoint, endpoint_slice, event
from opscheck.systems.kubernetes.lists import ObjectList
from opscheck.systems.kubernetes.pods import ListPods
from opscheck.systems.kubernetes.services import ListEndpointSlices, ListServices
from opscheck.testing import judge
from tests.checks.kubernetes.judging_pods import NOW, SECOND, TARGET, a_pod, ago
from tests.checks.kubernetes.judging_services import (
    a_service,
    commands,
    expectation_of,
    judged,
    observed,
    pods,
    served,
    slice_of,
)

GRACE = {"minutes": 5}


def test_a_service_with_a_ready_endpoint_is_served():
    findings = judged(*served(pods(3)))

    assert [] == findings.violations
    services, ready = findings.measurements
    assert ("services", 1, 1, 0) == (services.name, services.value, services.limit, services.margin)
    assert ("ready endpoints", 3, 1, 2, "api") == (ready.name, ready.value, ready.limit, ready.margin, ready.subject)


def test_no_service_at_all_is_a_violation_that_says_so():
    (violation,) = judged().violations

    assert ("all in namespace default", "0 services", ">= 1") == (
        violation.subject,
        violation.observed,
        violation.expected,
    )
    assert [] == observed(min_matches=0)


# Endpoints


def test_popeye_289_a_service_whose_endpoints_are_all_not_ready_is_not_served():
    down = pods(3, ready=False, since=ago(minutes=20))

    (violation,) = judged(*served(down)).violations

    assert ("api", "0 of 3 pods ready for 20m", ">= 1 ready endpoint", ago(minutes=20)) == (
        violation.subject,
        violation.observed,
        violation.expected,
        violation.since,
    )
    assert "api-7d4b9c6f5d-0: not ready for 20m: container app runs, but is not ready" == violation.evidence[0]
    assert "target/default/service/api" == violation.about
    assert (
        "target/default/deployment/api",
        "target/default/pod/api-7d4b9c6f5d-0",
        "target/default/pod/api-7d4b9c6f5d-1",
        "target/default/pod/api-7d4b9c6f5d-2",
        "target/node/node-1",
    ) == violation.because


def test_popeye_296_each_endpoint_counts_once_and_those_not_ready_do_not():
    some = [*pods(2), *pods(2, ready=False, start=2)]

    assert [] == observed(*served(some), min_ready=2)
    assert ["2 of 4 pods ready for 1h"] == observed(*served(some), min_ready=3)


def test_an_endpoint_that_does_not_say_whether_it_is_ready_is():
    (pod,) = pods(1)
    silent = endpoint(pod["metadata"]["name"], ready=None, terminating=None)

    assert [] == observed(a_service("api"), pod, endpoint_slice("api", endpoints=[silent]))


def test_an_endpoint_without_conditions_is_ready():
    (pod,) = pods(1)
    bare = endpoint(pod["metadata"]["name"]) | {"conditions": None}

    assert [] == observed(a_service("api"), pod, endpoint_slice("api", endpoints=[bare]))


def test_a_pod_of_two_families_is_one_endpoint():
    (pod,) = found = pods(1)
    six = endpoint_slice("api", endpoints=[endpoint(pod["metadata"]["name"], "fd00::7")], family="IPv6", suffix="six")

    assert ["ready endpoints", 1.0] == _ready(judged(*served(found), six))


def test_an_endpoint_that_moves_between_slices_is_counted_once():
    found = pods(2)

    assert ["ready endpoints", 2.0] == _ready(judged(*served(found), slice_of(found, suffix="other")))


def test_the_endpoints_of_several_slices_are_added_up():
    found = pods(3)
    objects = [a_service("api"), slice_of(found[:2]), slice_of(found[2:], suffix="more"), *found]

    assert ["ready endpoints", 3.0] == _ready(judged(*objects))


def _ready(findings):
    (measured,) = [one for one in findings.measurements if one.name == "ready endpoints"]
    return [measured.name, measured.value]


def test_the_slices_of_another_service_do_not_count():
    (pod,) = pods(1, ready=False)

    assert ["0 of 1 pod ready for 1h"] == observed(a_service("api"), pod, slice_of(pods(1), name="web"))


def test_the_slices_of_another_namespace_do_not_count():
    found = pods(1, ready=False)
    elsewhere = endpoint_slice("api", "other", endpoints=[endpoint("api-1")])

    assert "default/api" == judged(*served(found), elsewhere, namespace=["default", "other"]).violations[0].subject


def test_endpoints_objects_are_never_asked_for():
    assert (
        ListServices("target", "default"),
        ListEndpointSlices("target", "default"),
        ListPods("target", "default"),
    ) == tuple(expectation_of().queries())


@pytest.mark.parametrize(("late", "found"), [(-SECOND, []), (SECOND, ["0 of 1 pod ready for 5m1s"])])
def test_a_service_may_be_without_endpoints_for_a_grace(late, found):
    assert found == observed(*served(pods(1, ready=False, since=ago(**GRACE) - late)))


@pytest.mark.parametrize(("late", "count"), [(-SECOND, 0), (SECOND, 1)])
def test_a_service_that_was_just_made_may_be_without_pods(late, count):
    assert count == len(observed(a_service("api", created=ago(**GRACE) - late)))


def test_a_crash_loop_that_is_ready_for_moments_gets_no_new_grace_each_time():
    flapping = pods(
        1,
        created=ago(hours=3),
        since=ago(minutes=1),
        waiting="CrashLoopBackOff",
        restarts=30,
        terminated=ago(minutes=1),
    )

    (violation,) = judged(*served(flapping)).violations

    assert "0 of 1 pod ready for 3h" == violation.observed


def test_the_time_is_that_of_the_pod_that_left_too_few():
    found = [
        *pods(1, ready=False, since=ago(hours=3)),
        *pods(1, ready=False, since=ago(hours=2), start=1),
        *pods(1, ready=False, since=ago(hours=1), start=2),
        *pods(1, start=3),
    ]

    assert ago(hours=2) == judged(*served(found), min_ready=3).violations[0].since
    assert ago(hours=1) == judged(*served(found), min_ready=2).violations[0].since


def test_limits_may_be_graded():
    graded = {"min_ready": {"P2": 3, "P0": 1}, "severity": "P3"}
    two = [*pods(2), *pods(1, ready=False, start=2)]

    (milder,) = judged(*served(two), **graded).violations
    (worst,) = judged(*served(pods(3, ready=False)), **graded).violations

    assert (Severity.P2, ">= 3 ready endpoints") == (milder.severity, milder.expected)
    assert (Severity.P0, ">= 1 ready endpoint") == (worst.severity, worst.expected)


def test_a_worse_limit_within_its_grace_does_not_hide_a_milder_one_beyond_it():
    found = [*pods(1, ready=False, since=ago(hours=1)), *pods(2, ready=False, since=ago(minutes=1), start=1)]

    (violation,) = judged(*served(found), min_ready={"P2": 3, "P0": 1}).violations

    assert Severity.P2 == violation.severity


def test_a_rollout_that_has_just_replaced_all_pods_is_on_its_way():
    leaving = pods(1, ready=False, deleted=ago(seconds=-10), grace_seconds=30)
    starting = pods(1, ready=False, since=ago(seconds=10), created=ago(seconds=10), start=1)

    assert [] == observed(*served([*leaving, *starting]))


def test_pods_that_terminate_and_still_serve_are_told():
    leaving = pods(1, deleted=ago(minutes=20))
    starting = pods(1, ready=False, since=ago(minutes=20), start=1)

    (violation,) = judged(*served([*leaving, *starting])).violations

    assert "1 terminating endpoint still serving, as nothing else is ready" == violation.evidence[0]


def test_a_deletion_with_a_long_grace_period_counts_from_when_it_was_asked_for():
    # The deletion is due in half an hour: it was asked for half an hour ago.
    leaving = pods(1, ready=False, deleted=ago(minutes=-30), grace_seconds=3600)

    (violation,) = judged(*served(leaving)).violations

    assert ago(minutes=30) == violation.since
    assert "last 1 pod terminating for 30m, without a replacement" == violation.evidence[0]


def test_pods_that_ended_are_no_pods_of_a_service():
    done = [
        a_pod("api-1", labels={"app": "api"}, phase="Succeeded"),
        a_pod("api-2", labels={"app": "api"}, phase="Failed"),
    ]

    assert ["no pod matches selector app=api"] == observed(a_service("api"), *done)


def test_ready_pods_that_are_in_no_slice_are_told_apart():
    found = pods(2, since=ago(hours=1))

    (violation,) = judged(a_service("api"), endpoint_slice("api"), *found).violations

    assert "2 pods ready for 1h, but 0 in its endpoint slices" == violation.observed
    assert () == violation.because
    assert [] == observed(a_service("api"), endpoint_slice("api"), *pods(2, since=ago(minutes=4)))


# Ports


def test_a_named_port_that_no_pod_has_is_found_though_others_are_served():
    found = pods(2)
    two = a_service("api", ports={"http": 80, "metrics": 9090}, target_ports={"http": "web", "metrics": "prometheus"})

    (violation,) = judged(two, slice_of(found), *found).violations

    assert "port metrics (9090) has no endpoint: no ready pod has a port named prometheus" == violation.observed
    assert "a ready endpoint behind each port" == violation.expected


def test_a_port_without_a_name_is_matched_by_having_none():
    found = pods(1)
    unnamed = a_service("api", ports={"": 80})

    assert [] == observed(unnamed, slice_of(found, ports={"": 8080}), *found)


def test_a_port_is_not_missed_while_pods_are_being_replaced():
    old, new = pods(1), pods(1, ready=False, since=ago(minutes=1), start=1)
    two = a_service("api", ports={"http": 80, "metrics": 9090}, target_ports={"metrics": "prometheus"})

    assert [] == observed(two, slice_of([*old, *new]), *old, *new)


def test_a_port_of_a_slice_that_has_only_pods_that_are_not_ready_is_missed():
    good, bad = pods(1), pods(1, ready=False, start=1)
    two = a_service("api", ports={"http": 80, "metrics": 9090})
    slices = [slice_of(good), slice_of(bad, ports={"http": 8080, "metrics": 9090}, suffix="both")]

    assert ["port metrics (9090) has no endpoint: no slice has that port"] == observed(two, *slices, *good, *bad)


# Load balancers


def balanced(**fields):
    found = pods(1)
    return [a_service("api", kind="LoadBalancer", **fields), slice_of(found), *found]


def test_a_load_balancer_without_an_address_is_found():
    (violation,) = judged(*balanced(created=ago(hours=2))).violations

    assert ("no load balancer address for 2h", "an address", ago(hours=2)) == (
        violation.observed,
        violation.expected,
        violation.since,
    )
    assert ("created by the cloud provider (no load balancer class is named)",) == violation.evidence


def test_the_load_balancer_class_says_who_should_make_it():
    (violation,) = judged(*balanced(created=ago(hours=2), loadBalancerClass="example.com/lb")).violations

    assert ("created by load balancer class example.com/lb",) == violation.evidence


@pytest.mark.parametrize("address", ["203.0.113.9", "lb.example.com"])
def test_a_load_balancer_with_an_address_or_a_name_is_well(address):
    assert [] == observed(*balanced(address=address))


@pytest.mark.parametrize(("late", "count"), [(-SECOND, 0), (SECOND, 1)])
def test_a_load_balancer_may_take_a_grace_of_its_own(late, count):
    objects = balanced(created=ago(minutes=15) - late)

    assert count == len(observed(*objects))


def test_a_policy_may_do_without_load_balancers():
    assert [] == observed(*balanced(), load_balancer=False)


def test_a_port_that_the_load_balancer_could_not_open_is_found():
    objects = balanced(address="203.0.113.9")
    objects[0]["status"]["loadBalancer"]["ingress"][0]["ports"] = [
        {"port": 80, "protocol": "TCP"},
        {"port": 443, "protocol": "TCP", "error": "example.com/quota"},
    ]

    assert ["load balancer port 443 failed: example.com/quota"] == observed(*objects)


# What a person does about it


def test_each_kind_of_trouble_has_its_own_commands():
    assert [
        "kubectl -n default describe service api",
        "kubectl -n default get endpointslices -l kubernetes.io/service-name=api",
        "kubectl -n default get pods -l app=api -o wide",
        "kubectl -n default describe pod api-7d4b9c6f5d-0",
    ] == commands(*served(pods(1, ready=False)))
    assert [
        "kubectl -n default describe service api",
        "kubectl -n default get pods --show-labels  # compare with app=api",
    ] == commands(a_service("api"))
    assert [
        "kubectl -n default describe service api",
        "kubectl -n default get events --field-selector involvedObject.kind=Service,involvedObject.name=api",
    ] == commands(*balanced())
    found = pods(1)
    columns = "custom-columns=POD:.metadata.name,PORTS:.spec.containers[*].ports"
    assert [
        "kubectl -n default describe service api",
        "kubectl -n default get endpointslices -l kubernetes.io/service-name=api",
        f"kubectl -n default get pods -l app=api -o '{columns}'  # look for web",
    ] == commands(a_service("api", ports={"other": 80}, target_ports={"other": "web"}), slice_of(found), *found)


def test_commands_name_the_context_that_the_policy_pins():
    pinned = KubernetesTarget(kind="kubernetes", namespace="default", context="prod")

    assert "kubectl --context prod -n default describe service api" == commands(a_service("api"), target=pinned)[0]


def test_warnings_about_the_service_are_evidence():
    warning = event(
        "x",
        about="Service/api",
        reason="SyncLoadBalancerFailed",
        message="quota exceeded",
        kind="Warning",
        at=ago(minutes=3),
    )
    objects = balanced(created=ago(hours=2))

    (violation,) = judged(*objects, warning).violations

    assert "SyncLoadBalancerFailed, 3m ago: quota exceeded" == violation.evidence[-1]


def test_unlisted_services_do_not_pass():
    denied = Problem(kind=ProblemKind.DENIED, text="may not list endpoint slices")

    def answer(query):
        return denied if isinstance(query, ListEndpointSlices) else ObjectList()

    with pytest.raises(CouldNotObserve):
        judge(test_services.test_the_services_are_served, expectation_of(), answer, NOW)


def test_a_condition_that_nobody_knows_is_ignored():
    found = pods(1)
    objects = served(found)
    objects[0]["status"]["conditions"] = [condition("Hibernated", holds=True, since=NOW)]

    assert [] == observed(*objects, target=TARGET)
