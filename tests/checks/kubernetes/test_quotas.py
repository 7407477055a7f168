"""kubernetes.quotas: what is short, what is exceeded, and what could not be told."""

import pytest

from opscheck.core.observation import CouldNotObserve
from opscheck.core.units import Severity
from opscheck.demo.kubernetes import event, policies
from opscheck.systems.kubernetes.quotas import ListQuotas, Quotas
from tests.checks.kubernetes.judging_pods import NOW, SECOND, ago
from tests.checks.kubernetes.judging_policies import GRACE, MONTH, commands, expected, judged, observed

AT_THE_EDGE = pytest.mark.parametrize(("age", "count"), [(GRACE - SECOND, 0), (GRACE + SECOND, 1)])


def quota(name="compute", *, hard, used=None, **fields):
    return policies.quota(name, hard=hard, used=used, **{"created": MONTH} | fields)


def memory(used, hard="10Gi", **fields):
    return quota(hard={"limits.memory": hard}, used={"limits.memory": used}, **fields)


def found(*quotas, **fields):
    return observed(Quotas, *quotas, **fields)


def test_a_quota_with_room_is_well_and_its_fullest_resource_is_measured():
    roomy = quota(hard={"limits.cpu": "10", "limits.memory": "20Gi"}, used={"limits.cpu": "2500m"})

    findings = judged(Quotas, roomy, memory("8Gi"))

    assert [] == findings.violations
    number, fullest = findings.measurements
    assert ("quotas", 2) == (number.name, number.value)
    assert ("limits.memory", "compute", 80, "%", 90, 10) == (
        fullest.name,
        fullest.subject,
        fullest.value,
        fullest.unit,
        fullest.limit,
        fullest.margin,
    )


def test_one_list_a_namespace():
    assert (ListQuotas("target", "default"),) == tuple(expected(Quotas).queries())


@pytest.mark.parametrize(("used", "count"), [("9Gi", 0), ("9217Mi", 1)])
def test_kube_quota_almost_full(used, count):
    assert count == len(found(memory(used)))


def test_a_full_quota_breaks_99_percent_and_keeps_100():
    assert ["limits.memory 100% (10Gi of 10Gi)"] == found(memory("10Gi"), used={"P3": "99%"})
    assert [] == found(memory("10Gi"), used={"P3": "100%"})


def test_remedies_for_a_full_quota():
    full = memory("9728Mi")

    (violation,) = judged(Quotas, full).violations
    assert ("compute", "limits.memory 95% (9728Mi of 10Gi)", "<= 90%", Severity.P3) == (
        violation.subject,
        violation.observed,
        violation.expected,
        violation.severity,
    )
    assert "target/default/resourcequota/compute" == violation.about
    columns = "'POD:.metadata.name,TAKES:.spec.containers[*].resources.limits.memory'"
    assert [
        "kubectl -n default describe quota compute",
        f"kubectl -n default get pods -o custom-columns={columns}",
        "kubectl -n default edit quota compute  # if the cluster has room for more",
    ] == commands(Quotas, full)


@pytest.mark.parametrize(
    ("resource", "listed"),
    [
        ("count/jobs.batch", "jobs.batch"),
        ("pods", "pods"),
        ("services.loadbalancers", "services"),
        ("requests.storage", "persistentvolumeclaims"),
        ("fast.storageclass.storage.k8s.io/requests.storage", "persistentvolumeclaims"),
    ],
)
def test_objects_that_are_counted_are_listed_oldest_first(resource, listed):
    full = quota(hard={resource: "10"}, used={resource: "10"})

    assert [f"{resource} 100% (10 of 10)"] == found(full)
    assert f"kubectl -n default get {listed} --sort-by=.metadata.creationTimestamp" == commands(Quotas, full)[1]


def test_cpu_means_requests_and_vendor_resources_keep_their_dots():
    full = quota(hard={"cpu": "1", "requests.nvidia.com/gpu": "1"}, used={"cpu": "1", "requests.nvidia.com/gpu": "1"})

    shown = [command for command in commands(Quotas, full) if "TAKES" in command]
    assert "resources.requests.cpu" in shown[0]
    assert r"resources.requests.nvidia\.com/gpu" in shown[1]


@pytest.mark.parametrize(
    ("used", "hard"),
    [("950m", "1"), ("950000000n", "1"), ("950000u", "1"), ("9.5e2", "1k"), ("0.95Gi", "1Gi"), ("19", "20")],
)
def test_quantities_are_read_in_every_spelling(used, hard):
    (text,) = found(quota(hard={"requests.cpu": hard}, used={"requests.cpu": used}))

    assert f"requests.cpu 95% ({used} of {hard})" == text


