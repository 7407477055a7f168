"""kubernetes.nodes: nodes that work are left alone, those that do not are told once, with what to do."""

from datetime import timedelta

import pytest

from opscheck import KubernetesTarget, Severity
from opscheck.core.observation import CouldNotObserve
from opscheck.demo.kubernetes import condition, taint
from opscheck.systems.kubernetes.api_server import ReadVersion
from opscheck.systems.kubernetes.nodes import ListNodes
from opscheck.systems.kubernetes.pods import ListPods
from tests.checks.kubernetes.judging_nodes import NOW, SECOND, a_node, a_pod, ago, commands, expected, judged, observed

GRACE = timedelta(minutes=15)


def reporting(item, kind, status, since):
    item["status"]["conditions"].append(condition(kind, status, since))
    return item


# Healthy


def test_nodes_that_are_ready_are_well_and_counted():
    findings = judged(a_node("node-1"), a_node("node-2"))

    assert [] == findings.violations
    assert [("nodes", 2, 1, 1), ("ready nodes", 2, None, None), ("cordoned nodes", 0, None, None)] == [
        (one.name, one.value, one.limit, one.margin) for one in findings.measurements
    ]


def test_only_the_nodes_and_the_version_are_asked_unless_a_limit_needs_the_pods():
    assert (ListNodes("target"), ReadVersion("target")) == tuple(expected().queries())
    assert (ListNodes("target"),) == tuple(expected(version_skew=None).queries())
    assert (ListNodes("target"), ListPods("target", None), ReadVersion("target")) == tuple(
        expected(pods={"P3": "95%"}).queries()
    )


# Not ready


@pytest.mark.parametrize(("age", "fires"), [(GRACE - SECOND, False), (GRACE, False), (GRACE + SECOND, True)])
def test_mixin_KubeNodeNotReady_fires_after_15_minutes(age, fires):  # noqa: N802 - the alert's own name
    assert fires == bool(observed(a_node(ready=False, since=NOW - age)))


def test_a_node_that_is_not_ready_says_why_and_since_when():
    (violation,) = judged(a_node(ready=False, since=ago(minutes=40))).violations

    assert ("node-1", "not ready for 40m (KubeletNotReady)", "ready") == (
        violation.subject,
        violation.observed,
        violation.expected,
    )
    assert (Severity.P1, ago(minutes=40), "target/node/node-1") == (
        violation.severity,
        violation.since,
        violation.about,
    )
    assert ("container runtime network not ready: cni plugin not initialized",) == violation.evidence


def test_popeye_701_a_node_whose_kubelet_is_silent_is_one_finding_and_not_five():
    assert ["not ready for 40m: the kubelet does not report (NodeStatusUnknown)"] == observed(
        a_node(ready="Unknown", since=ago(minutes=40))
    )


def test_mixin_cordoned_node_may_be_not_ready_in_maintenance():
    in_work = a_node(ready=False, since=ago(hours=3), cordoned=ago(hours=4))
    forgotten = a_node(ready=False, since=ago(hours=3), cordoned=ago(days=2))

    assert [] == observed(in_work)
    (violation,) = judged(forgotten).violations
    assert "not ready for 3h (KubeletNotReady)" == violation.observed
    assert "cordoned for 2d" == violation.evidence[-1]


def test_a_cordon_without_a_time_excuses_nothing():
    node = a_node(ready=False, since=ago(hours=3), cordoned=ago(hours=4))
    for one in node["spec"]["taints"]:
        one.pop("timeAdded")

    assert ["not ready for 3h (KubeletNotReady)"] == observed(node)


@pytest.mark.parametrize(("age", "fires"), [(GRACE - SECOND, False), (GRACE + SECOND, True)])
def test_node_without_a_report_is_not_ready_after_its_grace(age, fires):
    silent = a_node(created=NOW - age)
    silent["status"]["conditions"] = []

    assert (["not ready for 15m1s: the kubelet has never reported"] if fires else []) == observed(silent)


