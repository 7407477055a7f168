"""The least RBAC that opscheck needs in a cluster, ready for `kubectl apply -f -`."""

from collections.abc import Iterable, Iterator
from typing import Any

import yaml

from opscheck.core.query import Permission
from opscheck.systems.kubernetes.lists import KubernetesRule
from opscheck.systems.kubernetes.target import KubernetesTarget

NAME = "opscheck"
_RBAC = "rbac.authorization.k8s.io"
_Manifest = dict[str, Any]


def render(target: KubernetesTarget, permissions: Iterable[Permission]) -> str:
    """
    YAML with a service account in the target's namespace, and a role for it in each namespace of the policy.

    Rules for all namespaces, or for nodes, which have none, are in a cluster role and are not repeated in roles. Every
    rule names one verb, so that only needed pairs of resource and verb are granted.
    """
    rules = dict.fromkeys(one for one in permissions if isinstance(one, KubernetesRule))
    everywhere = [rule for rule in rules if rule.namespace is None]
    granted = {(rule.api_group, rule.resource, rule.verb) for rule in everywhere}
    local: dict[str, list[KubernetesRule]] = {}
    for rule in rules:
        if rule.namespace is not None and (rule.api_group, rule.resource, rule.verb) not in granted:
            local.setdefault(rule.namespace, []).append(rule)
    metadata = {"name": NAME, "namespace": target.namespace}
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}
    manifests = [account, *_grant(everywhere, None, target.namespace)]
    for namespace in sorted(local):
        manifests += _grant(local[namespace], namespace, target.namespace)
    return "---\n".join(_warnings(one) + yaml.safe_dump(one, sort_keys=False) for one in manifests)


def _warnings(manifest: _Manifest) -> str:
    """A comment for each rule of a role that allows more than its text shows."""
    each = [
        KubernetesRule(rule["apiGroups"][0], resource, rule["verbs"][0])
        for rule in manifest.get("rules", ())
        for resource in rule["resources"]
    ]
    return "".join(f"# {rule.verb} {rule.resource}: {rule.risk}\n" for rule in each if rule.risk)


def _grant(rules: list[KubernetesRule], namespace: str | None, home: str) -> Iterator[_Manifest]:
    """A role with these rules and its binding to the service account; nothing without rules."""
    if not rules:
        return
    resources: dict[tuple[str, str], list[str]] = {}
    for rule in rules:
        resources.setdefault((rule.api_group, rule.verb), []).append(rule.resource)
    merged = [
        {"apiGroups": [group], "resources": sorted(names), "verbs": [verb]}
        for (group, verb), names in sorted(resources.items())
    ]
    kind = "Role" if namespace else "ClusterRole"
    metadata = {"name": NAME} | ({"namespace": namespace} if namespace else {})
    yield {"apiVersion": f"{_RBAC}/v1", "kind": kind, "metadata": metadata, "rules": merged}
    yield {
        "apiVersion": f"{_RBAC}/v1",
        "kind": f"{kind}Binding",
        "metadata": dict(metadata),
        "roleRef": {"apiGroup": _RBAC, "kind": kind, "name": NAME},
        "subjects": [{"kind": "ServiceAccount", "name": NAME, "namespace": home}],
    }
