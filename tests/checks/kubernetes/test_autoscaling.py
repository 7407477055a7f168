"""kubernetes.autoscaling: tests are named after the reports that they come from."""

from datetime import timedelta

import pytest

from opscheck import KubernetesTarget
from opscheck.demo.kubernetes import event, policies
from opscheck.systems.kubernetes.autoscaling import Autoscaling, ListAutoscalers
from tests.checks.kubernetes.judging_pods import NOW, SECOND, ago
from tests.checks.kubernetes.judging_policies import GRACE, MONTH, commands, expected, judged, observed

AT_THE_EDGE = pytest.mark.parametrize(("age", "count"), [(GRACE - SECOND, 0), (GRACE + SECOND, 1)])


def autoscaler(name="api", **fields):
    return policies.autoscaler(name, **{"created": MONTH} | fields)


def maxed(**fields):
    return autoscaler(**{"replicas": 10, "limited": "TooManyReplicas", "since": ago(hours=1)} | fields)


def found(*autoscalers, **fields):
    return observed(Autoscaling, *autoscalers, **fields)


def test_an_autoscaler_within_its_range_is_well():
    findings = judged(Autoscaling, autoscaler(replicas=4), autoscaler("web", replicas=9))

    assert [] == findings.violations
    number, nearest = findings.measurements
    assert ("autoscalers", 2, 1) == (number.name, number.value, number.limit)
    assert ("replicas", "web", 9, 10, 1) == (
        nearest.name,
        nearest.subject,
        nearest.value,
        nearest.limit,
        nearest.margin,
    )


def test_one_list_a_namespace():
    assert (ListAutoscalers("target", "default"),) == tuple(expected(Autoscaling).queries())
    assert "list horizontalpodautoscalers in namespace default" == ListAutoscalers("target", "default").text()


def test_popeye_288_no_autoscaler_is_no_pass_unless_the_policy_says_so():
    (violation,) = judged(Autoscaling, autoscaler(), selector="app=web").violations

    assert ("0 autoscalers", ">= 1") == (violation.observed, violation.expected)
    assert [] == found(min_matches=0)


# At its maximum


@AT_THE_EDGE
def test_kube_hpa_maxed_out_one_that_wants_more_than_it_may(age, count):
    assert count == len(found(maxed(since=NOW - age)))


def test_remedy_for_an_autoscaler_at_its_maximum():
    (violation,) = judged(Autoscaling, maxed()).violations

    assert ("api", "needs more than its maximum of 10 replicas for 1h", "enough with at most 10") == (
        violation.subject,
        violation.observed,
        violation.expected,
    )
    assert ago(hours=1) == violation.since
    assert "target/default/horizontalpodautoscaler/api" == violation.about
    describe, patch = commands(Autoscaling, maxed())
    assert "kubectl -n default describe hpa api" == describe
    assert patch.startswith("""kubectl -n default patch hpa api --patch '{"spec":{"maxReplicas":20}}'  # if""")


def test_helm_charts_7278_at_the_maximum_with_satisfied_demand_is_well():
    assert [] == found(autoscaler(replicas=10, since=ago(days=2)))


def test_k8sgpt_1667_at_its_minimum_to_be_limited_is_normal():
    assert [] == found(autoscaler(replicas=2, limited="TooFewReplicas", since=ago(days=2)))


def test_k8s_116387_too_few_replicas_away_from_the_minimum_is_no_trouble_either():
    assert [] == found(autoscaler(replicas=5, limited="TooFewReplicas", since=ago(days=2)))


def test_a_limit_on_the_speed_of_scaling_is_no_trouble():
    for reason in ("ScaleUpLimit", "ScaleDownLimit"):
        assert [] == found(autoscaler(replicas=5, limited=reason, since=ago(days=2)))


def test_one_that_may_have_one_size_only_is_pinned_on_purpose():
    findings = judged(Autoscaling, maxed(minimum=10))

    assert [] == findings.violations
    assert ["autoscalers"] == [one.name for one in findings.measurements]


def test_the_minimum_is_1_where_none_is_given():
    item = maxed(maximum=1, replicas=1)
    del item["spec"]["minReplicas"]

    assert [] == found(item)


def test_on_its_way_to_the_maximum_it_is_not_there_yet():
    assert [] == found(maxed(replicas=8, wanted=10, scaled=ago(minutes=1)))


def test_limit_changed_from_minimum_to_maximum_counts_from_last_step():
    assert [] == found(maxed(since=ago(days=3), scaled=ago(minutes=2)))
    (text,) = found(maxed(since=ago(days=3), scaled=ago(minutes=20)))
    assert text.endswith("replicas for 20m")


# Metrics


@pytest.mark.parametrize(
    "reason",
    ["FailedGetResourceMetric", "FailedGetExternalMetric", "FailedGetObjectMetric", "InvalidMetricSourceType"],
)
@AT_THE_EDGE
def test_an_autoscaler_that_cannot_read_its_metrics(reason, age, count):
    assert count == len(found(autoscaler(active=reason, since=NOW - age)))


