"""kubernetes.rollout: how bad it is, what a person is told and types, and where it looks."""

import msgspec
import pytest

from checks.kubernetes import test_rollout
from opscheck import KubernetesTarget, Severity
from opscheck.core.observation import CouldNotObserve, Problem, ProblemKind
from opscheck.demo.kubernetes import deployment, event
from opscheck.systems.kubernetes.events import Event, ListWarnings
from opscheck.systems.kubernetes.lists import ObjectList
from opscheck.systems.kubernetes.rollout import RolloutComplete
from opscheck.testing import expect, judge
from tests.checks.kubernetes.judging_pods import NOW, TARGET, ago
from tests.checks.kubernetes.judging_rollouts import (
    AGE,
    answers,
    commands,
    crashing,
    db,
    failed,
    its_pod,
    judged,
    observed,
    of_new_version,
    web,
    web_pods,
    well,
)

# How bad


def test_kstatus_a_stuck_rollout_that_still_serves_is_a_step_milder():
    (violation,) = judged(failed(), *web_pods(3), of_new_version()).violations

    assert Severity.P1 == violation.severity


def test_a_stuck_rollout_that_does_not_serve_has_the_full_severity():
    (violation,) = judged(failed(old=0, available=0), of_new_version()).violations

    assert Severity.P0 == violation.severity


def test_no_pod_at_all_never_serves_whatever_its_condition_says():
    # maxUnavailable of 100% calls a deployment without a pod available.
    none = failed(old=0, available=0, max_unavailable=3)

    (violation,) = judged(none, of_new_version()).violations

    assert Severity.P0 == violation.severity


def test_a_policy_chooses_how_bad_it_is_while_it_serves():
    (violation,) = judged(failed(), *web_pods(3), of_new_version(), while_serving="P3").violations

    assert Severity.P3 == violation.severity


def test_there_is_nothing_milder_than_p3():
    (violation,) = judged(failed(), *web_pods(3), of_new_version(), severity="P3").violations

    assert Severity.P3 == violation.severity


# What a person does


def test_the_commands_of_a_rollout_that_crashes():
    assert [
        "kubectl -n default rollout status deployment/web --watch=false",
        "kubectl -n default describe deployment/web",
        "kubectl -n default describe pod web-7d4b9c6f5d-new",
        "kubectl -n default logs web-7d4b9c6f5d-new -c app --previous --tail=100",
        "kubectl -n default rollout history deployment/web",
        "kubectl -n default rollout undo deployment/web  # if the last rollout is the cause",
    ] == commands(failed(), *web_pods(3), of_new_version())


def test_every_command_names_the_context_that_the_policy_pins():
    pinned = KubernetesTarget(kind="kubernetes", namespace="default", context="prod")

    found = commands(failed(), *web_pods(3), of_new_version(), target=pinned)

    assert 6 == len(found)
    assert all(command.startswith("kubectl --context prod -n default ") for command in found)


def test_pods_that_were_ready_once_are_restarted_and_not_rolled_back():
    short = web(available=2, max_unavailable=1)
    found = commands(short, *web_pods(2), its_pod("web-7d4b9c6f5d-9", ready=False, since=ago(hours=1)))

    assert "kubectl -n default rollout restart deployment/web" in found
    assert "kubectl -n default logs web-7d4b9c6f5d-9 --all-containers --tail=100" in found
    assert not [command for command in found if "undo" in command]


def test_pods_that_no_node_takes_are_told_with_the_schedulers_words():
    since = ago(minutes=30)
    waiting = [its_pod(f"web-7d4b9c6f5d-{one}", phase="Pending", node=None, created=since) for one in range(3)]

    (violation,) = judged(web(available=0, since=since), *waiting).violations

    assert violation.observed == (
        "0 of 3 pods available; pod web-7d4b9c6f5d-0 (and 2 more): not scheduled for 30m (Unschedulable); "
        "deployment/web"
    )
    assert "0/3 nodes are available: 3 Insufficient memory." in violation.evidence
    assert (
        "kubectl -n default describe nodes | grep -A 8 'Allocated resources'  # look for room for web-7d4b9c6f5d-0"
    ) in commands(web(available=0, since=since), *waiting)