def test_a_half_written_node_is_no_alarm_and_counts_as_not_ready():
    findings = judged({"metadata": {"name": "node-1"}})

    assert [] == findings.violations
    assert 0 == findings.measurements[1].value


def test_unready_node_lists_its_pods_only_if_they_were_queried():
    down, pods = (
        a_node(ready=False, since=ago(hours=1)),
        [a_pod("web-1"), a_pod("web-2"), a_pod("done", phase="Succeeded")],
    )

    (with_limit,) = judged(down, pods=pods, cpu_requests={"P3": "90%"}).violations
    (without,) = judged(down).violations

    assert "2 pods on it" == with_limit.evidence[-1]
    assert 1 == len(without.evidence)


# Planned removal


REMOVALS = [
    "ToBeDeletedByClusterAutoscaler",
    "DeletionCandidateOfClusterAutoscaler",
    "cloud.google.com/impending-node-termination",
    "aws-node-termination-handler/spot-itn",
    "karpenter.sh/disrupted",
]


@pytest.mark.parametrize("key", REMOVALS)
def test_mixin_KubeNodeUnreachable_ignores_nodes_to_be_removed(key):  # noqa: N802 - its own name
    assert [] == observed(a_node(ready="Unknown", since=ago(minutes=59), taints=[taint(key)]))


def test_a_node_that_is_about_to_be_removed_for_more_than_an_hour_is_told():
    going = a_node(ready="Unknown", since=ago(minutes=61), taints=[taint("karpenter.sh/disrupted")])

    assert ["not ready for 1h1m: the kubelet does not report (NodeStatusUnknown)"] == observed(going)


def test_a_policy_may_name_its_own_taints_for_removal():
    going = a_node(ready=False, since=ago(minutes=20), taints=[taint("acme.example/retiring")])

    assert [] == observed(going, removal_taints=["acme.example/*"])
    assert 1 == len(observed(going))


@pytest.mark.parametrize(("age", "fires"), [(timedelta(hours=1), False), (timedelta(hours=1, seconds=1), True)])
def test_a_node_that_was_deleted_is_left_alone_until_it_should_be_gone(age, fires):
    findings = judged(a_node(deleted=NOW - age, ready="Unknown", since=ago(hours=9)), a_node("node-2"))

    assert (["not removed 1h after its deletion"] if fires else []) == [one.observed for one in findings.violations]
    assert [("finalizers: karpenter.sh/termination",)] * fires == [one.evidence for one in findings.violations]


# Unreachable


def test_a_node_that_reports_and_is_still_tainted_as_unreachable_is_told():
    tainted = a_node(taints=[taint("node.kubernetes.io/unreachable", "NoExecute", added=ago(minutes=16))])
    just_now = a_node(taints=[taint("node.kubernetes.io/unreachable", "NoExecute", added=ago(minutes=14))])

    assert ["tainted as unreachable for 16m, so pods are evicted"] == observed(tainted)
    assert [] == observed(just_now)


# Pressure and network


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("MemoryPressure", "memory is short for 11m (MemoryPressure), so the kubelet evicts pods"),
        ("DiskPressure", "disk space or inodes are short for 11m (DiskPressure), so the kubelet evicts pods"),
        ("PIDPressure", "process identifiers are short for 11m (PIDPressure), so the kubelet evicts pods"),
    ],
)
def test_mixin_KubeNodePressure_fires_after_10_minutes(kind, told):  # noqa: N802 - the alert's own name
    assert [told] == observed(a_node(pressure=[kind], since=ago(minutes=11)))
    assert [] == observed(a_node(pressure=[kind], since=ago(minutes=10)))


def test_a_node_without_a_network_for_its_pods_is_told_after_the_grace():
    down = a_node(pressure=["NetworkUnavailable"], since=ago(minutes=16))

    assert ["no network for pods for 16m (NetworkUnavailable)"] == observed(down)
    assert [] == observed(a_node(pressure=["NetworkUnavailable"], since=ago(minutes=14)))


def test_several_pressures_are_a_finding_each():
    assert 2 == len(observed(a_node(pressure=["MemoryPressure", "DiskPressure"], since=ago(hours=1))))


