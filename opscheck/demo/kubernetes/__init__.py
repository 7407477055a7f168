"""A small Kubernetes API server over plain objects, correct unless a test makes it misbehave."""

from opscheck.demo.kubernetes import scripts, statuses
from opscheck.demo.kubernetes.access import Identity, Rule
from opscheck.demo.kubernetes.batch import cronjob, job
from opscheck.demo.kubernetes.certificates import (
    certificate,
    certificate_request,
    challenge,
    issuer,
    issuing,
    order,
    ready,
    tls_secret,
    unissued,
)
from opscheck.demo.kubernetes.infrastructure import (
    event,
    generic,
    namespace,
    node,
    node_metrics,
    pod_metrics,
    taint,
)
from opscheck.demo.kubernetes.network import (
    backend,
    endpoint,
    endpoint_slice,
    ingress,
    ingress_class,
    secret,
    service,
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
from opscheck.demo.kubernetes.policies import autoscaler, disruption_budget, quota
from opscheck.demo.kubernetes.resources import BUILT_IN, CUSTOM, Resource
from opscheck.demo.kubernetes.server import DEFAULT_USER, KubernetesApi
from opscheck.demo.kubernetes.storage import claim, claim_condition, mounting, storage_class, volume_stats
from opscheck.demo.kubernetes.velero import velero_backup, velero_location, velero_schedule
from opscheck.demo.kubernetes.workloads import daemon_set, deployment, stateful_set
from opscheck.demo.kubernetes.world import LogLine, LogSource, World
from opscheck.demo.serving import Request, Response, Tls

__all__ = [
    "BUILT_IN",
    "CUSTOM",
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
    "autoscaler",
    "backend",
    "certificate",
    "certificate_request",
    "challenge",
    "claim",
    "claim_condition",
    "condition",
    "cronjob",
    "daemon_set",
    "deployment",
    "disruption_budget",
    "endpoint",
    "endpoint_slice",
    "event",
    "generic",
    "ingress",
    "ingress_class",
    "issuer",
    "issuing",
    "job",
    "many_pods",
    "metadata",
    "mounting",
    "namespace",
    "node",
    "node_metrics",
    "order",
    "padded",
    "pod",
    "pod_metrics",
    "quota",
    "ready",
    "scripts",
    "secret",
    "service",
    "stateful_set",
    "statuses",
    "storage_class",
    "taint",
    "termination",
    "timestamp",
    "tls_secret",
    "unissued",
    "velero_backup",
    "velero_location",
    "velero_schedule",
    "volume_stats",
]
