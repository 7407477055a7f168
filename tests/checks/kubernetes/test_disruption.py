"""kubernetes.disruption: tests are named after the reports that they come from."""

import pytest

from opscheck.core.observation import CouldNotObserve
from opscheck.core.units import Severity
from opscheck.demo.kubernetes import policies
from opscheck.systems.kubernetes.disruption import DisruptionBudgets, ListDisruptionBudgets
from opscheck.systems.kubernetes.pods import ListPods
from tests.checks.kubernetes.judging_pods import NOW, SECOND, a_pod, ago
from tests.checks.kubernetes.judging_pods import judged as judged_pods
from tests.checks.kubernetes.judging_policies import GRACE, MONTH, commands, expected, judged, observed

AT_THE_EDGE = pytest.mark.parametrize(("age", "count"), [(GRACE - SECOND, 0), (GRACE + SECOND, 1)])


def budget(name="web", **fields):
    return policies.disruption_budget(name, **{"created": MONTH} | fields)


def short(**fields):
    return budget(**{"healthy": 1, "since": ago(hours=1)} | fields)


def web(number, **fields):
    return a_pod(f"web-7d4b9c6f5d-{number}{number}{number}", **fields)


def down(number, age_or_since=None, **fields):
    return web(number, ready=False, since=age_or_since or ago(hours=1), **fields)


def found(*objects, **fields):
    return observed(DisruptionBudgets, *objects, **fields)


def test_a_budget_with_pods_to_spare_is_well():
    findings = judged(DisruptionBudgets, budget(), budget("api", expected=5, healthy=3, wanted=3), web(1))

    assert [] == findings.violations
    number, healthy, allowed = findings.measurements
    assert ("disruption budgets", 2) == (number.name, number.value)
    assert ("healthy pods", "api", 3, 3, 0) == (
        healthy.name,
        healthy.subject,
        healthy.value,
        healthy.limit,
        healthy.margin,
    )
    assert ("disruptions allowed", "api", 0, None) == (allowed.name, allowed.subject, allowed.value, allowed.limit)


def test_the_pods_are_asked_by_the_list_that_others_share():
    assert (ListDisruptionBudgets("target", "default"), ListPods("target", "default")) == tuple(
        expected(DisruptionBudgets).queries()
    )


def test_polaris_1190_where_no_budget_exists_nothing_passes():
    (violation,) = judged(DisruptionBudgets, web(1)).violations

    assert ("0 disruption budgets", ">= 1") == (violation.observed, violation.expected)
    assert [] == found(web(1), min_matches=0)


# Too few are healthy


def test_kube_pdb_not_enough_healthy_pods():
    findings = judged(DisruptionBudgets, short(), web(1), down(2, node="node-2"), down(3, node="node-3"))

    (violation,) = findings.violations
    assert ("web", "1 of 3 pods healthy for 1h (minimum 2)", ">= 2 healthy") == (
        violation.subject,
        violation.observed,
        violation.expected,
    )
    assert ago(hours=1) == violation.since
    assert "not healthy: web-7d4b9c6f5d-222 on node-2, web-7d4b9c6f5d-333 on node-3" == violation.evidence[0]
    assert "target/default/poddisruptionbudget/web" == violation.about
    assert (
        "target/node/node-2",
        "target/node/node-3",
        "target/default/deployment/web",
        "target/default/pod/web-7d4b9c6f5d-222",
        "target/default/pod/web-7d4b9c6f5d-333",
    ) == violation.because


def test_remedies_for_a_budget_short_of_pods():
    assert [
        "kubectl -n default describe pdb web",
        "kubectl -n default get pods -l app=web -o wide",
        "kubectl -n default rollout status deployment/web --watch=false",
    ] == commands(DisruptionBudgets, short(), web(1), down(2), down(3))


@AT_THE_EDGE
def test_pods_may_be_down_within_the_grace(age, count):
    since = NOW - age

    assert count == len(found(short(since=since), web(1), down(2, since), down(3, since)))


def test_pod_time_counts_when_evictions_are_always_forbidden():
    single = {"expected": 1, "healthy": 0, "wanted": 1, "since": MONTH}

    assert [] == found(budget(**single), down(1, ago(minutes=1)))
    (text,) = found(budget(**single), down(1, ago(minutes=20)))
    assert text.endswith("for 20m (minimum 1)")


def test_in_the_middle_of_a_rollout_the_last_pod_to_go_counts():
    assert [] == found(short(since=MONTH), web(1), down(2, ago(minutes=1)), down(3, ago(hours=2)))


def test_a_stateful_pod_that_is_being_replaced_is_on_its_way():
    single = {"expected": 1, "healthy": 0, "wanted": 1, "since": MONTH}

    assert [] == found(budget(**single), web(1, deleted=ago(seconds=-20), ready=False, since=ago(hours=1)))


def test_the_tombstone_of_a_pod_does_not_make_its_replacement_older():
    single = {"expected": 1, "healthy": 0, "wanted": 1, "since": MONTH}
    tombstone = web(1, phase="Failed", reason="Evicted", since=ago(hours=3))

    assert [] == found(budget(**single), tombstone, down(2, ago(minutes=1)))


