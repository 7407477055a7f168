"""What can be expected of a Kubernetes cluster, a module per field of work."""

# To import this package makes all of them known under the names of their checks.
from opscheck.systems.kubernetes import (
    autoscaling,
    cronjobs,
    disruption,
    images,
    jobs,
    pods,
    quotas,
    resources,
    rollout,
)
from opscheck.systems.kubernetes.expectations import certificates, dns, logs, network, nodes, usage, volumes

__all__ = [
    "autoscaling",
    "certificates",
    "cronjobs",
    "disruption",
    "dns",
    "images",
    "jobs",
    "logs",
    "network",
    "nodes",
    "pods",
    "quotas",
    "resources",
    "rollout",
    "usage",
    "volumes",
]
