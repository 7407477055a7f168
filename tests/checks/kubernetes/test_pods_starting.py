"""
kubernetes.pods: what keeps a pod from running and being ready, and what only looks like it.

Tests are named after the reports they come from.
"""

from datetime import timedelta

import pytest

from opscheck.demo.kubernetes import condition, termination, timestamp
from tests.checks.kubernetes.judging_pods import (
    GRACE,
    NOW,
    SECOND,
    a_pod,
    ago,
    crashing,
    judged,
    observed,
    status_of,
)

HOUR = timedelta(hours=1)

# Crash loops


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
    assert {"owner": "deployment/web", "doubled_memory": "1024Mi"}.items() <= violation.facts.items()


def test_a_kill_alone_is_not_called_out_of_memory():
    (violation,) = judged(crashing(terminated=termination(ago(seconds=40), 137), limits={"memory": "1Gi"})).violations

    assert "OOMKilled" not in violation.observed
    assert "doubled_memory" not in violation.facts


def test_termination_message_is_evidence_without_secrets():
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


# Scheduling


@pytest.mark.parametrize(("age", "count"), [(GRACE - SECOND, 0), (GRACE + SECOND, 1)])
def test_a_node_may_be_added_within_the_grace(age, count):
    since = NOW - age

    assert count == len(observed(a_pod(phase="Pending", node=None, created=since, since=since)))


def test_an_unscheduled_pod_is_told_with_the_schedulers_words():
    since = ago(minutes=30)

    (violation,) = judged(a_pod(phase="Pending", node=None, created=since, since=since)).violations

    assert "not scheduled for 30m (Unschedulable); deployment/web" == violation.observed
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

    assert "not scheduled for 1h (Pending); deployment/web" == violation.observed
    assert ("no scheduler has processed it",) == violation.evidence


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


def waiting_job(reason, age, **fields):
    since = NOW - age
    return a_pod("report-1", owner="Job/report", phase="Pending", waiting=reason, created=since, since=since, **fields)


@pytest.mark.parametrize(("age", "count"), [(HOUR - SECOND, 0), (HOUR + SECOND, 1)])
def test_kube_container_waiting_a_pod_of_a_job_may_wait_an_hour(age, count):
    assert count == len(observed(waiting_job("ContainerCreating", age), a_pod()))


def test_kube_container_waiting_names_the_container_and_the_reason():
    (violation,) = judged(waiting_job("ContainerCreating", timedelta(hours=3), message="no volume"), a_pod()).violations

    assert "container app waits for 3h (ContainerCreating); job/report" == violation.observed
    assert ("no volume",) == violation.evidence


def test_a_pod_of_a_job_whose_init_container_works_is_not_waiting():
    works = waiting_job("PodInitializing", timedelta(hours=3))
    works["spec"]["initContainers"] = [{"name": "download"}]
    works["status"]["initContainerStatuses"] = [{"name": "download", "state": {"running": {}}}]

    assert [] == observed(works, a_pod())


def test_an_init_container_that_still_runs_is_named_after_the_grace():
    init = a_pod(phase="Pending", waiting="PodInitializing", created=ago(minutes=20), since=ago(minutes=20))
    init["spec"]["initContainers"] = [{"name": "wait-for-db"}]
    init["status"]["initContainerStatuses"] = [{"name": "wait-for-db", "state": {"running": {}}}]

    assert ["not ready for 20m: container wait-for-db is an init container and still runs; deployment/web"] == (
        observed(init)
    )


def test_a_native_sidecar_runs_on_and_that_is_right():
    sidecar = a_pod()
    sidecar["spec"]["initContainers"] = [{"name": "mesh", "restartPolicy": "Always"}]
    sidecar["status"]["initContainerStatuses"] = [
        {"name": "mesh", "ready": True, "started": True, "restartCount": 0, "state": {"running": {}}}
    ]

    assert [] == observed(sidecar)


def test_a_native_sidecar_that_crashes_is_found():
    broken = a_pod()
    broken["spec"]["initContainers"] = [{"name": "mesh", "restartPolicy": "Always"}]
    broken["status"]["initContainerStatuses"] = [
        {
            "name": "mesh",
            "ready": False,
            "restartCount": 5,
            "state": {"waiting": {"reason": "CrashLoopBackOff"}},
            "lastState": {"terminated": termination(ago(minutes=1), 2)},
        }
    ]

    (text,) = observed(broken)
    assert text.startswith("container mesh crashes in a loop: exit code 2")


def test_an_image_that_cannot_be_pulled_is_not_the_nodes_fault():
    since = ago(minutes=40)
    broken = [a_pod(phase="Pending", waiting=why, since=since) for why in ("ImagePullBackOff", "CreateContainerError")]

    assert [False, True] == [
        "target/node/node-1" in violation.because for one in broken for violation in judged(one).violations
    ]


def test_err_image_pull_and_image_pull_back_off_of_one_owner_are_one_trouble():
    since = ago(minutes=40)
    names = {"web-7d4b9c6f5d-2xkqp": "ErrImagePull", "web-7d4b9c6f5d-9fjrm": "ImagePullBackOff"}

    (violation,) = judged(
        *(a_pod(name, phase="Pending", waiting=reason, since=since) for name, reason in names.items())
    ).violations

    assert "deployment/web" == violation.subject
    assert "web-7d4b9c6f5d-9fjrm: container app cannot start for 40m: ImagePullBackOff" in violation.evidence


def test_a_static_pod_is_judged_like_any_other():
    mirror = {"labels": {"component": "etcd"}, "owner": "Node/node-1"}

    assert [] == observed(a_pod("etcd-node-1", **mirror))
    assert ["not ready for 20m: container app runs, but is not ready"] == observed(
        a_pod("etcd-node-1", ready=False, since=ago(minutes=20), **mirror)
    )
