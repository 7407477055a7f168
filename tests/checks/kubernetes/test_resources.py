"""kubernetes.resources: what pods set themselves, as a whole or after a resize, counts; what they lack is told once."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from checks.kubernetes import test_resources
from opscheck import Findings, KubernetesTarget
from opscheck.core.observation import CouldNotObserve
from opscheck.core.templates import malformed, unknown_names
from opscheck.demo.kubernetes import pod
from opscheck.systems.kubernetes.lists import ObjectList
from opscheck.systems.kubernetes.pods import ListPods, Pod
from opscheck.systems.kubernetes.resources import ResourcesSet
from opscheck.testing import expect, judge
from tests.checks.kubernetes.rendering import rendered

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
TARGET = KubernetesTarget(kind="kubernetes", namespace="default")
REQUESTS = {"cpu": "100m", "memory": "128Mi"}
LIMITS = {"memory": "256Mi"}
WEB = "web-7d4b9c6f5d"


def a_pod(name=f"{WEB}-2xkqp", **fields):
    return pod(name, **{"created": NOW - timedelta(days=2), "requests": REQUESTS, "limits": LIMITS} | fields)


def bare(name=f"{WEB}-2xkqp", **fields):
    return a_pod(name, **{"requests": {}, "limits": {}} | fields)


def expected(**fields) -> ResourcesSet:
    return expect(ResourcesSet, TARGET, **{"severity": "P3"} | fields)


def judged(*pods, **fields) -> Findings:
    answers = {expected(**fields).lists(ListPods)[0]: ObjectList(tuple(msgspec.convert(one, Pod) for one in pods))}
    return judge(test_resources.test_the_resources_are_set, expected(**fields), answers, NOW)


def observed(*pods, **fields) -> list[str]:
    return [violation.observed for violation in judged(*pods, **fields).violations]


def commands(*pods, **fields) -> list[str]:
    expectation = expected(**fields)
    return rendered(expectation, judged(*pods, **fields))


def with_init(item, **fields):
    item["spec"]["initContainers"] = [{"name": "migrate", "image": "migrate:1", **fields}]
    return item


def test_containers_that_set_what_is_required_are_well():
    findings = judged(a_pod())

    assert [] == findings.violations
    assert [("pods", 1), ("containers", 1)] == [(one.name, one.value) for one in findings.measurements]


def test_missing_cpu_limit_passes_by_default():
    assert ("requests.cpu", "requests.memory", "limits.memory") == expected().require
    assert [] == observed(a_pod())
    assert ["container app has no limits.cpu"] == observed(a_pod(), require=["limits.cpu"])


def test_the_pods_of_a_workload_are_one_finding():
    pods = [bare(f"{WEB}-{letter * 5}") for letter in "bcdfg"]

    (violation,) = judged(*pods, a_pod("db-0", owner="StatefulSet/db")).violations

    assert ("deployment/web", "container app has no requests.cpu, requests.memory, limits.memory") == (
        violation.subject,
        violation.observed,
    )
    assert "every container sets requests.cpu, requests.memory, limits.memory" == violation.expected
    assert (f"in 5 of 5 pods: {WEB}-bbbbb, {WEB}-ccccc, {WEB}-ddddd and 2 more",) == violation.evidence
    assert () == violation.because


def test_each_container_must_set_them_and_only_what_is_missing_is_named():
    item = a_pod(containers=("app", "proxy"))
    item["spec"]["containers"][1]["resources"] = {"requests": {"cpu": "10m"}, "limits": {"memory": "64Mi"}}

    assert ["container proxy has no requests.memory"] == observed(item)


def test_settings_missing_in_old_pods_are_reported_with_these_pods():
    (violation,) = judged(bare(f"{WEB}-bbbbb"), a_pod(f"{WEB}-ccccc")).violations

    assert (f"in 1 of 2 pods: {WEB}-bbbbb",) == violation.evidence


def test_settings_of_a_whole_pod_count_for_its_containers():
    item = bare(containers=("app", "proxy"))
    item["spec"]["resources"] = {"requests": REQUESTS, "limits": LIMITS}
    half = bare()
    half["spec"]["resources"] = {"limits": LIMITS}

    assert [] == observed(item)
    assert ["container app has no requests.cpu, requests.memory"] == observed(half)


def test_values_in_force_after_a_resize_count():
    item = bare()
    item["status"]["containerStatuses"][0]["resources"] = {"requests": REQUESTS, "limits": LIMITS}

    assert [] == observed(item)


def test_a_quantity_of_nothing_sets_nothing():
    assert ["container app has no requests.cpu"] == observed(a_pod(requests={"cpu": "0", "memory": "1Gi"}))


def test_init_containers_are_judged_on_request_and_sidecars_always():
    assert [] == observed(with_init(a_pod()))
    assert ["init container migrate has no requests.cpu, requests.memory, limits.memory"] == observed(
        with_init(a_pod()), init_containers=True
    )
    assert 1 == len(observed(with_init(a_pod(), restartPolicy="Always")))


def test_containers_that_others_put_there_can_be_left_out_but_not_all():
    item = a_pod(containers=("app", "istio-proxy"))
    item["spec"]["containers"][1]["resources"] = {}

    assert [] == observed(item, ignore_containers=["istio-*"])
    with pytest.raises(CouldNotObserve, match="every container of the selected pods is ignored"):
        judged(item, ignore_containers=["*"])


def test_pods_that_are_done_and_pods_on_their_way_out_are_left_out():
    pods = [
        bare("migration-x", phase="Succeeded", owner="Job/migration"),
        bare("migration-y", phase="Failed", owner="Job/migration"),
        bare(f"{WEB}-bbbbb", deleted=NOW - timedelta(seconds=5)),
    ]

    assert [] == observed(*pods, a_pod())


def test_the_running_pod_of_a_job_is_told_as_its_cron_job():
    (violation,) = judged(bare("backup-29001000-x", owner="Job/backup-29001000")).violations

    assert "cronjob/backup" == violation.subject


def test_popeye_208_static_pods_are_exempt():
    assert [] == observed(bare("kube-apiserver-node-1", owner="Node/node-1"), a_pod())


def test_popeye_288_a_selector_that_matches_nothing_is_no_pass():
    assert ["0 pods"] == observed(a_pod(), selector="app=api")
    assert [] == observed(min_matches=0)


def test_error_lists_the_settings_that_can_be_required():
    with pytest.raises(ValidationError, match=r"requests\.cpu"):
        expected(require=["cpu"])
    with pytest.raises(ValidationError, match="at least 1"):
        expected(require=[])


def test_one_list_of_pods_is_all_that_is_asked():
    assert (ListPods("target", "default"),) == tuple(expected().queries())


def test_a_workload_is_given_what_its_containers_use():
    assert [
        f"kubectl -n default top pod {WEB}-2xkqp --containers  # their current usage",
        (
            "kubectl -n default set resources deployment/web -c app --requests=cpu=100m,memory=128Mi"
            " --limits=memory=256Mi  # with values that fit it"
        ),
        "kubectl -n default get limitranges -o yaml  # the defaults for containers such as app",
    ] == commands(bare())
    for command in (text for remedy in expected().remedies for text in remedy.commands):
        assert [] == [*malformed(command), *unknown_names(command, expected())]


RESOURCES = st.none() | st.fixed_dictionaries(
    {
        "requests": st.none() | st.dictionaries(st.sampled_from(["cpu", "memory"]), st.sampled_from(["1", "0", "odd"])),
        "limits": st.none() | st.dictionaries(st.sampled_from(["cpu", "memory"]), st.sampled_from(["1", "0", "odd"])),
    }
)
CONTAINERS = st.none() | st.lists(
    st.fixed_dictionaries({"name": st.sampled_from([None, "app", "proxy"]), "resources": RESOURCES}), max_size=3
)
PODS = st.fixed_dictionaries(
    {
        "metadata": st.none() | st.fixed_dictionaries({"name": st.sampled_from([None, "a", "b"])}),
        "spec": st.none()
        | st.fixed_dictionaries({"containers": CONTAINERS, "initContainers": CONTAINERS, "resources": RESOURCES}),
        "status": st.none() | st.fixed_dictionaries({"containerStatuses": CONTAINERS}),
    }
)


@given(st.lists(PODS, max_size=3), st.randoms(use_true_random=False))
@settings(deadline=None)
def test_whatever_is_missing_nothing_is_raised_and_no_order_matters(pods, random):
    def told(items):
        findings = judged(*items, a_pod())
        return sorted((one.subject, one.observed, one.evidence) for one in findings.violations)

    before = told(pods)
    # Pods of one name are one pod to an API server; here only the order of different ones is changed.
    if len({str((one["metadata"] or {}).get("name")) for one in pods}) == len(pods):
        random.shuffle(pods)
        assert before == told(pods)
