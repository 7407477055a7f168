"""A real namespace of fifty workloads: healthy it is silent, and each of its faults is told once, at its cause."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opscheck.bundle import bundled
from opscheck.transport.processes import wait_until
from tests.cluster import healthy
from tests.cluster.building import Programs
from tests.cluster.control_plane import Cluster
from tests.cluster.faults import LOST, Fault, Patch, addressed, at_its_minimum, faults

GRACE_S = 1
GRACE = f"{GRACE_S}s"
_STRATEGIC = "application/strategic-merge-patch+json"
POLICY = f"""
version: 1
environment: test
extends: {bundled("policies") / "kubernetes.yaml"}
public_variables: [NAMESPACE]
expectations:
  - {{id: nodes, grace: {GRACE}, pressure_grace: {GRACE}}}
  - {{id: node-usage, skip: no metrics-server runs here}}
  - {{id: volumes, grace: {GRACE}}}
  - {{id: rollouts, grace: {GRACE}}}
  - {{id: cronjobs, grace: {GRACE}, run_time: {GRACE}}}
  - {{id: pods, grace: {GRACE}}}
  - {{id: services, grace: {GRACE}, load_balancer_grace: {GRACE}}}
  - {{id: ingresses, grace: {GRACE}}}
  - {{id: names, skip: nothing resolves names here}}
  - {{id: autoscaling, grace: {GRACE}}}
  - {{id: budgets, grace: {GRACE}}}
  - {{id: images, grace: {GRACE}}}