# Other conditions


@pytest.mark.parametrize("kind", ["ContainerRuntimeReady", "StorageReady", "NetworkingReady", "KernelReady"])
@pytest.mark.parametrize("status", ["True", "False", "Unknown"])
def test_k8sgpt_1461_conditions_that_others_define_never_alarm(kind, status):
    assert [] == observed(reporting(a_node(), kind, status, ago(days=3)))


def test_a_policy_may_say_what_another_condition_should_be():
    broken = reporting(a_node(), "KernelDeadlock", "True", ago(minutes=20))
    fine = reporting(a_node(), "KernelDeadlock", "False", ago(minutes=20))
    fresh = reporting(a_node(), "KernelDeadlock", "True", ago(minutes=10))
    wanted = {"conditions": {"KernelDeadlock": "False"}}

    (violation,) = judged(broken, **wanted).violations

    assert ("KernelDeadlock is True for 20m", "KernelDeadlock is False") == (violation.observed, violation.expected)
    assert [] == observed(fine, **wanted) == observed(fresh, **wanted)


def test_a_condition_that_a_policy_expects_and_nobody_reports_is_no_pass():
    wanted = {"conditions": {"StorageReady": "True"}}

    (violation,) = judged(
        a_node("node-2"), a_node("node-1"), a_node("node-3", created=ago(minutes=5)), **wanted
    ).violations

    assert ("2 nodes without StorageReady", "condition StorageReady is not reported", "StorageReady is True") == (
        violation.subject,
        violation.observed,
        violation.expected,
    )
    assert (("nodes: node-1, node-2",), "") == (violation.evidence, violation.about)
    assert ["node-1"] == [one.subject for one in judged(a_node(), **wanted).violations]
    assert [] == observed(a_node(created=ago(minutes=5)), **wanted)


# Cordoned


@pytest.mark.parametrize(("age", "fires"), [(timedelta(days=1), False), (timedelta(days=1, seconds=1), True)])
def test_popeye_711_a_node_may_be_cordoned_for_a_day(age, fires):
    findings = judged(a_node(cordoned=NOW - age))

    assert (["cordoned for 1d"] if fires else []) == [one.observed for one in findings.violations]
    assert [""] * fires == [one.about for one in findings.violations]  # nothing on the node suffers from it


def test_a_node_that_joined_cordoned_is_meant_to_be_so():
    control_plane = a_node(cordoned=ago(days=90))
    control_plane["spec"]["taints"][0].pop("timeAdded")

    findings = judged(control_plane)

    assert [] == findings.violations
    assert ("cordoned nodes", 1) == (findings.measurements[2].name, findings.measurements[2].value)


# Versions


@pytest.mark.parametrize(
    ("kubelet", "server", "fits"),
    [
        ("v1.34.1", "v1.34.1", True),
        ("v1.34.9", "v1.34.1", True),
        ("v1.31.0", "v1.34.1", True),
        ("v1.30.9", "v1.34.1", False),
        ("v1.35.0", "v1.34.1", False),
        ("v1.35.0-alpha.1", "v1.34.1", False),
        ("v1.24.17", "v1.26.0", True),
        ("v1.24.17", "v1.27.0", False),
        ("v1.25.16", "v1.28.0", True),
        ("v1.34.9-eks-3abf5ee", "v1.34.2-eks-1234567", True),
        ("v1.31.2+k3s1", "v1.34.1+k3s2", True),
        ("v1.30.2+k3s1", "v1.34.1+k3s2", False),
        ("v1.30.5-gke.1014001", "v1.33.5-gke.10", True),
    ],
)
def test_kubelet_version_is_at_most_three_minors_older_never_newer(kubelet, server, fits):
    assert fits is not bool(observed(a_node(version=kubelet), server=server))


def test_kubelets_of_one_version_are_one_finding():
    nodes = [a_node(f"node-{number}", version="v1.29.4") for number in (2, 1, 3)]

    (violation,) = judged(*nodes, a_node("node-9", version="v1.34.1")).violations

    assert ("3 nodes with v1.29.4", "kubelet v1.29.4 with API server v1.34.1") == (
        violation.subject,
        violation.observed,
    )
    assert ("<= 3 minor versions older than the API server", ("nodes: node-1, node-2, node-3",), "") == (
        violation.expected,
        violation.evidence,
        violation.about,
    )