def test_remedy_for_missing_metrics():
    blind = autoscaler(active="FailedGetResourceMetric", since=ago(minutes=20))
    (violation,) = judged(Autoscaling, blind).violations

    assert "cannot read its metrics for 20m: FailedGetResourceMetric" == violation.observed
    assert "the HPA was unable to compute the replica count: failed to get cpu utilization" == violation.evidence[0]
    assert [
        "kubectl -n default describe hpa api",
        "kubectl -n default get apiservices.apiregistration.k8s.io | grep -e NAME -e metrics  # APIs that api needs",
        "kubectl -n default top pods  # api reads CPU and memory here, and needs requests on every container",
    ] == commands(Autoscaling, blind)


def test_a_target_that_was_scaled_to_none_switches_it_off():
    assert [] == found(autoscaler(active="ScalingDisabled", since=ago(days=2), replicas=0, wanted=0))


@pytest.mark.parametrize("reason", ["InvalidSelector", "AmbiguousSelector"])
def test_an_autoscaler_whose_selector_is_no_good_does_not_scale(reason):
    assert [f"does not scale for 1h: {reason}"] == found(autoscaler(active=reason, since=ago(hours=1)))


def test_of_two_autoscalers_on_the_same_pods_both_are_shown():
    ambiguous = autoscaler(active="AmbiguousSelector", since=ago(hours=1))

    assert "kubectl -n default get hpa -o wide  # find the other one with the target of api" in commands(
        Autoscaling, ambiguous
    )


# The target


@pytest.mark.parametrize("reason", ["FailedGetScale", "FailedUpdateScale"])
@AT_THE_EDGE
def test_an_autoscaler_that_cannot_reach_its_target(reason, age, count):
    assert count == len(found(autoscaler(able=reason, since=NOW - age)))


def test_a_target_that_is_gone_is_named():
    gone = autoscaler(able="FailedGetScale", since=ago(hours=1))

    assert ["cannot scale deployment/api for 1h: FailedGetScale"] == found(gone)
    assert "kubectl -n default describe deployment/api" in commands(Autoscaling, gone)


def test_to_wait_between_two_steps_is_no_trouble():
    assert [] == found(autoscaler(able="BackoffBoth", since=ago(hours=1)))


def test_k8sgpt_a_custom_resource_may_be_scaled():
    assert [] == found(autoscaler(target="Rollout/api"))
    assert ["cannot scale rollout/api for 1h: FailedGetScale"] == found(
        autoscaler(target="Rollout/api", able="FailedGetScale", since=ago(hours=1))
    )


@AT_THE_EDGE
def test_kube_hpa_replicas_mismatch_what_it_wants_does_not_come(age, count):
    behind = autoscaler(replicas=3, wanted=6, scaled=NOW - age)

    assert count == len(found(behind))


def test_missing_pod_explains_missing_replicas_but_not_metrics():
    blind = autoscaler(active="FailedGetResourceMetric", since=ago(minutes=20))
    apart = autoscaler(able="FailedUpdateScale", since=ago(minutes=20))
    behind = autoscaler(replicas=3, wanted=6, scaled=ago(minutes=20))

    assert [(), (), ("target/default/deployment/api",)] == [
        violation.because for one in (blind, apart, behind) for violation in judged(Autoscaling, one).violations
    ]


def test_missing_replicas_are_reported_with_their_numbers():
    assert ["3 of 6 wanted replicas of deployment/api for 20m"] == found(
        autoscaler(replicas=3, wanted=6, scaled=ago(minutes=20))
    )


# New, half written, going


@AT_THE_EDGE
def test_a_new_one_has_no_status_yet(age, count):
    new = autoscaler(created=NOW - age)
    new["status"] = {"desiredReplicas": 0, "currentReplicas": 0, "currentMetrics": None}

    assert count == len(found(new))


def test_one_without_any_time_is_no_alarm():
    bare = autoscaler()
    del bare["status"], bare["metadata"]["creationTimestamp"]

    assert [] == found(bare)


def test_one_that_goes_is_left_out():
    going = maxed()
    going["metadata"]["deletionTimestamp"] = "2026-03-01T11:59:00Z"

    assert ["0 autoscalers"] == found(going)


def test_warnings_are_evidence():
    told = event(
        "e",
        about="HorizontalPodAutoscaler/api",
        reason="FailedGetScale",
        message="deployments.apps api not found",
        kind="Warning",
        at=ago(minutes=1),
    )

    (violation,) = judged(
        Autoscaling, autoscaler(able="FailedGetScale", since=ago(hours=1)), told | {"kind": "Event"}
    ).violations

    assert "FailedGetScale, 1m ago: deployments.apps api not found" == violation.evidence[-1]


def test_several_namespaces_are_told_apart_and_the_context_is_pinned():
    pinned = KubernetesTarget(kind="kubernetes", namespace="default", context="prod")
    two = [maxed(namespace="a"), maxed(namespace="b", since=ago(minutes=20))]

    findings = judged(Autoscaling, *two, target=pinned, namespace=["a", "b"])

    assert ["a/api", "b/api"] == [violation.subject for violation in findings.violations]
    assert ["a", "b"] == [violation.facts["namespace"] for violation in findings.violations]
    typed = commands(Autoscaling, *two, target=pinned, namespace=["a", "b"])
    assert all(command.startswith("kubectl --context prod -n ") for command in typed)
    assert timedelta(minutes=20) == NOW - findings.violations[1].since
