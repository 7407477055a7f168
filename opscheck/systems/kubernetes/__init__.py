"""Kubernetes clusters."""

from opscheck.bundle import bundled
from opscheck.core.system import Client, Kind, System

SYSTEM = System(
    name="kubernetes",
    kinds={
        "kubernetes": Kind(
            target="opscheck.systems.kubernetes.target:KubernetesTarget",
            probe="opscheck.systems.kubernetes.probe",
            permissions="opscheck.systems.kubernetes.permissions",
            client=Client("opscheck[kubernetes]", "kubernetes", "urllib3"),
        ),
    },
    expectations={
        "kubernetes.autoscaling": "opscheck.systems.kubernetes.autoscaling:Autoscaling",
        "kubernetes.certificates": "opscheck.systems.kubernetes.certificates:CertificatesRenewed",
        "kubernetes.cronjobs": "opscheck.systems.kubernetes.cronjobs:CronJobsOnTime",
        "kubernetes.disruption": "opscheck.systems.kubernetes.disruption:DisruptionBudgets",
        "kubernetes.dns": "opscheck.systems.kubernetes.dns:NamesResolve",
        "kubernetes.images": "opscheck.systems.kubernetes.images:ImagesPinned",
        "kubernetes.ingresses": "opscheck.systems.kubernetes.ingresses:IngressesServed",
        "kubernetes.jobs": "opscheck.systems.kubernetes.jobs:JobsComplete",
        "kubernetes.logs": "opscheck.systems.kubernetes.logs:LogLines",
        "kubernetes.nodes": "opscheck.systems.kubernetes.nodes:NodesHealthy",
        "kubernetes.pods": "opscheck.systems.kubernetes.pods:PodsHealthy",
        "kubernetes.quotas": "opscheck.systems.kubernetes.quotas:Quotas",
        "kubernetes.resources": "opscheck.systems.kubernetes.resources:ResourcesSet",
        "kubernetes.rollout": "opscheck.systems.kubernetes.rollout:RolloutComplete",
        "kubernetes.services": "opscheck.systems.kubernetes.services:ServicesServed",
        "kubernetes.usage": "opscheck.systems.kubernetes.usage:UsageWithinLimits",
        "kubernetes.volumes": "opscheck.systems.kubernetes.volumes:VolumesHealthy",
    },
    checks=bundled("checks") / "kubernetes",
    discover="opscheck.systems.kubernetes.discovery:discover",
)
