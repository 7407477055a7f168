"""
What `opscheck permissions` prints, on a real server with real RBAC: it is enough, and nothing in it can be left out.

The output is applied as it is, and the policy runs as exactly the service account that it names.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from opscheck.bundle import bundled
from opscheck.inspection import read
from opscheck.systems.kubernetes.lists import KubernetesRule
from opscheck.systems.kubernetes.scope import InCluster
from opscheck.transport.processes import wait_until
from tests.cluster.kubelet import Kubelet
from tests.cluster.manifests import ago, measurable, node_metrics, one_of_each, pod, pod_metrics

SPACE = "granted"
ACCOUNT = f"system:serviceaccount:{SPACE}:opscheck"
POLICY = f"""
version: 1
extends: {bundled("policies") / "kubernetes.yaml"}
environment: test
defaults: {{timeout: 40s}}  # another worker may be starting a control plane of its own
public_variables: [NAMESPACE]
targets:
  cluster: {{kind: kubernetes, namespace: {SPACE}}}
expectations:
  - {{id: names, skip: nothing resolves names here}}
  - {{id: pod-usage, check: kubernetes.usage, target: cluster, of: pods, memory: {{P2: 90%}}}}
  - {{id: logs, check: kubernetes.logs, target: cluster, pattern: error, window: 1h, lines: {{P3: 10}}}}
"""
RULE_OF_EVIDENCE = KubernetesRule("", "events", "list", SPACE)


@dataclass(frozen=True)
class Granted:
    """A policy, and the account that may do what it needs."""

    folder: Path
    environment: dict[str, str]
    api: Any

    def opscheck(self, *words: str) -> subprocess.CompletedProcess[str]:
        """The command, as that account."""
        return subprocess.run(
            [sys.executable, "-m", "opscheck", *words],
            cwd=self.folder,
            env=os.environ | self.environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def judged(self) -> dict[str, dict[str, Any]]:
        """The result of each expectation."""
        record = self.folder / "run.json"
        record.unlink(missing_ok=True)
        self.api.apply(node_metrics("node-1"), pod_metrics("web-1", SPACE), pod_metrics("running", SPACE))  # fresh ones
        done = self.opscheck("run", "-p", "policy.yaml", "--json", record.name)
        assert record.exists(), done.stdout + done.stderr
        return {result["id"]: result for result in json.loads(record.read_text())["results"]}

    @contextmanager
    def without(self, rule: KubernetesRule) -> Iterator[None]:
        """Take one rule away from the account, and give it back."""
        kind = "Role" if rule.namespace else "ClusterRole"
        role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind}
        role["metadata"] = {"name": "opscheck", "namespace": rule.namespace}
        before = self.api.get(role)["rules"]
        self.api.patch(role, {"rules": [one for entry in before for one in _each(entry) if one != _entry(rule)]})
        self._until(rule, allowed=False)
        yield
        self.api.patch(role, {"rules": before})
        self._until(rule, allowed=True)

    def _until(self, rule: KubernetesRule, *, allowed: bool) -> None:
        """Wait until the server's authorizer has seen the change."""
        resource, _, part = rule.resource.partition("/")
        attributes = {"verb": rule.verb, "group": rule.api_group, "resource": resource, "subresource": part}
        attributes |= {"namespace": rule.namespace} if rule.namespace else {}
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "metadata": {},
            "spec": {"user": ACCOUNT, "resourceAttributes": attributes},
        }
        path = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
        wait_until(
            lambda: allowed == self.api.client.post(path, json=review).json()["status"]["allowed"],
            20,
            f"RBAC does not follow: {rule.text()}",
        )


def _each(entry: dict[str, Any]) -> list[dict[str, Any]]:
    """A rule of a role for each of its resources."""
    return [entry | {"resources": [resource]} for resource in entry["resources"]]


def _entry(rule: KubernetesRule) -> dict[str, Any]:
    return {"apiGroups": [rule.api_group], "resources": [rule.resource], "verbs": [rule.verb]}


