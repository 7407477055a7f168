"""Judging pods: whatever an object lacks, nothing is raised, and no order matters."""

from datetime import UTC, datetime, timedelta

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from checks.kubernetes.test_pods import count_pods, faults, finding, measure_ends
from opscheck import Findings, KubernetesTarget
from opscheck.demo.kubernetes import condition, pod, termination, timestamp
from opscheck.systems.kubernetes.containers import containers
from opscheck.systems.kubernetes.pod_status import fault_of
from opscheck.systems.kubernetes.pods import Pod, PodsHealthy
from opscheck.systems.kubernetes.selection import matching, missing_facts
from opscheck.testing import expect
from tests.property_tests import examples

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
TARGET = KubernetesTarget(kind="kubernetes", namespace="default")
EXPECTATION = expect(
    PodsHealthy,
    TARGET,
    severity="P1",
    selector="app=web",
    min_matches=9,
    restarts={"at_most": 1, "within": "1h"},
    no_oom_kill_within="1h",
)

TIMES = st.integers(-7200, 7200).map(lambda seconds: timestamp(NOW - timedelta(seconds=seconds)))
REASONS = st.sampled_from(
    ["CrashLoopBackOff", "ImagePullBackOff", "ContainerCreating", "OOMKilled", "Error", "Completed", "NewError", ""]
)
ENDS = st.builds(
    lambda code, reason, start, end: {"exitCode": code, "reason": reason, "startedAt": start, "finishedAt": end},
    st.sampled_from([0, 1, 137]),
    REASONS,
    TIMES,
    TIMES,
)
STATES = st.one_of(
    st.builds(lambda reason: {"waiting": {"reason": reason}}, REASONS),
    st.builds(lambda at: {"running": {"startedAt": at}}, TIMES),
    st.builds(lambda end: {"terminated": end}, ENDS),
    st.just({}),
)
STATUSES = st.builds(
    lambda name, ready, restarts, state, last: {
        "name": name,
        "ready": ready,
        "restartCount": restarts,
        "state": state,
        "lastState": {"terminated": last},
    },
    st.sampled_from(["app", "proxy", "nobody"]),
    st.booleans(),
    st.integers(0, 9),
    STATES,
    st.one_of(st.none(), ENDS),
)
CONDITIONS = st.builds(
    lambda kind, status, reason, at: {"type": kind, "status": status, "reason": reason, "lastTransitionTime": at},
    st.sampled_from(["Ready", "ContainersReady", "PodScheduled", "DisruptionTarget", "Unheard"]),
    st.sampled_from(["True", "False", "Unknown"]),
    st.sampled_from([None, "", "SchedulingGated", "Unschedulable", "ReadinessGatesNotReady"]),
    TIMES,
)
OWNERS = st.builds(
    lambda kind: [{"kind": kind, "name": "web-7d4b9c6f5d", "controller": True}],
    st.sampled_from(["ReplicaSet", "StatefulSet", "Job", "Node"]),
)


@st.composite
def pods(draw):
    """A pod as no cluster would ever report it: any part may be missing or null, and parts contradict each other."""
    whole = {
        "metadata": {
            "name": draw(st.sampled_from(["web-1", "web-2", "web-3"])),
            "namespace": "default",
            "labels": {"app": draw(st.sampled_from(["web", "api"]))},
            "creationTimestamp": draw(TIMES),
            "deletionTimestamp": draw(st.one_of(st.none(), TIMES)),
            "ownerReferences": draw(OWNERS),
        },
        "spec": {
            "nodeName": "node-1",
            "containers": [{"name": "app", "resources": {"limits": {"memory": "1Gi"}}}, {"name": "proxy"}],
            "initContainers": [{"name": "mesh", "restartPolicy": draw(st.sampled_from(["Always", None]))}],
            "volumes": [{"name": "a", "persistentVolumeClaim": {"claimName": "a"}}, {"name": "b", "ephemeral": {}}, {}],
        },
        "status": {
            "phase": draw(st.sampled_from(["Running", "Pending", "Failed", "Succeeded", "Unknown"])),
            "reason": draw(st.sampled_from(["", "Evicted", "NodeLost"])),
            "startTime": draw(TIMES),
            "conditions": draw(st.lists(CONDITIONS, max_size=3, unique_by=lambda one: one["type"])),
            "containerStatuses": draw(st.lists(STATUSES, max_size=3, unique_by=lambda one: one["name"])),
        },
    }
    for part in whole.values():
        for field in draw(st.sets(st.sampled_from(sorted(part)))):
            part[field] = None
    for part in draw(st.sets(st.sampled_from(sorted(whole)))):
        del whole[part]
    return msgspec.convert(whole, Pod)


def told(found) -> list[tuple]:
    pods, findings = matching(EXPECTATION, found), Findings(EXPECTATION)
    count_pods(EXPECTATION, found, pods, findings)
    measure_ends(EXPECTATION, pods, NOW, findings)
    each = [finding(EXPECTATION, one) for one in faults(EXPECTATION, pods, NOW)]
    return [each, findings.violations, findings.measurements]


@given(st.lists(pods(), max_size=4))
@settings(max_examples=examples(300))
def test_no_object_is_too_odd_to_be_judged(found):
    assert isinstance(told(found), list)
    assert missing_facts(EXPECTATION, "pods")


@given(st.data(), st.lists(pods(), max_size=4, unique_by=lambda one: (one.namespace, one.name)))
def test_the_order_of_pods_conditions_and_statuses_means_nothing(data, found):
    def shuffled(one):
        if one.status is None:
            return one
        lists = {
            name: tuple(data.draw(st.permutations(values)))
            for name in ("conditions", "container_statuses")
            if (values := getattr(one.status, name))
        }
        return msgspec.structs.replace(one, status=msgspec.structs.replace(one.status, **lists))

    other = [shuffled(one) for one in data.draw(st.permutations(found))]

    assert told(found) == told(other)


@given(pods(), st.integers(0, 7200))
def test_longer_grace_never_adds_findings(one, grace):
    if fault_of(one, NOW, grace) is None:
        assert fault_of(one, NOW, grace + 3600) is None


@given(pods(), st.integers(1, 7200))
def test_the_least_number_of_restarts_is_never_above_the_most(one, seconds):
    for container in containers(one):
        least, most = container.restarts_within(one, NOW, seconds)

        assert 0 <= least <= most <= container.restarts


def test_a_condition_type_that_nobody_knows_is_ignored():
    well = pod("web-1", created=NOW - timedelta(days=1))
    well["status"]["conditions"].insert(0, condition("Hibernated", holds=True, since=NOW))

    assert fault_of(msgspec.convert(well, Pod), NOW, 900) is None


def test_a_pod_that_ended_says_how_in_the_first_container_that_ended_badly():
    failed = pod("job", owner=None, phase="Failed", containers=("a", "b"))
    failed["status"]["containerStatuses"][0]["state"] = {"terminated": termination(NOW, 0, "Completed")}
    failed["status"]["containerStatuses"][1]["state"] = {"terminated": termination(NOW, 9)}

    assert "Failed: container b, exit code 9 (Error) 0s ago" == fault_of(msgspec.convert(failed, Pod), NOW, 0).observed
