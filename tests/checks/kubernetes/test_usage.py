"""kubernetes.usage: nodes against what they can give, pods against their limits, and nothing in silence."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from checks.kubernetes import test_usage
from opscheck import Findings, KubernetesTarget, Severity
from opscheck.core.observation import CouldNotObserve
from opscheck.demo.kubernetes import node, node_metrics, pod, pod_metrics, timestamp
from opscheck.systems.kubernetes.lists import ObjectList
from opscheck.systems.kubernetes.nodes import Node
from opscheck.systems.kubernetes.pods import Pod
from opscheck.systems.kubernetes.usage import NodeUsage, PodUsage, UsageWithinLimits
from opscheck.testing import expect, judge
from tests.checks.kubernetes.rendering import rendered

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
TARGET = KubernetesTarget(kind="kubernetes", namespace="default")
KUBECTL = "kubectl {{ context_option }} -n {{ namespace }}"
LIMITS = {"cpu": "500m", "memory": "512Mi"}


def ago(**span: float) -> datetime:
    return NOW - timedelta(**span)


def nodes_judged(nodes, metrics, **fields) -> Findings:
    expectation = expect(UsageWithinLimits, TARGET, of="nodes", **fields)
    objects, usage = expectation.queries()
    answers = {
        objects: ObjectList(tuple(msgspec.convert(one, Node) for one in nodes)),
        usage: ObjectList(tuple(msgspec.convert(one, NodeUsage) for one in metrics)),
    }
    return judge(test_usage.test_there_is_room, expectation, answers, NOW)


def pods_judged(pods, metrics, **fields) -> Findings:
    expectation = expect(UsageWithinLimits, TARGET, of="pods", **fields)
    objects, usage = expectation.queries()
    answers = {
        objects: ObjectList(tuple(msgspec.convert(one, Pod) for one in pods)),
        usage: ObjectList(tuple(msgspec.convert(one, PodUsage) for one in metrics)),
    }
    return judge(test_usage.test_there_is_room, expectation, answers, NOW)


def a_node(name="node-1", **fields):
    return node(name, **{"created": ago(days=90), "cpu": "4", "memory": "16Gi"} | fields)


def a_pod(name="web-1", **fields):
    return pod(name, **{"created": ago(days=2), "limits": LIMITS} | fields)


def used(name="web-1", at=None, **containers):
    return pod_metrics(name, at=at or ago(seconds=20), **containers)


def measured(name="node-1", cpu="1", memory="4Gi", at=None):
    return node_metrics(name, cpu, memory, at=at or ago(seconds=20))


def unknown(judged, *arguments, **fields) -> str:
    with pytest.raises(CouldNotObserve) as caught:
        judged(*arguments, **fields)
    return caught.value.problem.text


# Nodes


def test_nodes_are_held_to_what_they_can_give():
    findings = nodes_judged([a_node()], [measured(cpu="3880000000n")], cpu={"P3": "80%", "P1": "95%"})

    (violation,) = findings.violations
    assert ("node-1", Severity.P1) == (violation.subject, violation.severity)
    assert "cpu 97% (3.88 cores of 4 cores)" == violation.observed
    assert "node-1" == violation.facts["node"]
    assert violation.remediation.commands == (
        f"{KUBECTL} describe node {{{{ node }}}}",
        f"{KUBECTL} top pods -A --sort-by=memory  # look for pods on {{{{ node }}}}",
    )


def test_allocatable_counts_and_not_the_capacity():
    reserved = a_node()
    reserved["status"]["allocatable"] = {"cpu": "2", "memory": "16Gi"}

    (measurement,) = nodes_judged([reserved], [measured(cpu="1")], cpu={"P3": "80%"}).measurements

    assert ("cpu", 50.0, "%", "node-1") == (measurement.name, measurement.value, measurement.unit, measurement.subject)


def test_every_node_is_measured():
    nodes = [a_node("node-2"), a_node("node-1")]
    metrics = [measured("node-1"), measured("node-2", memory="8Gi")]

    findings = nodes_judged(nodes, metrics, memory={"P2": "85%"})

    assert [("node-2", 50.0), ("node-1", 25.0)] == [(one.subject, one.value) for one in findings.measurements]


def test_a_ready_node_without_metrics_is_unknown():
    text = unknown(nodes_judged, [a_node("node-1"), a_node("node-2")], [measured("node-1")], cpu={"P3": "80%"})

    assert "metrics-server reports no usage of node-2 (no metrics)" == text


def test_a_violation_stays_one_when_another_node_has_no_metrics():
    expectation = expect(UsageWithinLimits, TARGET, of="nodes", cpu={"P3": "80%"})
    objects, usage = expectation.queries()
    answers = {
        objects: ObjectList(tuple(msgspec.convert(one, Node) for one in (a_node("node-1"), a_node("node-2")))),
        usage: ObjectList((msgspec.convert(measured("node-1", cpu="3900m"), NodeUsage),)),
    }
    findings = Findings(expectation)

    with pytest.raises(CouldNotObserve):
        test_usage.test_there_is_room(expectation, observe=_Answers(answers), findings=findings)

    assert ["node-1"] == [violation.subject for violation in findings.violations]


class _Answers:
    now = NOW

    def __init__(self, answers):
        self._answers = answers

    def __call__(self, query):
        return self._answers[query]


@pytest.mark.parametrize("fields", [{"ready": False}, {"ready": "Unknown"}, {"created": ago(minutes=1)}])
def test_a_node_that_is_not_ready_or_new_need_not_be_measured_yet(fields):
    findings = nodes_judged([a_node("node-1"), a_node("node-2", **fields)], [measured("node-1")], cpu={"P3": "80%"})

    assert [] == findings.violations
    assert ("nodes not measured yet", 1) == (findings.measurements[-1].name, findings.measurements[-1].value)


@pytest.mark.parametrize(("age", "stale"), [(timedelta(minutes=10), False), (timedelta(minutes=10, seconds=1), True)])
def test_old_metrics_are_no_metrics(age, stale):
    arguments = ([a_node()], [measured(at=NOW - age)])

    if stale:
        assert "metrics-server reports no usage of node-1 (metrics are 10m1s old)" == unknown(
            nodes_judged, *arguments, cpu={"P3": "80%"}
        )
    else:
        assert [] == nodes_judged(*arguments, cpu={"P3": "80%"}).violations


def test_no_node_is_unknown():
    assert "no nodes match any name" == unknown(nodes_judged, [], [], cpu={"P3": "80%"})


def test_nodes_can_be_selected():
    nodes = [a_node("node-1", labels={"pool": "batch"}), a_node("node-2", labels={"pool": "web"})]
    metrics = [measured("node-1", cpu="4"), measured("node-2")]

    assert [] == nodes_judged(nodes, metrics, selector="pool=web", cpu={"P3": "80%"}).violations


# Pods


def test_pods_are_held_to_their_limits():
    (violation,) = pods_judged([a_pod()], [used(app=("480m", "100Mi"))], cpu={"P3": "90%"}).violations

    assert ("web-1", "cpu 96% (0.48 cores of 0.5 cores, container app)") == (violation.subject, violation.observed)
    assert "web-1" == violation.facts["pod"]
    assert violation.remediation.commands == (f"{KUBECTL} top pod {{{{ pod }}}} --containers",)


def test_of_a_pod_the_fullest_container_counts():
    pair = a_pod(containers=("app", "proxy"))

    (measurement,) = pods_judged(
        [pair], [used(app=("200m", "1Mi"), proxy=("400m", "1Mi"))], cpu={"P3": "90%"}
    ).measurements

    # The fuller container is what is throttled; the pod as a whole would be at 60 %.
    assert 80.0 == measurement.value


def test_a_small_container_does_not_hide_behind_a_large_limit():
    pair = a_pod(containers=("app", "proxy"))
    pair["spec"]["containers"][1]["resources"] = {"limits": {"memory": "8Gi"}}

    (violation,) = pods_judged(
        [pair], [used(app=("1m", "510Mi"), proxy=("1m", "100Mi"))], memory={"P1": "98%"}
    ).violations

    assert "memory 99.61% (510Mi of 512Mi, container app)" == violation.observed


def test_without_a_limit_on_one_container_the_others_are_judged_alone():
    pair = a_pod(containers=("app", "proxy"))
    pair["spec"]["containers"][1]["resources"] = {}

    (measurement,) = pods_judged(
        [pair], [used(app=("250m", "1Mi"), proxy=("9", "1Mi"))], cpu={"P3": "90%"}
    ).measurements

    assert 50.0 == measurement.value


def test_pods_without_a_limit_are_counted():
    pods = [a_pod("web-1"), a_pod("web-2", limits={}), a_pod("web-3", limits={"cpu": "0"})]
    metrics = [used(name, app=("100m", "1Mi")) for name in ("web-1", "web-2", "web-3")]

    findings = pods_judged(pods, metrics, cpu={"P3": "90%"})

    assert [("cpu", 20.0), ("pods without a cpu limit", 2)] == [(one.name, one.value) for one in findings.measurements]


def test_no_limit_anywhere_is_unknown():
    text = unknown(pods_judged, [a_pod(limits={})], [used(app=("9", "1Mi"))], cpu={"P3": "90%"})

    assert "no selected pod has a cpu limit" == text


def test_limits_on_memory_alone_leave_the_cpu_unknown():
    arguments = ([a_pod(limits={"memory": "1Gi"})], [used(app=("9", "1Mi"))])

    assert "no selected pod has a cpu limit" == unknown(
        pods_judged, *arguments, cpu={"P3": "90%"}, memory={"P3": "90%"}
    )


def test_a_limit_that_was_resized_in_place_is_the_one_in_force():
    resized = a_pod()
    resized["status"]["containerStatuses"][0]["resources"] = {"limits": {"cpu": "2"}}

    (measurement,) = pods_judged([resized], [used(app=("500m", "1Mi"))], cpu={"P3": "90%"}).measurements

    assert 25.0 == measurement.value


def test_a_limit_of_the_pod_as_a_whole_counts():
    whole = a_pod(limits={}, containers=("app", "proxy"))
    whole["spec"]["resources"] = {"limits": {"memory": "1Gi"}}

    (measurement,) = pods_judged(
        [whole], [used(app=("1m", "256Mi"), proxy=("1m", "256Mi"))], memory={"P3": "90%"}
    ).measurements

    assert 50.0 == measurement.value


def test_a_native_sidecar_is_a_container():
    sidecar = a_pod()
    sidecar["spec"]["initContainers"] = [{"name": "mesh", "restartPolicy": "Always", "resources": {"limits": LIMITS}}]
    sidecar["status"]["initContainerStatuses"] = [{"name": "mesh", "state": {"running": {}}}]

    (violation,) = pods_judged([sidecar], [used(app=("1m", "1Mi"), mesh=("499m", "1Mi"))], cpu={"P3": "90%"}).violations

    assert violation.observed.endswith("container mesh)")


def test_metrics_server_92_a_young_pod_without_metrics_is_no_failure():
    young = a_pod("web-2", created=ago(seconds=90))

    findings = pods_judged([a_pod(), young], [used(app=("1m", "1Mi"))], cpu={"P3": "90%"})

    assert [] == findings.violations
    assert ("pods not measured yet", 1) == (findings.measurements[-1].name, findings.measurements[-1].value)


def test_a_container_that_was_just_restarted_makes_a_pod_young_again():
    again = a_pod("web-2", restarts=1, terminated=ago(seconds=30))

    assert [] == pods_judged([a_pod(), again], [used(app=("1m", "1Mi"))], cpu={"P3": "90%"}).violations


def test_an_old_pod_without_metrics_is_unknown():
    text = unknown(pods_judged, [a_pod(), a_pod("web-2")], [used(app=("1m", "1Mi"))], cpu={"P3": "90%"})

    assert "metrics-server reports no usage of web-2 (no metrics)" == text


@pytest.mark.parametrize(
    "other",
    [
        {"phase": "Succeeded", "owner": "Job/report"},
        {"phase": "Pending", "waiting": "ContainerCreating"},
        {"waiting": "CrashLoopBackOff", "terminated": ago(minutes=3)},
        {"deleted": ago(seconds=5)},
    ],
)
def test_pods_that_do_not_run_are_not_measured(other):
    findings = pods_judged([a_pod(), a_pod("web-2", **other)], [used(app=("1m", "1Mi"))], cpu={"P3": "90%"})

    assert [] == findings.violations


def test_when_nothing_can_be_measured_yet_it_is_unknown():
    text = unknown(pods_judged, [a_pod(created=ago(seconds=50))], [], cpu={"P3": "90%"})

    assert "no usage yet: web-1 (started just now)" == text


def test_no_pod_is_unknown():
    text = unknown(pods_judged, [a_pod()], [used(app=("1m", "1Mi"))], selector="app=api", cpu={"P3": "90%"})

    assert "no pods match app=api in namespace default" == text


def test_of_many_pods_the_fullest_and_the_violating_are_told():
    names = [f"web-{number}" for number in range(9)]
    metrics = [used(name, app=(f"{50 * number}m", "1Mi")) for number, name in enumerate(names)]

    findings = pods_judged([a_pod(name) for name in names], metrics, cpu={"P3": "65%"})

    assert ["web-8", "web-7"] == [one.subject for one in findings.measurements]
    assert ["web-8", "web-7"] == [one.subject for one in findings.violations]


def test_usage_that_is_no_quantity_is_unknown():
    text = unknown(pods_judged, [a_pod()], [used(app=("lots", "1Mi"))], cpu={"P3": "90%"})

    assert "metrics-server reports no usage of web-1 (invalid quantity 'lots': write it as 250m, 2 or 512Mi)" == text


def test_short_memory_is_answered_with_twice_the_limit():
    web = a_pod("web-7d4b9c6f5d-2xkqp")

    (violation,) = pods_judged(
        [web], [used("web-7d4b9c6f5d-2xkqp", app=("1m", "511Mi"))], memory={"P1": "98%"}
    ).violations

    assert {"owner": "deployment/web", "doubled_memory": "1024Mi", "container": "app"}.items() <= (
        violation.facts.items()
    )


def test_commands_are_for_the_pods_own_namespace():
    expectation = expect(UsageWithinLimits, TARGET, of="pods", namespace="*", memory={"P1": "98%"})
    web = a_pod("web-7d4b9c6f5d-2xkqp", namespace="shop")
    metrics = pod_metrics("web-7d4b9c6f5d-2xkqp", namespace="shop", at=ago(seconds=20), app=("1m", "511Mi"))
    objects, usage = expectation.queries()
    answers = {
        objects: ObjectList((msgspec.convert(web, Pod),)),
        usage: ObjectList((msgspec.convert(metrics, PodUsage),)),
    }

    commands = rendered(expectation, judge(test_usage.test_there_is_room, expectation, answers, NOW))

    assert commands == [
        "kubectl -n shop top pod web-7d4b9c6f5d-2xkqp --containers",
        "kubectl -n shop set resources deployment/web -c app --limits=memory=1024Mi",
    ]


def test_pods_too_may_have_old_metrics():
    late = used(app=("1m", "1Mi"))
    late["timestamp"] = timestamp(ago(hours=1))

    assert "metrics-server reports no usage of web-1 (metrics are 1h old)" == unknown(
        pods_judged, [a_pod()], [late], cpu={"P3": "90%"}
    )
