"""What the kubelets measured of volumes, through the API server's proxy: one request a node, and silence is told."""

import pytest

from opscheck.core.observation import ProbeError, ProblemKind
from opscheck.demo.kubernetes import Response, Rule, World, mounting, node, pod, statuses, volume_stats
from opscheck.systems.kubernetes.permissions import render
from opscheck.systems.kubernetes.pods import ListPods
from opscheck.systems.kubernetes.probe import open_session
from opscheck.systems.kubernetes.target import KubernetesTarget
from opscheck.systems.kubernetes.volumes import ReadVolumeStats

SHOP = ReadVolumeStats("cluster", "shop")
SUMMARY = "/api/v1/nodes/{}/proxy/stats/summary"


@pytest.fixture(name="world")
def _world() -> World:
    """A database in `shop` on node-1, another in `other` on both nodes, and a pod without claims on node-3."""
    world = World(
        *(node(f"node-{number}") for number in (1, 2, 3)),
        mounting(pod("db-0", "shop", node="node-1"), "data-db-0"),
        mounting(pod("db-0", "other", node="node-1"), "data-db-0"),
        mounting(pod("db-1", "other", node="node-2"), "data-db-1"),
        pod("web-1", "shop", node="node-3"),
    )
    world.measure_volume("node-1", "db-0", volume_stats("data-db-0", "shop", available=1024))
    world.measure_volume("node-1", "db-0-of-other", volume_stats("data-db-0", "other", available=2048))
    world.measure_volume("node-2", "db-1", volume_stats("data-db-1", "other"))
    return world


def asked_nodes(api) -> list[str]:
    return sorted(request.path for request in api.requests if "/proxy/" in request.path)


def test_the_volumes_of_a_namespace_are_read_from_its_pods_nodes(api, session):
    stats = session.ask(SHOP, 5)

    (volume,) = stats.volumes
    assert ("shop", "data-db-0", 1024.0) == (volume.namespace, volume.claim, volume.available)
    assert volume.at is not None
    assert {} == stats.unread
    assert [SUMMARY.format("node-1")] == asked_nodes(api)


def test_every_namespace_takes_one_request_a_node(api, session):
    stats = session.ask(ReadVolumeStats("cluster", None), 5)

    assert 3 == len(stats.volumes)
    assert [SUMMARY.format("node-1"), SUMMARY.format("node-2")] == asked_nodes(api)


def test_a_node_is_asked_once_for_all_namespaces_and_the_pods_are_listed_once(api, session):
    session.ask(ListPods("cluster", "shop"), 5)
    session.ask(SHOP, 5)
    session.ask(ReadVolumeStats("cluster", "other"), 5)

    assert [SUMMARY.format("node-1"), SUMMARY.format("node-2")] == asked_nodes(api)
    assert 1 == sum(request.path == "/api/v1/namespaces/shop/pods" for request in api.requests)


def test_without_claims_no_node_is_asked(api, session):
    assert () == session.ask(ReadVolumeStats("cluster", "empty"), 5).volumes
    assert [] == asked_nodes(api)


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        (statuses.status(503, "ServiceUnavailable", "dial tcp 10.0.0.11:10250: refused"), "503: dial tcp"),
        (statuses.status(502, "BadGateway", "proxy error"), "502: proxy error"),
        (Response(404, b"404 page not found", "text/plain"), "404: 404 page not found"),
        (Response(200, b"{}"), "invalid summary"),
        (Response(200, b"<html>"), "invalid summary"),
    ],
)
def test_a_kubelet_that_does_not_answer_is_named_and_the_others_are_read(api, session, response, reason):
    api.answer(SUMMARY.format("node-2"), response)

    stats = session.ask(ReadVolumeStats("cluster", None), 5)

    assert ["node-2"] == list(stats.unread)
    assert stats.unread["node-2"].startswith(reason)
    assert 2 == len(stats.volumes)


def test_a_node_that_is_gone_is_named(world, session):
    world.remove("Node", "node-1")

    assert '404: nodes "node-1" not found' == session.ask(SHOP, 5).unread["node-1"]


def test_without_the_permission_nothing_is_known(api, session):
    api.deny("nodes/proxy")

    with pytest.raises(ProbeError) as caught:
        session.ask(SHOP, 5)

    problem = caught.value.problem
    assert ProblemKind.DENIED is problem.kind
    assert "may not get nodes/proxy in the cluster (403)" in problem.text
    assert 'grant {apiGroups: [""], resources: ["nodes/proxy"], verbs: ["get"]} with a ClusterRole' in problem.advice


def test_a_kubelet_that_keeps_silent_ends_with_the_time(api, opened):
    session = opened()
    api.answer(SUMMARY.format("node-2"), lambda exchange, _honest: exchange.pause())

    with pytest.raises(ProbeError) as caught:
        session.ask(ReadVolumeStats("cluster", None), 0.5)

    assert ProblemKind.LATE is caught.value.problem.kind
    assert "1 of 2 kubelets answered in 0.5 s" == caught.value.problem.text


def test_the_permissions_are_enough_and_their_risk_is_printed(api, tmp_path):
    printed = render(KubernetesTarget(kind="kubernetes", namespace="shop"), SHOP.permissions())
    api.admit("t", "opscheck", Rule(("list",), ("pods",)), Rule(("get",), ("nodes/proxy",)))
    target = KubernetesTarget(kind="kubernetes", kubeconfig=str(api.kubeconfig(tmp_path / "c", token="t")))
    session = open_session(target, 5)

    assert 1 == len(session.ask(SHOP, 5).volumes)
    session.close()
    assert "# get nodes/proxy: it allows to run commands in every pod of the cluster" in printed
    assert printed.index("# get nodes/proxy") < printed.index("kind: ClusterRole\n") < printed.index("kind: Role\n")
