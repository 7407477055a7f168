"""kubernetes.pods: what is trouble and what only looks like it. Tests are named after the reports they come from."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from checks.kubernetes import test_pods
from opscheck import Findings, KubernetesTarget, Severity
from opscheck.demo.kubernetes import condition, pod, termination, timestamp
from opscheck.expectations.kubernetes import PodsHealthy
from opscheck.guidance.templates import expectation_facts, render
from opscheck.queries.kubernetes import ListPods, Pod, PodList
from opscheck.testing import expect, judge

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
TARGET = KubernetesTarget(kind="kubernetes", namespace="default")
GRACE = timedelta(minutes=15)
SECOND = timedelta(seconds=1)
HEALTHY = {"app": "web"}


def ago(**span: float) -> datetime:
    return NOW - timedelta(**span)


def a_pod(name="web-7d4b9c6f5d-2xkqp", **fields):
    return pod(name, **{"created": ago(days=2), "labels": HEALTHY} | fields)


def judged(*pods, target=TARGET, **fields) -> Findings:
    expectation = expect(PodsHealthy, target, **{"severity": "P0"} | fields)
    answer = PodList(tuple(msgspec.convert(one, Pod) for one in pods))
    return judge(test_pods.test_the_pods_are_well, expectation, {expectation.pods(): answer}, NOW)


def observed(*pods, **fields) -> list[str]:
    return [violation.observed for violation in judged(*pods, **fields).violations]


def commands(*pods, target=TARGET, **fields) -> list[str]:
    expectation = expect(PodsHealthy, target, severity="P0", **fields)
    known = expectation_facts(expectation)
    return [
        rendered
        for violation in judged(*pods, target=target, **fields).violations
        for command in expectation.default_remediation.commands
        if (rendered := render(command, known | violation.facts))
    ]


def status_of(item, container="app"):
    return next(status for status in item["status"]["containerStatuses"] if status["name"] == container)


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


# Complete, failed, evicted


def test_k8sgpt_1581_a_completed_pod_whose_sidecar_was_killed_is_complete():
    done = a_pod("report-1", phase="Succeeded", containers=("app", "proxy"), owner="Job/report")
    status_of(done, "proxy")["state"] = {"terminated": termination(ago(minutes=1), 137)}

    assert [] == observed(done, a_pod())


def test_popeye_298_the_completed_pod_of_a_cron_job_is_complete():
    assert [] == observed(a_pod("backup-29401320-x7k2m", phase="Succeeded", owner="Job/backup-29401320"), a_pod())


def test_popeye_97_the_failed_pods_of_a_job_are_the_jobs_affair():
    failed = a_pod("migration-1", phase="Failed", owner="Job/migration", since=ago(minutes=5))

    assert [] == observed(failed, a_pod())


def evicted(at: datetime, **fields):
    node_low = "The node was low on resource: memory."
    return a_pod(
        "web-1-old", phase="Failed", reason="Evicted", message=node_low, since=at, owner="StatefulSet/web", **fields
    )


def without_containers(item):
    del item["status"]["containerStatuses"]
    return item


def test_a_fresh_eviction_is_told_with_its_reason():
    (violation,) = judged(without_containers(evicted(ago(minutes=20))), a_pod()).violations

    assert ("web-1-old", "Evicted; statefulset/web") == (violation.subject, violation.observed)
    assert ("The node was low on resource: memory.",) == violation.evidence
    assert ago(minutes=20) == violation.since


@pytest.mark.parametrize(("age", "count"), [(timedelta(hours=1) - SECOND, 1), (timedelta(hours=1) + SECOND, 0)])
def test_the_tombstone_of_a_living_controller_is_old_news_after_an_hour(age, count):
    assert count == len(observed(without_containers(evicted(NOW - age)), a_pod()))


def test_a_failed_pod_that_nobody_replaces_stays_a_violation():
    failed = a_pod("one-off", phase="Failed", owner=None, since=ago(days=2))

    (text,) = observed(failed, a_pod())
    assert text.startswith("Failed: container app, exit code 1 (Error)")


# Crash loops


def crashing(**fields):
    return a_pod(**{"waiting": "CrashLoopBackOff", "restarts": 7, "terminated": ago(minutes=3)} | fields)


def test_a_crash_loop_names_container_exit_code_owner_and_time():
    (violation,) = judged(crashing()).violations

    assert "web-7d4b9c6f5d-2xkqp" == violation.subject
    assert "container app crashes in a loop: exit code 1 (Error) 3m ago, 7 restarts; deployment/web" == (
        violation.observed
    )
    assert ago(minutes=3) == violation.since


def test_a_crash_loop_is_seen_in_the_instant_between_two_crashes():
    between = a_pod(restarts=4, terminated=ago(seconds=30))

    assert "True" == between["status"]["conditions"][2]["status"]
    assert ["container app crashes in a loop: exit code 1 (Error) 30s ago, 4 restarts; deployment/web"] == observed(
        between
    )


def test_one_crash_after_a_long_run_is_no_loop():
    once = termination(ago(minutes=3)) | {"startedAt": timestamp(ago(days=1))}

    assert [] == observed(a_pod(restarts=9, terminated=once))


def test_a_container_that_has_run_for_ten_minutes_is_out_of_its_loop():
    assert [] == observed(a_pod(restarts=9, terminated=ago(minutes=10, seconds=2)))


def test_a_container_that_ended_well_is_in_no_loop():
    done = a_pod(containers=("app", "step"))
    status_of(done, "step").update(
        restartCount=3, state={"terminated": termination(ago(minutes=1), 0, "Completed")}, lastState={}
    )

    assert [] == observed(done)


@pytest.mark.parametrize(("age", "count"), [(GRACE - SECOND, 0), (GRACE + SECOND, 1)])
def test_a_pod_may_crash_while_it_starts(age, count):
    born = NOW - age

    assert count == len(observed(crashing(created=born, since=born, restarts=3)))


def test_a_crashing_init_container_is_found():
    init = a_pod(ready=False, phase="Pending", since=ago(minutes=2))
    init["spec"]["initContainers"] = [{"name": "migrate"}]
    init["status"]["initContainerStatuses"] = [
        {
            "name": "migrate",
            "restartCount": 5,
            "state": {"waiting": {"reason": "CrashLoopBackOff"}},
            "lastState": {"terminated": termination(ago(minutes=1), 3)},
        }
    ]

    (text,) = observed(init)
    assert text.startswith("container migrate crashes in a loop: exit code 3")


def test_out_of_memory_lives_in_the_last_state_and_is_told_with_the_limit():
    killed = termination(ago(seconds=40), 137, "OOMKilled")

    (violation,) = judged(crashing(terminated=killed, limits={"memory": "512Mi"})).violations

    assert "exit code 137 (OOMKilled, memory limit 512Mi) 40s ago" in violation.observed
    assert {"out_of_memory": "deployment/web", "doubled_memory": "1024Mi"}.items() <= violation.facts.items()


def test_a_kill_alone_is_not_called_out_of_memory():
    (violation,) = judged(crashing(terminated=termination(ago(seconds=40), 137), limits={"memory": "1Gi"})).violations

    assert "OOMKilled" not in violation.observed
    assert "out_of_memory" not in violation.facts


def test_what_a_container_wrote_at_its_end_is_told_without_its_secrets():
    last_words = termination(ago(seconds=40)) | {"message": "cannot log in with password=hunter2"}

    (violation,) = judged(crashing(terminated=last_words)).violations

    assert "cannot log in with password=***" == violation.evidence[0]


# Containers that cannot start


@pytest.mark.parametrize(
    "reason",
    [
        "ErrImagePull",
        "ImagePullBackOff",
        "CreateContainerConfigError",
        "PreCreateHookError",
        "CreateContainerError",
        "PreStartHookError",
        "RunContainerError",
        "ImageInspectError",
        "ErrImageNeverPull",
        "InvalidImageName",
        "SomethingNewError",
    ],
)
def test_every_reason_why_a_container_cannot_start_is_known(reason):
    (text,) = observed(a_pod(phase="Pending", waiting=reason, created=ago(minutes=40), since=ago(minutes=40)))

    assert f"container app cannot start for 40m: {reason}; deployment/web" == text


def test_k8sgpt_a_waiting_container_without_a_message_is_found_too():
    silent = a_pod(phase="Pending", waiting="ImagePullBackOff", since=ago(minutes=40))
    del status_of(silent)["state"]["waiting"]["message"]

    assert 1 == len(observed(silent))


@pytest.mark.parametrize("reason", ["ErrImagePull", "ImagePullBackOff", "CreateContainerConfigError"])
@pytest.mark.parametrize(("age", "count"), [(GRACE - SECOND, 0), (GRACE + SECOND, 1)])
def test_robusta_120_s_a_pull_may_fail_at_first_within_the_grace(reason, age, count):
    born = NOW - age

    assert count == len(observed(a_pod(phase="Pending", waiting=reason, created=born, since=born)))


def test_creating_and_initialising_take_minutes_and_that_is_normal():
    for reason in ("ContainerCreating", "PodInitializing"):
        young = a_pod(phase="Pending", waiting=reason, created=ago(minutes=10), since=ago(minutes=10))

        assert [] == observed(young)


def test_creating_for_longer_than_the_grace_is_not():
    since = ago(minutes=20)

    (text,) = observed(a_pod(phase="Pending", waiting="ContainerCreating", created=since, since=since))
    assert "not ready for 20m: container app waits (ContainerCreating); deployment/web" == text


# Restarts


def restarted(**fields):
    return judged(a_pod(**fields), restarts={"at_most": 5, "within": "1h"})


def test_popeye_205_restarts_of_long_ago_are_no_violation():
    findings = restarted(restarts=6, terminated=ago(days=300), created=ago(days=365))

    assert [] == findings.violations
    assert 0 == findings.measurements[-1].value


def test_popeye_205_one_restart_now_does_not_count_the_ones_before_the_window():
    ended = termination(ago(minutes=20)) | {"startedAt": timestamp(ago(days=30))}

    findings = restarted(restarts=6, terminated=ended, created=ago(days=365))

    assert [] == findings.violations
    assert 1 == findings.measurements[-1].value


@pytest.mark.parametrize(("count", "found"), [(5, 0), (6, 1)])
def test_of_a_pod_younger_than_the_window_every_restart_counts(count, found):
    findings = restarted(restarts=count, terminated=ago(minutes=12), created=ago(minutes=50))

    assert found == len(findings.violations)
    assert count == findings.measurements[-1].value


def test_restarts_that_may_be_in_the_window_are_told_as_that():
    (violation,) = restarted(restarts=6, terminated=ago(minutes=12)).violations

    assert "2 to 6 restarts in 1h: container app, exit code 1 (Error) 12m ago; deployment/web" == violation.observed
    assert "at most 5 restarts in 1h" == violation.expected


def test_the_reboot_of_a_node_is_one_restart():
    ended = termination(ago(minutes=30), 255, "Unknown") | {"startedAt": timestamp(ago(days=20))}

    assert [] == restarted(restarts=8, terminated=ended).violations


def test_the_restarts_of_all_containers_count_together():
    both = a_pod(containers=("app", "proxy"), created=ago(minutes=50), restarts=3, terminated=ago(minutes=12))
    status_of(both, "proxy").update(restartCount=3, lastState={"terminated": termination(ago(minutes=12))})

    (text,) = observed(both, restarts={"at_most": 5, "within": "1h"})
    assert text.startswith("6 restarts in 1h")


# Scheduling


@pytest.mark.parametrize(("age", "count"), [(GRACE - SECOND, 0), (GRACE + SECOND, 1)])
def test_a_node_may_be_added_within_the_grace(age, count):
    since = NOW - age

    assert count == len(observed(a_pod(phase="Pending", node=None, created=since, since=since)))


def test_an_unscheduled_pod_is_told_with_the_schedulers_words():
    since = ago(minutes=30)

    (violation,) = judged(a_pod(phase="Pending", node=None, created=since, since=since)).violations

    assert "on no node for 30m (Unschedulable); deployment/web" == violation.observed
    assert ("0/3 nodes are available: 3 Insufficient memory.",) == violation.evidence
    assert since == violation.since


def test_a_gated_pod_is_held_back_on_purpose():
    gated = a_pod(phase="Pending", node=None, created=ago(days=1), since=ago(days=1))
    gated["status"]["conditions"] = [
        condition("PodScheduled", holds=False, since=ago(days=1), reason="SchedulingGated")
    ]

    assert [] == observed(gated)


def test_a_pod_that_no_scheduler_looks_at_is_found():
    orphan = a_pod(phase="Pending", node=None, created=ago(hours=1))
    orphan["status"] = {"phase": "Pending"}

    (violation,) = judged(orphan).violations

    assert "on no node for 1h (Pending); deployment/web" == violation.observed
    assert ("no scheduler has looked at it",) == violation.evidence


# Readiness


@pytest.mark.parametrize(("age", "count"), [(GRACE - SECOND, 0), (GRACE + SECOND, 1)])
def test_a_pod_may_be_not_ready_within_the_grace(age, count):
    assert count == len(observed(a_pod(ready=False, since=NOW - age)))


def test_not_ready_names_the_container():
    half = a_pod(containers=("app", "proxy"), ready=False, since=ago(minutes=20))
    status_of(half, "app")["ready"] = True

    assert ["not ready for 20m: container proxy runs, but is not ready; deployment/web"] == observed(half)


def test_a_failing_startup_probe_is_called_that():
    starting = a_pod(ready=False, since=ago(minutes=20))
    status_of(starting)["started"] = False

    assert ["not ready for 20m: container app runs, but its startup probe fails; deployment/web"] == observed(starting)


def test_a_readiness_gate_that_does_not_open_is_told():
    gated = a_pod(ready=True)
    gate = 'corresponding condition of pod readiness gate "target-health" does not exist.'
    gated["status"]["conditions"] = [
        condition("Ready", holds=False, since=ago(minutes=20), reason="ReadinessGatesNotReady", message=gate)
    ]

    (text,) = observed(gated)
    assert text.startswith(f"not ready for 20m: {gate}")


def test_the_running_pod_of_a_job_need_not_be_ready():
    assert [] == observed(a_pod("report-1", owner="Job/report", ready=False, since=ago(hours=2)), a_pod())


def test_an_init_container_that_still_runs_is_named_after_the_grace():
    init = a_pod(phase="Pending", waiting="PodInitializing", created=ago(minutes=20), since=ago(minutes=20))
    init["spec"]["initContainers"] = [{"name": "wait-for-db"}]
    init["status"]["initContainerStatuses"] = [{"name": "wait-for-db", "state": {"running": {}}}]

    assert ["not ready for 20m: container wait-for-db is an init container that still runs; deployment/web"] == (
        observed(init)
    )


def test_a_native_sidecar_runs_on_and_that_is_right():
    sidecar = a_pod()
    sidecar["spec"]["initContainers"] = [{"name": "mesh", "restartPolicy": "Always"}]
    sidecar["status"]["initContainerStatuses"] = [
        {"name": "mesh", "ready": True, "started": True, "restartCount": 0, "state": {"running": {}}}
    ]

    assert [] == observed(sidecar)


def test_a_static_pod_is_judged_like_any_other():
    mirror = {"labels": {"component": "etcd"}, "owner": "Node/node-1"}

    assert [] == observed(a_pod("etcd-node-1", **mirror))
    assert ["not ready for 20m: container app runs, but is not ready"] == observed(
        a_pod("etcd-node-1", ready=False, since=ago(minutes=20), **mirror)
    )


# Going, gone, lost


@pytest.mark.parametrize(("late", "count"), [(GRACE - SECOND, 0), (GRACE + SECOND, 1)])
def test_helm_charts_661_the_deletion_timestamp_is_when_the_grace_period_ends(late, count):
    going = a_pod(deleted=NOW - late, grace_seconds=600)

    assert count == len(observed(going, a_pod("web-2")))


def test_a_pod_whose_grace_period_has_not_even_ended_is_not_stuck():
    assert [] == observed(a_pod(deleted=NOW + timedelta(minutes=9), grace_seconds=600), a_pod("web-2"))


def test_a_stuck_pod_is_told_with_its_finalizers():
    stuck = a_pod(deleted=ago(hours=2))
    stuck["metadata"]["finalizers"] = ["example.com/backup"]

    (violation,) = judged(stuck, a_pod("web-2")).violations

    assert "still there 2h after its deletion was due; deployment/web" == violation.observed
    assert ("finalizers: example.com/backup",) == violation.evidence


def test_a_terminating_pod_is_nothing_else():
    going = crashing(deleted=ago(minutes=1), ready=False)

    assert [] == observed(going, a_pod("web-2"), restarts={"at_most": 0, "within": "1h"})


def test_k8s_72226_of_a_lost_node_the_node_is_named():
    lost = a_pod(phase="Unknown", node="node-3", ready=False, since=ago(minutes=40), reason="NodeLost")

    (violation,) = judged(lost).violations

    assert "unknown for 40m: its node node-3 does not report; deployment/web" == violation.observed
    assert "node-3" == violation.facts["lost_node"]


def test_k8s_72226_a_pod_that_cannot_go_from_a_lost_node_is_not_to_be_deleted_by_force():
    lost = a_pod(phase="Unknown", node="node-3", deleted=ago(hours=1))

    (violation,) = judged(lost, a_pod("web-2")).violations

    assert ("its node node-3 does not report, so nobody can confirm that it stopped",) == violation.evidence
    assert "stuck" not in violation.facts


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

    assert (ListPods("target", "default"),) == tuple(one.queries()) == tuple(other.queries())
    assert (ListPods("target", None),) == tuple(elsewhere.queries())


def test_many_pods_of_one_owner_with_one_trouble_are_one_finding():
    pods = [crashing(name=f"web-7d4b9c6f5d-{letter * 5}") for letter in "bcdfghjklmnp"]

    (violation,) = judged(*pods).violations

    assert violation.observed.startswith("12 pods; the first: container app crashes in a loop")
    assert "deployment/web" == violation.subject
    assert violation.evidence[0].endswith("web-7d4b9c6f5d-mmmmm and 2 more")
    assert 5 == len(judged(*pods[:5]).violations)
