"""Names of objects that every finding of a run spells alike, so that one can be told as the cause of others."""

from opscheck.systems.kubernetes.queries.objects import KubernetesObject
from opscheck.systems.kubernetes.queries.owners import top_owner
from opscheck.systems.kubernetes.target import KubernetesTarget


def reference(target: KubernetesTarget, kind: str, name: str, namespace: str = "") -> str:
    """`cluster/shop/deployment/api`; `cluster/node/worker-1` for what is in no namespace. `kind` in small letters."""
    return "/".join(part for part in (target.name, namespace, kind, name) if part)


def owner_reference(target: KubernetesTarget, one: KubernetesObject) -> str:
    """The reference of what controls `one`; empty where nobody does."""
    kind, _, name = top_owner(one).partition("/")
    return reference(target, kind, name, one.namespace) if name else ""