def test_a_policy_may_be_stricter_or_judge_no_version():
    old = a_node(version="v1.32.4")

    assert [] == observed(old)
    assert 1 == len(observed(old, version_skew=1))
    assert [] == observed(a_node(version="v1.20.0"), version_skew=None)


def test_an_old_node_that_is_about_to_be_removed_is_how_an_upgrade_looks():
    assert [] == observed(a_node(version="v1.29.4", taints=[taint("karpenter.sh/disrupted")]))


def test_a_version_that_no_api_server_would_have_is_unknown():
    with pytest.raises(CouldNotObserve, match="invalid version 'dev' of the API server"):
        judged(a_node(), server="dev")


def test_a_kubelet_without_a_readable_version_is_counted():
    findings = judged(a_node(version="virtual"))

    assert [] == findings.violations
    assert ("nodes of unknown version", 1) == (findings.measurements[-1].name, findings.measurements[-1].value)


# How many


def test_no_node_is_a_violation_and_says_what_there_is_instead():
    (violation,) = judged(a_node(labels={"pool": "batch"}), selector="pool=web").violations

    assert ("pool=web in the cluster", "0 nodes", ">= 1") == (
        violation.subject,
        violation.observed,
        violation.expected,
    )
    assert ("the cluster has 1 nodes", "values of label pool: batch (1)") == violation.evidence
    assert [] == observed(selector="pool=web", min_matches=0)


def test_the_selector_and_the_glob_both_hold():
    broken = a_node("batch-1", labels={"pool": "batch"}, ready=False, since=ago(hours=1))

    assert [] == observed(a_node("web-1", labels={"pool": "web"}), broken, selector="pool=web")
    assert [] == observed(a_node("web-1"), broken, name="web-*")


# What a person does about it


def test_each_kind_of_trouble_has_its_own_commands():
    assert [
        "kubectl -n default describe node node-1",
        "kubectl -n default get pods -A -o wide --field-selector spec.nodeName=node-1",
        "kubectl -n default drain node-1 --ignore-daemonsets --delete-emptydir-data  # if it does not recover",
    ] == commands(a_node(ready=False, since=ago(hours=1)))
    assert [
        "kubectl -n default describe node node-1",
        "kubectl -n default top pods -A --sort-by=memory  # look for pods on node-1",
    ] == commands(a_node(pressure=["MemoryPressure"], since=ago(hours=1)))
    assert [
        "kubectl -n default describe node node-1",
        "kubectl -n default uncordon node-1  # when the work on it is done",
    ] == commands(a_node(cordoned=ago(days=3)))
    assert ["kubectl -n default get nodes --show-labels  # compare with pool=web"] == commands(
        a_node(), selector="pool=web"
    )


def test_commands_name_the_context_that_the_policy_pins():
    pinned = KubernetesTarget(kind="kubernetes", namespace="default", context="prod")

    (first, *_) = commands(a_node(ready=False, since=ago(hours=1)), target=pinned)

    assert "kubectl --context prod -n default describe node node-1" == first


# Exclusion by name


def test_excluded_node_is_not_judged():
    nodes = [a_node("node-1"), reporting(a_node("fargate-1"), "KernelDeadlock", "True", ago(hours=1))]
    limits = {"conditions": {"KernelDeadlock": "False"}}

    assert [one.subject for one in judged(*nodes, **limits).violations] == ["fargate-1", "node-1"]
    assert [one.subject for one in judged(*nodes, **limits, **{"except": ["fargate-*"]}).violations] == ["node-1"]


def test_exclusion_of_every_node_is_a_violation():
    (violation,) = judged(a_node("fargate-1"), **{"except": ["fargate-*"]}).violations

    assert (violation.subject, violation.observed) == ("all except fargate-* in the cluster", "0 nodes")
