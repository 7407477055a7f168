"""Every command that a remedy of Kubernetes prints, typed with a token on a real API server."""

import os
import subprocess
from collections.abc import Iterator
from importlib import import_module

import pytest
import trustme

from opscheck.core.expectation import Expectation
from opscheck.core.remedy import fact_text
from opscheck.core.templates import render
from opscheck.demo.kubernetes import tls_secret
from opscheck.systems.kubernetes import SYSTEM
from tests.cluster import crds
from tests.cluster.building import Programs
from tests.cluster.conftest import end
from tests.cluster.control_plane import Cluster
from tests.cluster.manifests import (
    daemon_set,
    deployment,
    made,
    measurable,
    one_of_each,
    one_of_each_custom,
    pod,
    service,
)
from tests.servers.cache import NotThere

SPACE = "typed"
FACTS = {
    "namespace": SPACE,
    "namespace_option": ("-n", SPACE),
    "dns_namespace": SPACE,
    "context_option": ("--context", "real"),
    "missing": "app=web",
    "selector": "app=web",
    "pod_selector": "app=web",
    "pod": "web-1",
    "container": "app",
    "node": "node-1",
    "owner": "deployment/web",
    "workload": "deployment/web",
    "scaled": "deployment/web",
    "autoscaler": "web",
    "raised_maximum": '{"spec":{"maxReplicas":6}}',
    "budget": "web",
    "one_more": 2,
    "fitting": 1,
    "claim": "data",
    "size_patch": '{"spec":{"resources":{"requests":{"storage":"1Gi"}}}}',
    "storage_class": "local",
    "volume": "disk",
    "cronjob": "report",
    "job": "migrate",
    "quota": "all",
    "counted": "pods",
    "columns": r"POD:.metadata.name,TAKES:.spec.containers[*].resources.limits.memory",
    "service": "web",
    "port": "http",
    "ingress": "web",
    "secret": "api-tls",
    "class_name": "web",
    "doubled_memory": "256Mi",
    "running_image": "registry.example.com/app@sha256:" + "5f" * 32,
    "expected_image": "registry.example.com/app:1.4.3",
    "certificate": "api",
    "request": "api-1",
    "order": "api-1-2",
    "challenge": "api-1-2-3",
    "issuer": "mine",
    "cluster_issuer": "letsencrypt",
    "failed_job": "migrate",
    "active_job": "migrate",
    "since": "1h",
    "pattern": "error",
    "host_name": "localhost",
}
NOT_TYPED = {
    " logs ": "the API server has no kubelet to read logs from",
    " exec ": "the API server has no kubelet to run a program in",
    " debug ": "the command is interactive, and needs a kubelet",
    " edit ": "the command is interactive",
    "rollout undo": "it needs an earlier revision; tests/cluster/test_moving.py types it",
    "cmctl ": "cmctl is not installed",
}
"""Commands that need a part of a cluster which is not available, with the reason."""
CERTIFICATE = trustme.CA().cert_pem.bytes()
SILENT = ("get events", "{.metadata.finalizers}")
"""Commands whose output may be empty."""


def kinds() -> Iterator[type[Expectation]]:
    """The kinds of expectations of the system."""
    for place in SYSTEM.expectations.values():
        module, _, name = place.partition(":")
        yield getattr(import_module(module), name)


COMMANDS = sorted({command for kind in kinds() for remedy in kind.remedies for command in remedy.commands})
TYPED = [command for command in COMMANDS if not any(word in command for word in NOT_TYPED)]


@pytest.fixture(name="owned", scope="module")
def _owned(programs: Programs, folder) -> Iterator[Cluster]:
    """A cluster of its own, as some commands change nodes and definitions."""
    with Cluster(programs, folder("typed")) as cluster:
        try:
            crds.establish(cluster.api, crds.CERT_MANAGER)
        except NotThere as why:
            end(why)
        cluster.api.apply(*measurable())
        yield cluster


def fill(cluster: Cluster, *, paused: bool) -> None:
    """Create the objects that the facts name, and undo the changes of earlier commands."""
    api = cluster.api
    api.apply(*one_of_each(SPACE), *one_of_each_custom(SPACE))
    restarted = {"template": {"metadata": {"annotations": None}}}
    api.patch(deployment("web", SPACE), {"spec": {"paused": paused, **restarted}})
    agent = api.get(daemon_set("agent", SPACE))
    owner = {"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "agent", "uid": agent["metadata"]["uid"]}
    on_node = pod("agent-1", SPACE, app="agent", nodeName="node-1")
    on_node["metadata"]["ownerReferences"] = [owner | {"controller": True}]
    dns = pod("dns-1", SPACE)
    dns["metadata"]["labels"] = {"k8s-app": "kube-dns"}
    lease = made("Lease", "kube-controller-manager", "kube-system", "coordination.k8s.io/v1", spec={})
    api.apply(on_node, dns, service("kube-dns", SPACE), lease, tls_secret("api-tls", SPACE, pem=CERTIFICATE))


def test_every_printed_command_is_typed_or_has_a_reason():
    unused = [word for word in NOT_TYPED if not any(word in command for command in COMMANDS)]

    assert unused == []
    assert len(TYPED) >= 90


@pytest.mark.parametrize("command", TYPED)
def test_printed_command_succeeds_on_a_cluster(owned, programs, command):
    fill(owned, paused="rollout resume" in command)
    facts = FACTS | {"rerun": f"report-{COMMANDS.index(command)}"}
    typed = render(command, {name: fact_text(value) for name, value in facts.items()})
    assert typed is not None

    path = f"{programs.folder}{os.pathsep}{os.environ['PATH']}"
    shell = os.environ | {"KUBECONFIG": str(owned.kubeconfig()), "PATH": path}
    done = subprocess.run(["sh", "-c", typed], env=shell, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, f"{typed}\n{done.stdout}{done.stderr}"
    assert done.stdout or any(word in typed for word in SILENT), f"{typed}\n{done.stderr}"