@pytest.fixture(name="policy", scope="module")
def _policy(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("granted") / "policy.yaml"
    path.write_text(POLICY)
    return path


@pytest.fixture(name="granted", scope="module")
def _granted(cluster, programs, policy) -> Iterator[Granted]:
    api = cluster.api
    definitions = measurable()
    api.apply(*definitions)
    for definition in definitions:
        api.wait_for(definition, "Established")
    with Kubelet("GET / 200", "an error on purpose") as kubelet:
        api.apply(*one_of_each(SPACE), *running(kubelet))
        admin = {"KUBECONFIG": str(cluster.kubeconfig()), "NAMESPACE": SPACE}
        printed = Granted(policy.parent, admin, api).opscheck("permissions", policy.name, "--target", "cluster")
        assert 0 == printed.returncode, printed.stderr
        kubectl = [programs["kubectl"], "--kubeconfig", admin["KUBECONFIG"], "apply", "-f", "-"]
        subprocess.run(kubectl, input=printed.stdout, text=True, capture_output=True, check=True, timeout=60)
        account = {"KUBECONFIG": str(cluster.kubeconfig(token=api.token("opscheck", SPACE))), "NAMESPACE": SPACE}
        granted = Granted(policy.parent, account, api)
        for rule in RULES:
            granted._until(rule, allowed=True)
        yield granted


def running(kubelet: Kubelet) -> Iterator[dict[str, Any]]:
    """A pod that runs on a node whose kubelet answers."""
    yield {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node-1"}, "status": kubelet.node_status()}
    conditions = [{"type": "Ready", "status": "True", "lastTransitionTime": ago(3600)}]
    state = {"running": {"startedAt": ago(3600)}}
    container = {"name": "app", "image": "app", "imageID": "app", "ready": True, "restartCount": 0, "state": state}
    status = {"phase": "Running", "conditions": conditions, "containerStatuses": [container]}
    yield pod("running", SPACE, app="web", nodeName="node-1") | {"status": status}


def looked_at() -> dict[str, set[KubernetesRule]]:
    """What each expectation needs to be judged, by its own word."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "policy.yaml"
        path.write_text(POLICY)
        expectations = read(path, []).policy.expectations
    asked = {
        one.id: [rule for query in one.queries() for rule in query.permissions()]
        for one in expectations
        if isinstance(one, InCluster) and one.skip is None
    }
    every = {rule for rules in asked.values() for rule in rules}
    return {name: {_everywhere(rule, every) for rule in rules} for name, rules in asked.items()}


def _everywhere(rule: KubernetesRule, every: set[KubernetesRule]) -> KubernetesRule:
    """The rule for the whole cluster where that is asked for too: it is not granted twice."""
    wide = replace(rule, namespace=None)
    return wide if wide in every else rule


NEEDED = looked_at()
RULES = sorted({rule for rules in NEEDED.values() for rule in rules}, key=KubernetesRule.text)


@pytest.fixture(name="healthy", scope="module")
def _healthy(granted) -> dict[str, str]:
    """The verdicts with everything that was printed."""
    return {name: result["verdict"] for name, result in granted.judged().items()}


def test_printed_permissions_suffice_for_every_expectation(granted):
    results = granted.judged()

    assert [] == [result["summary"] for result in results.values() if result["verdict"] == "unknown"]
    assert {*NEEDED, "names"} == results.keys()


def test_whole_policy_sends_fewer_than_thirty_requests(granted, cluster):
    before = len(cluster.requests_of("opscheck"))

    granted.judged()

    asked = cluster.requests_of("opscheck")[before:]
    assert {ACCOUNT} == {entry["user"]["username"] for entry in asked}
    assert 20 < len(asked) < 30
    assert {"get", "list", "create"} == {entry["verb"] for entry in asked}
    assert ["selfsubjectreviews"] == [entry["objectRef"]["resource"] for entry in asked if entry["verb"] == "create"]


def test_printed_permissions_are_each_needed(granted):
    """Of what is asked as evidence, Warning events and storage classes are not asked by anything else."""
    beside = {RULE_OF_EVIDENCE, KubernetesRule("storage.k8s.io", "storageclasses", "list")}

    assert {*RULES, *beside} == set(granted_rules(granted.api))


def granted_rules(api) -> Iterator[KubernetesRule]:
    """What the account may do by its roles."""
    root = "/apis/rbac.authorization.k8s.io/v1"
    roles = [*api.items(f"{root}/clusterroles"), *api.items(f"{root}/roles")]
    for role in roles:
        if role["metadata"]["name"] == "opscheck":
            for entry in role["rules"]:
                ((group,), (verb,)) = entry["apiGroups"], entry["verbs"]
                for resource in entry["resources"]:
                    yield KubernetesRule(group, resource, verb, role["metadata"].get("namespace"))


@pytest.mark.parametrize("rule", RULES, ids=KubernetesRule.text)
def test_missing_rule_makes_its_expectations_unknown_and_is_named(granted, healthy, rule):
    with granted.without(rule):
        results = granted.judged()

    blind = {name for name, rules in NEEDED.items() if rule in rules and healthy[name] != "skipped"}
    unknown = {name: result for name, result in results.items() if result["verdict"] == "unknown"}
    others = {name: result["verdict"] for name, result in results.items() if name not in blind}
    assert blind == unknown.keys()
    assert {name: verdict for name, verdict in healthy.items() if name not in blind} == others
    for result in unknown.values():
        assert f'cannot {rule.verb} resource "{rule.resource}"' in json.dumps(result).replace('\\"', '"')


def test_missing_warning_events_change_no_verdict(granted, healthy):
    with granted.without(RULE_OF_EVIDENCE):
        results = granted.judged()

    assert healthy == {name: result["verdict"] for name, result in results.items()}
