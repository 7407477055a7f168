"""kubernetes.pods: how many there must be, and what a person does about trouble."""

from opscheck import KubernetesTarget, Severity
from opscheck.demo.kubernetes import event, termination
from opscheck.systems.kubernetes.pods import ListPods, PodsHealthy
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

    assert ("all in namespace default", "0 pods", ">= 1") == (
        violation.subject,
        violation.observed,
        violation.expected,
    )
    assert ("namespace default has no pods; the namespace may not exist",) == violation.evidence


def test_popeye_288_a_selector_that_matches_nothing_is_no_pass():
    others = [a_pod(f"api-{number}", labels={"app": "api"}) for number in (1, 2)]

    (violation,) = judged(*others, a_pod("bare", labels={}), selector="app=web").violations

    assert "0 pods" == violation.observed
    assert ("namespace default has 3 pods", "values of label app: api (2), (none) (1)") == violation.evidence


def test_polaris_1190_what_should_be_there_and_is_not_is_a_violation():
    (violation,) = judged(a_pod("web-0"), a_pod("db-0", owner="StatefulSet/db"), name="api-*", min_matches=2).violations

    assert ("0 pods", ">= 2") == (violation.observed, violation.expected)
    assert ("namespace default has 2 pods", "existing names: db-0 (1), web-0 (1)") == violation.evidence


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
    assert "not counted: 1 completed, 1 failed, 1 of a job, 1 terminating" == violation.evidence[0]


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
        "kubectl -n default rollout undo deployment/web  # if the last rollout is the cause",
    ] == commands(pull)
    assert [
        "kubectl -n default describe pod web-7d4b9c6f5d-2xkqp",
        "kubectl -n default logs web-7d4b9c6f5d-2xkqp --all-containers --tail=100",
        "kubectl -n default rollout restart deployment/web",
    ] == commands(a_pod(ready=False, since=ago(hours=1)))
    assert [
        "kubectl -n default get deployments,statefulsets,daemonsets,pods --show-labels  # compare with app=api"
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

    assert (ListPods("target", "default"),) == tuple(one.queries()) == tuple(other.queries())
    assert (ListPods("target", None),) == tuple(elsewhere.queries())


def test_many_pods_of_one_owner_with_one_trouble_are_one_finding():
    pods = [crashing(name=f"web-7d4b9c6f5d-{letter * 5}") for letter in "bcdfghjklmnp"]

    (violation,) = judged(*pods).violations

    assert violation.observed.startswith("12 pods, the first: container app crashes in a loop")
    assert "deployment/web" == violation.subject
    each, more = violation.evidence[:10], violation.evidence[10]
    assert "web-7d4b9c6f5d-bbbbb: container app crashes in a loop: exit code 1 (Error) 3m ago, 7 restarts" == each[0]
    assert "and 2 more" == more


def test_two_pods_of_one_owner_are_one_finding_and_one_is_named_by_itself():
    pods = [crashing(name="web-7d4b9c6f5d-2xkqp"), crashing(name="web-7d4b9c6f5d-9fjrm")]

    assert ["deployment/web"] == [violation.subject for violation in judged(*pods).violations]
    assert ["web-7d4b9c6f5d-2xkqp"] == [violation.subject for violation in judged(pods[0]).violations]


def test_different_troubles_of_one_owner_are_told_apart():
    killed = termination(ago(seconds=40), 137, "OOMKilled")
    found = judged(
        crashing(name="web-7d4b9c6f5d-2xkqp"),
        crashing(name="web-7d4b9c6f5d-5qwzt", terminated=killed),
        a_pod("web-7d4b9c6f5d-9fjrm", ready=False, since=ago(hours=1)),
        a_pod("api-55c9d8b7f4-9fjrm", ready=False, since=ago(hours=1)),
    )

    assert [
        "api-55c9d8b7f4-9fjrm",
        "web-7d4b9c6f5d-2xkqp",
        "web-7d4b9c6f5d-5qwzt",
        "web-7d4b9c6f5d-9fjrm",
    ] == [violation.subject for violation in found.violations]


def test_pods_that_nobody_controls_are_told_one_by_one():
    pods = [a_pod(name, owner=None, ready=False, since=ago(hours=1)) for name in ("one", "other")]

    assert ["one", "other"] == [violation.subject for violation in judged(*pods).violations]


# What it is about, and what would explain it


def explained(*pods, **fields) -> list[tuple[str, tuple[str, ...]]]:
    return [(violation.about, violation.because) for violation in judged(*pods, **fields).violations]


def test_a_finding_names_its_pod_and_the_owner_and_node_that_would_explain_it():
    unready = a_pod(ready=False, since=ago(hours=1))

    assert [
        ("target/default/pod/web-7d4b9c6f5d-2xkqp", ("target/node/node-1", "target/default/deployment/web"))
    ] == explained(unready)


def test_a_finding_on_several_pods_is_about_their_owner():
    pods = [a_pod(f"web-7d4b9c6f5d-{end}", ready=False, since=ago(hours=1), node=end) for end in ("2xkqp", "9fjrm")]

    assert [("target/default/deployment/web", ("target/default/deployment/web",))] == explained(*pods)


def test_cause_of_one_pod_does_not_explain_several():
    same_node = [a_pod(f"web-7d4b9c6f5d-{end}", ready=False, since=ago(hours=1)) for end in ("2xkqp", "9fjrm")]

    assert "target/node/node-1" in explained(*same_node)[0][1]
    assert (
        "target/node/node-1"
        not in explained(*same_node, a_pod("web-7d4b9c6f5d-bbbbb", ready=False, node="node-2", since=ago(hours=1)))[0][
            1
        ]
    )


def test_a_crash_is_not_the_nodes_fault():
    assert [("target/default/pod/web-7d4b9c6f5d-2xkqp", ("target/default/deployment/web",))] == explained(crashing())


def test_a_pod_of_a_scheduled_job_is_explained_by_the_job_and_by_the_cron_job():
    stuck = a_pod(
        "backup-29401320-x7k2m",
        owner="Job/backup-29401320",
        phase="Pending",
        waiting="ErrImagePull",
        since=ago(hours=1),
        created=ago(hours=1),
    )

    ((_, because),) = explained(stuck, count_completed=True)
    assert ("target/default/job/backup-29401320", "target/default/cronjob/backup") == because


def test_an_unscheduled_pod_is_explained_by_the_claims_it_mounts():
    pending = a_pod(
        "db-0", owner="StatefulSet/db", phase="Pending", node=None, created=ago(hours=1), since=ago(hours=1)
    )
    pending["spec"]["volumes"] += [
        {"name": "data", "persistentVolumeClaim": {"claimName": "data-db-0"}},
        {"name": "scratch", "ephemeral": {"volumeClaimTemplate": {"spec": {}}}},
    ]

    ((_, because),) = explained(pending)
    assert (
        "target/default/persistentvolumeclaim/data-db-0",
        "target/default/persistentvolumeclaim/db-0-scratch",
        "target/default/statefulset/db",
    ) == because


# Warning events


def warning(pod="web-7d4b9c6f5d-2xkqp", **fields):
    told = {"reason": "BackOff", "message": "Back-off restarting failed container app", "kind": "Warning"}
    return event("event-1", about=f"Pod/{pod}", at=ago(minutes=1), count=12, **told | fields)


def test_warning_events_about_the_pod_are_evidence():
    (violation,) = judged(crashing(), warnings=[warning(), warning("another")]).violations

    assert "BackOff 12 times, 1m ago: Back-off restarting failed container app" == violation.evidence[-1]
    assert 2 == len(violation.evidence)


def test_k8s_90482_a_warning_event_alone_is_no_trouble():
    assert [] == judged(a_pod(), warnings=[warning()]).violations


# Several namespaces


def test_two_namespaces_are_two_lists_and_are_told_apart():
    namespaces = ["shop", "billing"]
    asked = expect(PodsHealthy, TARGET, severity="P0", namespace=namespaces)
    broken = [a_pod(namespace=name, ready=False, since=ago(hours=1)) for name in (*namespaces, "other")]

    assert (ListPods("target", "shop"), ListPods("target", "billing")) == tuple(asked.queries())
    assert ["billing/web-7d4b9c6f5d-2xkqp", "shop/web-7d4b9c6f5d-2xkqp"] == [
        violation.subject for violation in judged(*broken, namespace=namespaces).violations
    ]
