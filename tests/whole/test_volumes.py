"""A whole run about volumes: a policy, a cluster, and a real Prometheus beside it."""

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from opscheck.demo.kubernetes import KubernetesApi, World, claim, mounting, node, pod, storage_class, volume_stats
from tests.servers.interpreters import Interpreter
from tests.servers.prometheus import PASSWORD, USER, Exporter, Prometheus

GI = 2**30
POLICY = """
version: 1
environment: test
targets:
  cluster: {{kind: kubernetes, namespace: shop}}
  metrics: {{kind: prometheus, base_url: "${{PROMETHEUS_URL}}"}}
expectations:
  - {{id: pods, check: kubernetes.pods, target: cluster, severity: P1}}
  - {{id: volumes, check: kubernetes.volumes, target: cluster, severity: P1, {volumes}}}
"""
BY_PROMETHEUS = "prometheus: metrics, used: {P2: 85%, P1: 97%}, inodes: {P2: 90%}"
BY_KUBELET = "usage_from: kubelet-proxy, used: {P2: 85%, P1: 97%}"

Opscheck = Callable[..., tuple[str, dict]]


@pytest.fixture(name="world")
def _world() -> World:
    """A database whose volume is nearly full, and a claim that no pod wants yet."""
    world = World(
        node("node-1"),
        storage_class(),
        mounting(pod("db-0", "shop", owner="StatefulSet/db"), "data-db-0"),
        claim("data-db-0", "shop"),
        claim("later", "shop", phase="Pending"),
    )
    world.measure_volume("node-1", "db-0", volume_stats("data-db-0", "shop", available=GI // 10))
    return world


@pytest.fixture(name="api")
def _api(world):
    with KubernetesApi(world) as api:
        yield api


@pytest.fixture(name="opscheck")
def _opscheck(api, tmp_path, interpreter: Interpreter) -> Opscheck:
    """Run a command with a policy whose volumes have these fields; its output, and the record where there is one."""

    def opscheck(command: str, *words: str, volumes: str, url: str = "http://127.0.0.1:1") -> tuple[str, dict]:
        (tmp_path / "policy.yaml").write_text(POLICY.format(volumes=volumes))
        env = os.environ | {"KUBECONFIG": str(api.kubeconfig(tmp_path / "config")), "PROMETHEUS_URL": url}
        done = interpreter("opscheck", command, *words, cwd=tmp_path, env=env)
        written = "".join(path.read_text() for path in tmp_path.glob("*.json"))
        assert PASSWORD not in done.stdout + done.stderr + written
        return done.stdout, _results(tmp_path / "run.json")

    return opscheck


def _results(path: Path) -> dict:
    if not path.exists():
        return {}
    return {result["id"]: result for result in json.loads(path.read_text())["results"]}


RUN = ("run", "-p", "policy.yaml", "--json", "run.json")


def observed(result: dict) -> list[tuple[str, str, str]]:
    return [(one["subject"], one["severity"], one["observed"]) for one in result["findings"]]


def test_real_prometheus_returns_volume_usage_also_in_a_snapshot(prometheus_program, opscheck):
    labels = '{namespace="shop",persistentvolumeclaim="data-db-0",node="node-1"}'
    values = {"available_bytes": GI // 10, "capacity_bytes": 10 * GI, "used_bytes": 9 * GI}
    values |= {"inodes": 1000, "inodes_free": 900, "inodes_used": 100}
    series = {f"kubelet_volume_stats_{name}{labels}": value for name, value in values.items()}
    with Exporter(series) as exporter, Prometheus(prometheus_program, exporter, password=True) as prometheus:
        prometheus.wait_for("kubelet_volume_stats_inodes_used")
        url = f"http://{USER}:{PASSWORD}@{prometheus.place}"
        _, live = opscheck(*RUN, "--save", "snapshot.json", volumes=BY_PROMETHEUS, url=url)
    _, again = opscheck(*RUN, "--from", "snapshot.json", volumes=BY_PROMETHEUS, url=url)

    assert [("data-db-0", "P1", "used 99% (107MB left of 10.7GB)")] == observed(live["volumes"])
    assert observed(live["volumes"]) == observed(again["volumes"])
    assert "passed" == live["pods"]["verdict"]


def test_kubelets_return_volume_usage(opscheck):
    _, results = opscheck(*RUN, volumes=BY_KUBELET)

    assert [("data-db-0", "P1", "used 99% (107MB left of 10.7GB)")] == observed(results["volumes"])


def test_unreachable_prometheus_makes_only_usage_unknown(opscheck):
    _, results = opscheck(*RUN, volumes=BY_PROMETHEUS)

    assert "passed" == results["pods"]["verdict"]
    assert "unknown" == results["volumes"]["verdict"]
    assert "connection refused by 127.0.0.1:1" in results["volumes"]["summary"]


def test_pod_that_waits_for_a_claim_is_reported_at_the_claim(world, opscheck):
    long_ago = datetime.now(UTC) - timedelta(hours=2)
    waiting = mounting(pod("web-0", "shop", phase="Pending", node=None, created=long_ago, since=long_ago), "typo")
    world.add(waiting, claim("typo", "shop", phase="Pending", storage_class="fsat", created=long_ago))

    _, results = opscheck(*RUN, volumes="grace: 15m")

    assert "storage class fsat does not exist" in results["volumes"]["findings"][0]["observed"]
    assert ([], "volumes") == (results["pods"]["findings"], results["pods"]["blocked_by"])
    assert "violated" == results["pods"]["verdict"]


def test_risk_of_the_node_proxy_is_printed_with_its_permission(opscheck):
    told, _ = opscheck("explain", "volumes", "-p", "policy.yaml", volumes=BY_KUBELET)
    granted, _ = opscheck("permissions", "policy.yaml", volumes=BY_KUBELET)
    harmless, _ = opscheck("permissions", "policy.yaml", volumes=BY_PROMETHEUS)

    risk = "it allows to run commands in every pod of the cluster, even with `get` alone"
    assert f"get nodes/proxy in the cluster; risk: {risk}" in told
    assert f"# get nodes/proxy: {risk}" in granted
    assert "nodes/proxy" not in harmless


def test_explain_names_both_systems_and_their_queries(opscheck):
    told, _ = opscheck("explain", "volumes", "-p", "policy.yaml", volumes=BY_PROMETHEUS)

    assert "  metrics (prometheus): ${PROMETHEUS_URL}" in told
    assert '  evaluate kubelet_volume_stats_inodes{namespace="shop"} and (time()' in told
