"""kubernetes.pods: how many there must be, and what a person does about trouble."""

from opscheck import KubernetesTarget, Severity
from opscheck.expectations.kubernetes.pods import PodsHealthy
from opscheck.queries.kubernetes.pods import ListPods
from opscheck.testing import expect
from tests.checks.kubernetes.judging_pods import TARGET, a_pod, ago, commands, crashing, judged, observed


def test_a_pod_that_runs_and_is_ready_is_well():
    findings = judged(a_pod(), restarts={"at_most": 5, "within": "1h"})

    assert [] == findings.violations
    pods, ready, restarts = findings.measurements
    assert ("pods", 1, 1, 0) == (pods.name, pods.value, pods.limit, pods.margin)
    assert ("ready pods", 1) == (ready.name, ready.value)
    assert ("restarts", 0, 5, 5) == (restarts.name, restarts.value, restarts.limit, restarts.margin)


def test_the_severity_is_the_expectations_own():
    (violation,) = judged(a_pod(ready=False, since=ago(hours=1)), severity="P2").violations

    assert Severity.P2 == violation.severity


# Enough pods


def test_no_pod_at_all_is_a_violation_that_says_so():
    (violation,) = judged().violations

    assert ("all in namespace default", "0 pods", "at least 1") == (
        violation.subject,
        violation.observed,
        violation.expected,
    )
    assert (
        "namespace default has no pod at all; to an API server a namespace that does not exist looks the same",
    ) == violation.evidence


def test_popeye_288_a_selector_that_matches_nothing_is_no_pass():
    others = [a_pod(f"api-{number}", labels={"app": "api"}) for number in (1, 2)]

    (violation,) = judged(*others, a_pod("bare", labels={}), selector="app=web").violations

    assert "0 pods" == violation.observed
    assert ("namespace default has 3 pods", "label app there: api (2), (none) (1)") == violation.evidence


def test_polaris_1190_what_should_be_there_and_is_not_is_a_violation():
    (violation,) = judged(a_pod("web-0"), a_pod("db-0", owner="StatefulSet/db"), name="api-*", min_matches=2).violations

    assert ("0 pods", "at least 2") == (violation.observed, violation.expected)
    assert ("namespace default has 2 pods", "names there: db-0 (1), web-0 (1)") == violation.evidence


def test_one_pod_too_few_is_a_violation_and_enough_is_none():
    two = [a_pod("web-1"), a_pod("web-2")]

    assert ["2 pods"] == observed(*two, min_matches=3)
    assert [] == observed(*two, min_matches=2)


def test_pods_that_end_do_not_stand_for_pods_that_should_run():
    (violation,) = judged(
        a_pod("web-1", deleted=ago(seconds=10)),
        a_pod("web-2", phase="Succeeded"),
        a_pod("migration-x", phase="Running", owner="Job/migration"),
        a_pod("web-3", phase="Failed", reason="Evicted", terminated=ago(hours=9), since=ago(hours=9)),
        selector="app=web",
    ).violations

    assert "0 pods" == violation.observed
    assert "do not count: 1 completed, 1 failed, 1 of a job, 1 terminating" == violation.evidence[0]


def test_a_policy_may_let_completed_pods_count():
    done = a_pod("backup-1", phase="Succeeded", owner="Job/backup")

    assert ["0 pods"] == observed(done)
    assert [] == observed(done, count_completed=True)


def test_the_selector_and_the_glob_both_hold():
    broken = a_pod("api-1", labels={"app": "api"}, ready=False, since=ago(hours=1))

    assert [] == observed(a_pod("web-1"), broken, selector="app=web")
    assert [] == observed(a_pod("web-1"), broken, name="web-*")
    assert 1 == len(observed(a_pod("web-1"), broken))


# What a person does about it


def test_each_kind_of_trouble_has_its_own_commands():
    pull = a_pod(phase="Pending", waiting="ImagePullBackOff", since=ago(minutes=40))

    assert [
        "kubectl -n default describe pod web-7d4b9c6f5d-2xkqp",
        "kubectl -n default rollout history deployment/web",
        "kubectl -n default rollout undo deployment/web  # if it began with the last rollout",
    ] == commands(pull)
    assert [
        "kubectl -n default describe pod web-7d4b9c6f5d-2xkqp",
        "kubectl -n default logs web-7d4b9c6f5d-2xkqp --all-containers --tail=100",
        "kubectl -n default rollout restart deployment/web",
    ] == commands(a_pod(ready=False, since=ago(hours=1)))
    assert [
        "kubectl -n default get deployments,statefulsets,daemonsets,pods --show-labels  # what should match app=api?"
    ] == commands(a_pod(), selector="app=api")


def test_commands_name_the_context_that_the_policy_pins():
    pinned = KubernetesTarget(kind="kubernetes", namespace="default", context="prod")

    assert (
        "kubectl --context prod -n default describe pod web-7d4b9c6f5d-2xkqp" == commands(crashing(), target=pinned)[0]
    )


def test_every_namespace_is_told_apart():
    fine, broken = a_pod(namespace="a"), a_pod(namespace="b", ready=False, since=ago(hours=1))

    (violation,) = judged(fine, broken, namespace="*").violations

    assert "b/web-7d4b9c6f5d-2xkqp" == violation.subject
    assert "b" == violation.facts["namespace"]


def test_one_list_serves_every_expectation_on_a_namespace():
    one = expect(PodsHealthy, TARGET, severity="P0", selector="app=web")
    other = expect(PodsHealthy, TARGET, severity="P1", name="api-*", grace="1m")
    elsewhere = expect(PodsHealthy, TARGET, severity="P1", namespace="*")

    assert (ListPods("target", "default"),) == tuple(one.looks_at()) == tuple(other.looks_at())
    assert (ListPods("target", None),) == tuple(elsewhere.looks_at())


def test_many_pods_of_one_owner_with_one_trouble_are_one_finding():
    pods = [crashing(name=f"web-7d4b9c6f5d-{letter * 5}") for letter in "bcdfghjklmnp"]

    (violation,) = judged(*pods).violations

    assert violation.observed.startswith("12 pods; the first: container app crashes in a loop")
    assert "deployment/web" == violation.subject
    assert violation.evidence[0].endswith("web-7d4b9c6f5d-mmmmm and 2 more")
    assert 5 == len(judged(*pods[:5]).violations)
