"""The printed RBAC: what it grants is enough for every query, and nothing in it can be left out."""

import pytest
import yaml

from opscheck import KubernetesTarget
from opscheck.core.observation import ProbeError, ProblemKind
from opscheck.demo.kubernetes import KubernetesApi, Rule, World, node, node_metrics, pod, pod_metrics
from opscheck.systems.kubernetes.lists import KubernetesRule
from opscheck.systems.kubernetes.logs import PodLogs
from opscheck.systems.kubernetes.nodes import ListNodes
from opscheck.systems.kubernetes.permissions import render
from opscheck.systems.kubernetes.pods import ListPods
from opscheck.systems.kubernetes.probe import open_session
from opscheck.systems.kubernetes.usage import ListNodeUsage, ListPodUsage
from opscheck.systems.kubernetes.volumes import ReadVolumeStats

TARGET = KubernetesTarget(kind="kubernetes", namespace="shop")
QUERIES = (
    ListPods("cluster", "shop"),
    ListPods("cluster", "other"),
    PodLogs("cluster", "shop", "app=web", "error", 60),
    ListPodUsage("cluster", "shop"),
    ListNodes("cluster"),
    ListNodeUsage("cluster"),
)


def permissions(*queries):
    return [permission for query in queries for permission in query.permissions()]


def granted(manifests) -> list[Rule]:
    """What the roles among `manifests` grant, a rule for each resource."""
    return [
        Rule(tuple(rule["verbs"]), (resource,), tuple(rule["apiGroups"]), _namespaces(role))
        for role in manifests
        if role["kind"] in {"Role", "ClusterRole"}
        for rule in role["rules"]
        for resource in rule["resources"]
    ]


def _namespaces(role):
    return (role["metadata"]["namespace"],) if role["kind"] == "Role" else ("*",)


MANIFESTS = list(yaml.safe_load_all(render(TARGET, permissions(*QUERIES))))
RULES = granted(MANIFESTS)


@pytest.fixture(name="denied")
def _denied(tmp_path):
    """Which queries somebody with these rules is denied."""
    world = World(
        node("node-1"),
        node_metrics("node-1", "1", "1Gi"),
        pod("web-1", "shop", labels={"app": "web"}),
        pod_metrics("web-1"),
    )

    def denied(rules) -> list[str]:
        with KubernetesApi(world) as api:
            api.admit("t", "system:serviceaccount:shop:opscheck", *rules)
            kubeconfig = str(api.kubeconfig(tmp_path / "config", token="t"))
            session = open_session(TARGET.model_copy(update={"kubeconfig": kubeconfig}), 5)
            refused = [query.text() for query in QUERIES if not _may(session, query)]
            session.close()
            return refused

    return denied


def _may(session, query) -> bool:
    try:
        session.ask(query, 5)
    except ProbeError as error:
        if error.problem.kind is not ProblemKind.DENIED:
            raise
        return False
    return True


def test_the_printed_rules_are_enough(denied):
    assert [] == denied(RULES)


def test_no_rules_are_not(denied):
    assert [query.text() for query in QUERIES] == denied([])


@pytest.mark.parametrize(
    "left_out", RULES, ids=lambda rule: f"{rule.namespaces[0]} {rule.groups[0]} {rule.resources[0]}"
)
def test_each_printed_rule_is_needed(denied, left_out):
    missing = denied([rule for rule in RULES if rule is not left_out])

    (verb,), (resource,), (group,), (namespace,) = (
        left_out.verbs,
        left_out.resources,
        left_out.groups,
        left_out.namespaces,
    )
    needed = KubernetesRule(group, resource, verb, None if namespace == "*" else namespace)
    assert [query.text() for query in QUERIES if needed in query.permissions()] == missing


def test_a_service_account_is_bound_to_each_role():
    account, *roles_and_bindings = MANIFESTS
    roles = [one for one in roles_and_bindings if one["kind"].endswith("Role")]
    bindings = [one for one in roles_and_bindings if one["kind"].endswith("Binding")]

    assert ("ServiceAccount", {"name": "opscheck", "namespace": "shop"}) == (account["kind"], account["metadata"])
    assert ["ClusterRole", "Role", "Role"] == [role["kind"] for role in roles]
    for role, binding in zip(roles, bindings, strict=True):
        assert role["metadata"] == binding["metadata"]
        assert {"apiGroup": "rbac.authorization.k8s.io", "kind": role["kind"], "name": "opscheck"} == binding["roleRef"]
        assert [{"kind": "ServiceAccount", "name": "opscheck", "namespace": "shop"}] == binding["subjects"]


def test_cluster_role_rules_are_not_repeated_in_roles():
    rendered = render(TARGET, permissions(ListPods("cluster", None), ListPods("cluster", "shop")))

    assert ["ServiceAccount", "ClusterRole", "ClusterRoleBinding"] == [
        one["kind"] for one in yaml.safe_load_all(rendered)
    ]


def test_verbs_are_never_mixed():
    (role,) = [
        one
        for one in yaml.safe_load_all(render(TARGET, permissions(PodLogs("cluster", "shop", None, "x", 60))))
        if one["kind"] == "Role"
    ]

    assert [
        {"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]},
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]},
    ] == role["rules"]


def test_risk_of_a_rule_is_a_comment_above_its_role():
    harmless = render(TARGET, permissions(*QUERIES))
    risky = render(TARGET, permissions(*QUERIES, ReadVolumeStats("cluster", "shop")))

    assert "#" not in harmless
    (comment,) = [line for line in risky.splitlines() if line.startswith("#")]
    assert comment.startswith("# get nodes/proxy: it allows to run commands in every pod of the cluster")
    assert len(list(yaml.safe_load_all(harmless))) == len(list(yaml.safe_load_all(risky)))