"""


@dataclass(frozen=True)
class Told:
    """What one run of opscheck said."""

    code: int
    out: str
    run: dict[str, Any]

    @property
    def findings(self) -> set[tuple[str, str, str]]:
        """Expectation, subject and severity of every finding."""
        return {
            (result["id"], finding["subject"], finding["severity"])
            for result in self.run["results"]
            for finding in result.get("findings", ())
        }

    @property
    def verdicts(self) -> dict[str, str]:
        """Verdict by id."""
        return {result["id"]: result["verdict"] for result in self.run["results"]}


class Shop:
    """The namespace on a cluster of its own."""

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self.cluster = cluster
        self.folder = folder
        (folder / "policy.yaml").write_text(POLICY)

    def fill(self) -> None:
        """Make the healthy world, and wait until it is."""
        api = self.cluster.api
        api.apply(*healthy.cluster(), *healthy.workloads(), *healthy.beside_them())
        self.settle(self._unsettled)
        paused = named("Deployment", "web-02")
        api.patch(paused, {"spec": {"paused": True}})
        self.settle(lambda: [] if _is_observed(api.get(paused)) else ["web-02"])

    def freeze(self) -> None:
        """Stop what moves the cluster, and say what no controller is there to say."""
        self.cluster.stop_controllers()
        for patch in (addressed("front"), *at_its_minimum("web-00")):
            self.patch(patch)

    def patch(self, patch: Patch) -> None:
        """Change an object that is there."""
        item = named(patch.kind, patch.name)
        path = self.cluster.api.path(item) + ("/status" if patch.status else "")
        change = {"status": patch.change} if patch.status else patch.change
        answer = self.cluster.api.client.patch(path, json=change, headers={"Content-Type": _STRATEGIC})
        assert answer.is_success, answer.text

    def judge(self) -> Told:
        """`opscheck run` on the namespace."""
        done = subprocess.run(
            [sys.executable, "-m", "opscheck", "run", "-p", "policy.yaml", "--json", "run.json"],
            cwd=self.folder,
            env=os.environ | {"KUBECONFIG": str(self.cluster.kubeconfig()), "NAMESPACE": healthy.NAMESPACE},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        return Told(done.returncode, done.stdout + done.stderr, json.loads((self.folder / "run.json").read_text()))

    def settle(self, unsettled: Callable[[], list[str]]) -> None:
        """Wait until nothing is unsettled any more."""
        wait_until(lambda: not unsettled(), 90, "the namespace does not settle", lambda: ", ".join(unsettled()))

    def runs(self, app: str) -> bool:
        """True when a pod with that label runs."""
        return any(
            one["metadata"]["labels"].get("app") == app and is_ready(one) for one in self._items("api/v1", "pods")
        )

    def unmoved(self) -> list[str]:
        """The faults that the cluster has not reacted to yet."""
        pods = self._items("api/v1", "pods")
        on_lost = [name(one) for one in pods if one["spec"].get("nodeName") == LOST and is_ready(one)]
        replaced = any(one["metadata"]["labels"].get("fault") == "image" for one in pods if "half-done" in name(one))
        jobs = {name(one): one["status"] for one in self._items("apis/batch/v1", "jobs")}
        deployments = {name(one): one["status"] for one in self._items("apis/apps/v1", "deployments")}
        ended = [one["type"] for one in jobs["bad-migration"].get("conditions", ())]
        refused = [one["type"] for one in deployments["refused"].get("conditions", ())]
        budgets = {name(one): one["status"] for one in self._items("apis/policy/v1", "poddisruptionbudgets")}
        quotas = {name(one): one.get("status", {}) for one in self._items("api/v1", "resourcequotas")}
        waiting = {
            "half-done": not replaced,
            "bad-migration": "Failed" not in ended,
            "refused": "ReplicaFailure" not in refused,
            "guarded": not budgets["guarded"].get("desiredHealthy"),
            "full": not quotas["full"].get("used"),
        }
        return [*on_lost, *(one for one, waits in waiting.items() if waits)]

    def _unsettled(self) -> list[str]:
        pods = self._items("api/v1", "pods")
        waiting = [name(one) for one in pods if one["status"].get("phase") not in {"Running", "Succeeded"}]
        jobs = [name(one) for one in self._items("apis/batch/v1", "jobs") if not one["status"].get("completionTime")]
        short = [
            name(one)
            for one in self._items("apis/apps/v1", "deployments")
            if one["status"].get("readyReplicas", 0) != one["spec"]["replicas"]
        ]
        sets = [
            name(one)
            for one in self._items("apis/apps/v1", "statefulsets")
            if one["status"].get("readyReplicas", 0) != one["spec"]["replicas"]
        ]
        slices = self._items("apis/discovery.k8s.io/v1", "endpointslices")
        served = {one["metadata"]["labels"]["kubernetes.io/service-name"] for one in slices if one.get("endpoints")}
        empty = sorted({f"web-{number:02d}" for number in range(2, healthy.DEPLOYMENTS)} - served)
        claims = [
            name(one) for one in self._items("api/v1", "persistentvolumeclaims") if one["status"]["phase"] == "Pending"
        ]
        return [*waiting, *jobs, *short, *sets, *empty, *(one for one in claims if one == "bound")]

    def _items(self, root: str, plural: str) -> list[dict[str, Any]]:
        return self.cluster.api.items(f"/{root}/namespaces/{healthy.NAMESPACE}/{plural}")


def _is_observed(item: dict[str, Any]) -> bool:
    """True when its controller has seen what it should be now."""
    return bool(item["status"].get("observedGeneration") == item["metadata"]["generation"])


def is_ready(pod: dict[str, Any]) -> bool:
    conditions = pod["status"].get("conditions") or ()
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def name(item: dict[str, Any]) -> str:
    found: str = item["metadata"]["name"]
    return found


_VERSIONS = {
    "Deployment": "apps/v1",
    "CronJob": "batch/v1",
    "Node": "v1",
    "Pod": "v1",
    "Ingress": "networking.k8s.io/v1",
    "HorizontalPodAutoscaler": "autoscaling/v2",
}


def named(kind: str, name: str) -> dict[str, Any]:
    """Enough of an object to find it."""
    return healthy.named(_VERSIONS[kind], kind, name, "" if kind == "Node" else healthy.NAMESPACE)


@contextmanager
def a_shop(programs: Programs, folder: Path) -> Iterator[Shop]:
    with Cluster(programs, folder) as cluster:
        cluster.start_controllers()
        shop = Shop(cluster, folder)
        shop.fill()
        yield shop


def test_healthy_namespace_of_fifty_workloads_has_no_finding(programs_that_move, tmp_path):
    with a_shop(programs_that_move, tmp_path) as shop:
        shop.freeze()
        told = shop.judge()

    assert set() == told.findings, told.out
    assert {"passed", "skipped"} == set(told.verdicts.values()), told.out
    assert 0 == told.code


def test_fault_is_reported_once_at_its_cause_with_its_severity(programs_that_move, tmp_path):
    with a_shop(programs_that_move, tmp_path) as shop:
        staged = faults()
        break_(shop, staged)
        told = shop.judge()

    expected = {(fault.expectation, fault.subject, fault.severity) for fault in staged}
    assert set() == expected ^ told.findings, told.out
    assert len(staged) == sum(len(result.get("findings", ())) for result in told.run["results"])
    assert 1 == told.code


def break_(shop: Shop, staged: list[Fault]) -> None:
    """Stage all faults: first what controllers react to, then what nothing here would say."""
    api = shop.cluster.api
    for fault in staged:
        api.apply(*fault.objects)
    shop.settle(lambda: [one for one in ("half-done", "held-back", "busy", "guarded") if not shop.runs(one)])
    patches = [patch for fault in staged for patch in fault.patches]
    moving = [patch for patch in patches if patch.kind in {"Deployment", "Node"}]
    for patch in moving:
        shop.patch(patch)
    for kind, gone in [deletion for fault in staged for deletion in fault.deleted]:
        api.delete(named(kind, gone), grace_s=1)
    shop.settle(shop.unmoved)
    shop.freeze()
    for patch in [patch for patch in patches if patch not in moving]:
        shop.patch(patch)
    seen = time.monotonic()
    wait_until(lambda: time.monotonic() > seen + GRACE_S + 1, 30, "no time passes")
