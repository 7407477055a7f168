"""What can be expected of a Kubernetes cluster, a module per field of work."""

from opscheck.systems.kubernetes.expectations import (
    batch,
    certificates,
    containers,
    dns,
    logs,
    network,
    nodes,
    pods,
    policies,
    usage,
    volumes,
    workloads,
)

# To import this package makes all of them known under the names of their checks.
__all__ = [
    "batch",
    "certificates",
    "containers",
    "dns",
    "logs",
    "network",
    "nodes",
    "pods",
    "policies",
    "usage",
    "volumes",
    "workloads",
]
