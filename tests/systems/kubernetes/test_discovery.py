"""What `opscheck init` proposes for a namespace."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from opscheck.core.discovery import Cluster
from opscheck.core.units import Severity
from opscheck.demo.kubernetes import (
    KubernetesApi,
    World,
    autoscaler,
    certificate,
    claim,
    cronjob,
    deployment,
    disruption_budget,
    endpoint_slice,
    ingress,
    pod,
    quota,
    service,
    stateful_set,
    statuses,
)
from tests.servers.discovering import by_check, discovered

SUCCESS = datetime(2026, 3, 1, 2, 4, tzinfo=UTC)


@pytest.fixture(name="world")
def _world() -> World:
    return World(deployment("web", "shop", replicas=2), pod("web-6f7b9-xk2lp", "shop"))


@pytest.fixture(name="api")
def _api(world, tmp_path, monkeypatch) -> Iterator[KubernetesApi]:
    with KubernetesApi(world) as api:
        monkeypatch.setenv("KUBECONFIG", str(api.kubeconfig(tmp_path / "config", namespace="shop")))
        yield api


@pytest.fixture(name="find")
def _find(api):
    """What is proposed once these objects are there too."""

    def find(*objects, **cluster):
        api.world.add(*objects)
        return discovered("kubernetes", cluster=Cluster(**cluster))

    return find


def test_namespace_of_the_current_context_is_proposed(find):
    (target,) = find().targets

    assert target.id == "kubernetes-shop"
    assert target.fields == {"kind": "kubernetes", "namespace": "shop"}
    assert target.seen == "Namespace shop of the context demo."


def test_chosen_context_is_in_the_target_and_in_ids(find):
    found = find(context="demo", namespace="shop")

    assert found.targets[0].fields == {"kind": "kubernetes", "context": "demo", "namespace": "shop"}
    assert [one.id for one in found.proposals] == ["rollout-demo-shop", "pods-demo-shop"]


def test_workloads_are_one_rollout_and_one_pods_expectation(find):
    proposals = by_check(find(stateful_set("db", "shop")))

    assert set(proposals) == {"kubernetes.rollout", "kubernetes.pods"}
    rollout = proposals["kubernetes.rollout"]
    assert (rollout.severity, rollout.fields) == (Severity.P0, {"while_serving": "P1"})
    assert rollout.reason.startswith("2 workloads: deployment/web, statefulset/db. ")
    assert proposals["kubernetes.pods"].fields == {"restarts": {"at_most": 5, "within": "1h"}}


def test_names_of_pods_are_not_written(find):
    assert "xk2lp" not in repr(find())


def test_pods_of_a_namespace_scaled_to_zero_are_not_proposed(find):
    assert set(by_check(find(deployment("web", "shop", replicas=0)))) == {"kubernetes.rollout"}


def test_cron_jobs_have_schedule_and_last_success_in_the_reason(find):
    jobs = (
        cronjob("report", "shop", schedule="0 6 * * 1", succeeded=SUCCESS),
        cronjob("cleanup", "shop", schedule="@daily", suspend=True, succeeded=None),
    )

    reason = by_check(find(*jobs))["kubernetes.cronjobs"].reason

    assert reason.startswith(
        "2 cron jobs: cleanup (@daily, no success yet, suspended), report (0 6 * * 1, last success 2026-03-01). "
    )


@pytest.mark.parametrize(
    ("check", "made"),
    [
        ("kubernetes.volumes", claim("data", "shop")),
        ("kubernetes.ingresses", ingress("web", "shop")),
        ("kubernetes.autoscaling", autoscaler("web", "shop")),
        ("kubernetes.disruption", disruption_budget("web", "shop")),
        ("kubernetes.quotas", quota("pods", "shop", hard={"pods": "9"}, used={"pods": "9"})),
        ("kubernetes.certificates", certificate("web", "shop")),
    ],
)
def test_kind_of_object_is_proposed_where_there_is_one(find, check, made):
    assert check not in by_check(find())
    assert check in by_check(find(made))


def test_limit_of_a_full_quota_stays_the_default(find):
    quotas = by_check(find(quota("pods", "shop", hard={"pods": "9"}, used={"pods": "9"})))["kubernetes.quotas"]

    assert quotas.fields == {"used": {"P3": "90%", "P2": "99%"}}


def test_services_without_endpoints_of_their_own_are_not_proposed(find):
    elsewhere = service("mail", "shop", kind="ExternalName", externalName="mail.example.com")

    assert "kubernetes.services" not in by_check(find(elsewhere))


def test_services_are_proposed_by_their_names(find):
    reason = by_check(find(service("web", "shop", selector={"app": "web"}), endpoint_slice("web", "shop")))[
        "kubernetes.services"
    ].reason

    assert reason.startswith("1 service: web. ")


def test_denied_list_is_reported_with_its_grant(find, api):
    api.deny("pods")

    found = find(claim("data", "shop"))

    assert set(by_check(found)) == {"kubernetes.volumes"}
    (sentence,) = found.not_seen
    assert sentence.startswith("kubernetes-shop: pods not read: ")
    assert 'resources: ["pods"], verbs: ["list"]' in sentence


def test_kind_that_the_server_does_not_serve_is_not_missing(find, api):
    api.answer("/apis/cert-manager.io", statuses.unknown_path())

    assert find().not_seen == ()


def test_server_that_fails_for_one_kind_is_reported(find, api):
    api.answer("/apis/apps/v1/namespaces/shop/daemonsets", statuses.plain(500, "etcd is gone"))

    found = find()

    assert found.proposals == ()
    assert "500: etcd is gone" in found.not_seen[0]


def test_empty_namespace_is_reported(find):
    found = find(namespace="nowhere")

    assert (found.targets, found.proposals) == ((), ())
    assert found.not_seen == ("kubernetes-nowhere: namespace nowhere has no objects to check, or does not exist",)


def test_unreachable_server_is_one_sentence(api, find):
    api.close()

    found = find()

    assert found.proposals == ()
    assert len(found.not_seen) == 1
    assert f"127.0.0.1:{api.port}" in found.not_seen[0]


def test_rejected_token_is_one_sentence(api, find):
    api.revoke()

    found = find()

    assert found.proposals == ()
    assert len(found.not_seen) == 1
    assert "(401)" in found.not_seen[0]


def test_missing_kubeconfig_is_reported(monkeypatch, tmp_path):
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "absent"))

    found = discovered("kubernetes", cluster=Cluster())

    assert found.not_seen[0].startswith("kubernetes: the cluster not read: the kubeconfig ")


def test_nothing_is_looked_at_unless_a_cluster_is_chosen(monkeypatch, tmp_path):
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "absent"))

    found = discovered("kubernetes")

    assert (found.targets, found.proposals, found.not_seen) == ((), (), ())


def test_kubeconfig_without_a_chosen_namespace_is_reported():
    found = discovered("kubernetes", environment={"KUBECONFIG": "/somewhere"})

    assert found.not_seen == ("kubernetes: KUBECONFIG is set, but no namespace was chosen; add --namespace NAME",)


def test_host_that_is_a_pattern_is_reported(find):
    found = find(ingress("web", "shop", host="*.example.com"))

    assert found.not_seen == ("kubernetes-shop: host *.example.com of an ingress not proposed: name a host",)
