"""A small Kubernetes API server over plain objects, honest unless a test tells it to misbehave."""

from opscheck.demo.kubernetes import scripts, statuses
from opscheck.demo.kubernetes.access import Identity, Rule
from opscheck.demo.kubernetes.batch import cronjob, job
from opscheck.demo.kubernetes.infrastructure import (
    event,
    generic,
    namespace,
    node,
    node_metrics,
    pod_metrics,
    taint,
)
from opscheck.demo.kubernetes.objects import (
    Object,
    condition,
    many_pods,
    metadata,
    padded,
    pod,
    termination,
    timestamp,
)
from opscheck.demo.kubernetes.resources import BUILT_IN, Resource
from opscheck.demo.kubernetes.server import DEFAULT_USER, KubernetesApi
from opscheck.demo.kubernetes.workloads import daemon_set, deployment, stateful_set
from opscheck.demo.kubernetes.world import LogLine, LogSource, World
from opscheck.demo.serving import Request, Response, Tls

__all__ = [
    "BUILT_IN",
    "DEFAULT_USER",
    "Identity",
    "KubernetesApi",
    "LogLine",
    "LogSource",
    "Object",
    "Request",
    "Resource",
    "Response",
    "Rule",
    "Tls",
    "World",
    "condition",
    "cronjob",
    "daemon_set",
    "deployment",
    "event",
    "generic",
    "job",
    "many_pods",
    "metadata",
    "namespace",
    "node",
    "node_metrics",
    "padded",
    "pod",
    "pod_metrics",
    "scripts",
    "stateful_set",
    "statuses",
    "taint",
    "termination",
    "timestamp",
]