def test_where_pods_are_missing_altogether_the_condition_tells_since_when():
    assert ["1 of 3 pods healthy for 1h (minimum 2)"] == found(short(), web(1))


def test_k8sgpt_the_condition_is_found_by_its_type_and_not_by_its_place():
    item = short(since=ago(minutes=1))
    item["status"]["conditions"].insert(
        0, {"type": "Unheard", "status": "False", "lastTransitionTime": "2026-01-01T00:00:00Z", "reason": "SyncFailed"}
    )

    assert [] == found(item, web(1), down(2), down(3))


def test_k8s_78427_completed_pods_that_the_budget_counts_are_named():
    (violation,) = judged(DisruptionBudgets, short(), web(1), web(2, phase="Succeeded")).violations

    assert "1 completed pod that the budget counts as unhealthy forever" in violation.evidence


def test_an_empty_selector_means_every_pod_and_none_means_no_pod():
    everything, nothing = short(selector={}), short()
    del nothing["spec"]["selector"]

    (violation,) = judged(DisruptionBudgets, everything, web(1), down(2), down(3)).violations
    assert "its empty selector selects every pod of the namespace" in violation.evidence
    (violation,) = judged(DisruptionBudgets, nothing, web(1), down(2), down(3)).violations
    assert () == violation.because


def test_polaris_999_a_pod_must_have_every_label_of_the_selector():
    both = short(selector={"app": "web", "tier": "front"})

    (violation,) = judged(DisruptionBudgets, both, down(1), down(2)).violations

    assert () == violation.because


def test_pods_of_another_namespace_are_not_meant():
    (violation,) = judged(DisruptionBudgets, short(), down(1, namespace="other"), namespace="*").violations

    assert "default/web" == violation.subject
    assert () == violation.because


# Its controller


@AT_THE_EDGE
def test_a_controller_that_cannot_count_its_pods(age, count):
    words = "found no controllers for pod &Pod{ObjectMeta:{lonely"
    broken = budget(healthy=0, wanted=0, expected=0, reason="SyncFailed", message=words, since=NOW - age)

    assert count * ["pods cannot be counted for 15m1s: SyncFailed"] == found(broken)


@AT_THE_EDGE
def test_a_new_budget_has_no_status_yet(age, count):
    new = budget(created=NOW - age)
    new["status"] = {"currentHealthy": 0, "desiredHealthy": 0, "disruptionsAllowed": 0, "expectedPods": 0}

    assert count == len(found(new, min_pods=1, allowed={"P3": 1}))


def test_numbers_of_an_older_spec_are_no_pass():
    old = budget()
    old["metadata"]["generation"] = 2

    with pytest.raises(CouldNotObserve, match=r"no up-to-date status of web \(generation 2, observed 1\)"):
        judged(DisruptionBudgets, old)


def test_a_budget_that_goes_is_left_out():
    going = short()
    going["metadata"]["deletionTimestamp"] = "2026-03-01T11:59:00Z"

    assert [] == found(going, min_matches=0)


def test_a_budget_that_is_half_written_is_no_alarm():
    bare = budget()
    del bare["status"], bare["spec"], bare["metadata"]["creationTimestamp"]

    assert [] == found(bare)


# Limits that a policy may name


def single(**fields):
    return budget(**{"expected": 1, "healthy": 1, "wanted": 1, "since": MONTH} | fields)


def test_required_single_replica_passes_without_an_allowed_limit():
    assert [] == found(single(), web(1))

    (violation,) = judged(DisruptionBudgets, single(), web(1), allowed={"P3": 1}).violations
    assert ("0 disruptions allowed for 30d (1 of 1 pod healthy, minimum 1)", ">= 1", Severity.P3) == (
        violation.observed,
        violation.expected,
        violation.severity,
    )
    assert [
        "kubectl -n default describe pdb web",
        "kubectl -n default scale deployment/web --replicas=2  # then one can be evicted",
    ] == commands(DisruptionBudgets, single(), web(1), allowed={"P3": 1})


@AT_THE_EDGE
def test_in_the_middle_of_a_rollout_none_may_go(age, count):
    assert count == len(found(single(since=NOW - age), web(1), allowed={"P3": 1}))


def test_k8s_104487_budget_without_pods_passes_without_min_pods():
    lonely = budget(expected=0, healthy=0, wanted=0)

    assert [] == found(lonely, allowed={"P3": 1})
    (violation,) = judged(DisruptionBudgets, lonely, a_pod(labels={"app": "api"}), min_pods=1).violations
    assert ("0 pods: no pod matches its selector", ">= 1") == (violation.observed, violation.expected)
    assert ("its selector: app=web", "values of label app: api (1)") == violation.evidence[:2]


# What it has in common with others


def test_faults_of_its_pods_explain_a_budget():
    broken = [down(2), down(3)]

    (pods,) = judged_pods(*broken).violations
    (violation,) = judged(DisruptionBudgets, short(), web(1), *broken).violations

    assert pods.about in violation.because