def test_most_frequent_fault_is_reported_first():
    since = ago(minutes=40)
    pods = [its_pod("web-7d4b9c6f5d-0", ready=False, since=since), crashing("web-7d4b9c6f5d-1")]

    (violation,) = judged(web(available=0, since=since), *pods, crashing("web-7d4b9c6f5d-2")).violations

    assert "; pod web-7d4b9c6f5d-1 (and 1 more): container app crashes" in violation.observed
    assert "pod web-7d4b9c6f5d-0: not ready for 40m: container app runs, but is not ready" in violation.evidence


def test_pods_that_failed_are_the_reason_where_no_other_pod_is():
    gone = its_pod("web-7d4b9c6f5d-0", phase="Failed", reason="UnexpectedAdmissionError", terminated=ago(minutes=5))

    (text,) = observed(web(replicas=1, available=0, since=ago(hours=1)), gone)

    assert "UnexpectedAdmissionError" in text


def test_pods_of_others_are_not_to_blame():
    stranger = crashing("web-7d4b9c6f5d-x", owner="StatefulSet/other")
    elsewhere = crashing("web-7d4b9c6f5d-y", namespace="other")

    (text,) = observed(web(available=2, max_unavailable=1), stranger, elsewhere)
    assert "2 of 3 pods available; deployment/web" == text


def test_warnings_about_the_workload_are_evidence():
    expectation = expect(RolloutComplete, TARGET, severity="P0")
    told = event("e", about="Deployment/web", reason="ReplicaSetCreateError", message="denied", kind="Warning", at=NOW)
    known = answers(expectation, [failed(), *web_pods(3)])
    known[expectation.lists(ListWarnings)[0]] = ObjectList((msgspec.convert(told, Event),))

    (violation,) = judge(test_rollout.test_rollouts_are_complete, expectation, known, NOW).violations

    assert "ReplicaSetCreateError, 0s ago: denied" == violation.evidence[-1]


# Where it looks


def test_where_several_namespaces_are_looked_at_the_subject_names_its_own():
    (violation,) = judged(failed(), *web_pods(3), namespace="*").violations

    assert "default/web" == violation.subject


def test_popeye_288_a_selector_that_matches_nothing_is_no_pass():
    (violation,) = judged(web(), selector="app=api").violations

    assert ("app=api in namespace default", "0 workloads") == (violation.subject, violation.observed)
    assert ("namespace default has 1 workloads", "values of label app: web (1)") == violation.evidence
    assert [
        "kubectl -n default get deployments,statefulsets,daemonsets --show-labels  # compare with app=api"
    ] == commands(web(), selector="app=api")


def test_incomplete_workload_is_not_judged_or_counted():
    nothing = {"kind": "Deployment", "metadata": {"name": "web", "namespace": "default"}}

    assert ["0 workloads"] == observed(nothing)
    assert [] == observed(nothing | {"spec": {}}, min_matches=0)


def test_only_the_kinds_that_are_chosen_are_asked_for_and_judged():
    assert [] == observed(failed(), db(), workloads=["statefulsets", "daemonsets"])
    assert ["0 statefulsets"] == observed(failed(), workloads=["statefulsets"])


@pytest.mark.parametrize("lost", range(4))
def test_k8sgpt_a_list_that_is_forbidden_is_unknown_and_never_well(lost):
    expectation = expect(RolloutComplete, TARGET, severity="P0")
    known = answers(expectation, well())
    known[tuple(known)[lost]] = Problem(kind=ProblemKind.DENIED, text="forbidden")

    with pytest.raises(CouldNotObserve):
        judge(test_rollout.test_rollouts_are_complete, expectation, known, NOW)


def test_each_list_is_one_request_however_many_workloads_there_are():
    many = [deployment(f"web-{number}", **AGE) for number in range(30)]
    expectation = expect(RolloutComplete, TARGET, severity="P0")

    assert 4 == len(tuple(expectation.queries()))
    assert [] == observed(*many)