def test_kube_quota_exceeded_above_100_has_the_severity_of_the_expectation():
    (violation,) = judged(Quotas, memory("12Gi"), used={"P3": "90%"}, severity="P1").violations
    assert ("limits.memory 120% (12Gi of 10Gi)", Severity.P1) == (violation.observed, violation.severity)

    (violation,) = judged(Quotas, memory("12Gi"), used={"P3": "150%"}, severity="P2").violations
    assert ("<= 100%", Severity.P2) == (violation.expected, violation.severity)


def test_kube_quota_what_a_quota_forbids_is_never_full():
    forbidding = quota(hard={"services.loadbalancers": "0", "pods": "10"}, used={"services.loadbalancers": "0"})

    assert [] == found(forbidding)


def test_the_scope_of_a_quota_is_told():
    scoped = quota(hard={"pods": "10"}, used={"pods": "10"}, scopes=["BestEffort"])
    selecting = quota(hard={"pods": "10"}, used={"pods": "10"})
    selecting["spec"]["scopeSelector"] = {
        "matchExpressions": [{"scopeName": "PriorityClass", "operator": "In", "values": ["high"]}]
    }

    assert ["pods 100% (10 of 10, scope BestEffort)"] == found(scoped)
    assert ["pods 100% (10 of 10, scope PriorityClass In (high))"] == found(selecting)


def test_a_policy_may_name_the_resources_it_means():
    full = quota(
        hard={"limits.cpu": "10", "count/jobs.batch": "10"}, used={"limits.cpu": "10", "count/jobs.batch": "10"}
    )

    assert ["count/jobs.batch 100% (10 of 10)"] == found(full, resources=["count/*"])
    assert 2 == len(found(full, resources=["limits.*", "count/jobs.batch"]))


def test_a_resource_that_no_quota_limits_is_no_pass():
    with pytest.raises(CouldNotObserve, match=r"no selected quota limits limits\.cpuu \(limited: limits\.memory\)"):
        judged(Quotas, memory("1Gi"), resources=["limits.memory", "limits.cpuu"])


def test_popeye_288_no_quota_is_no_pass_unless_the_policy_says_so():
    assert ["0 quotas"] == found()
    assert [] == found(min_matches=0)


def test_whom_a_full_quota_refused_is_evidence():
    words = 'Error creating: pods "web-x" is forbidden: exceeded quota: compute, requested: cpu=1, limited: cpu=10'
    told = {"about": "ReplicaSet/web-7d4b9c6f5d", "reason": "FailedCreate", "kind": "Warning", "at": ago(minutes=1)}
    refused = event("e1", message=words, **told) | {"kind": "Event"}
    other = event("e2", message=words.replace("compute", "other"), **told) | {"kind": "Event"}

    (violation,) = judged(Quotas, memory("10Gi"), refused, other).violations

    assert (f"FailedCreate, 1m ago: {words}",) == violation.evidence


# What could not be told


@AT_THE_EDGE
def test_a_new_quota_has_not_been_counted_yet(age, count):
    new = memory("0", created=NOW - age)
    new["status"] = {}

    assert count * ["no status for 15m1s"] == found(new)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"spec": {"hard": {"limits.memory": "20Gi"}}}, "limits.memory is 20Gi in the spec and 10Gi in the status"),
        ({"status": {"hard": {"limits.memory": "10Gi"}}}, "usage of limits.memory not counted"),
        (
            {"status": {"hard": {"limits.memory": "10Gi"}, "used": {"limits.memory": "much"}}},
            "limits.memory: invalid quantity 'much': write it as 250m, 2 or 512Mi",
        ),
    ],
)
def test_uncounted_quota_does_not_pass(change, reason):
    with pytest.raises(CouldNotObserve) as caught:
        judged(Quotas, memory("1Gi") | change)

    assert f"no up-to-date status of compute ({reason})" == caught.value.problem.text


def test_the_same_quantity_in_another_spelling_is_the_same():
    respelled = memory("1Gi") | {"spec": {"hard": {"limits.memory": "10240Mi"}}}

    assert [] == found(respelled)


def test_a_quota_that_goes_is_left_out():
    going = memory("10Gi")
    going["metadata"]["deletionTimestamp"] = "2026-03-01T11:59:00Z"

    assert [] == found(going, min_matches=0)
