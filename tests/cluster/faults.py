"""Distinct real faults, each with the one finding that must tell it."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.cluster.healthy import (
    NAMESPACE,
    Object,
    autoscaler,
    budget,
    claim,
    cron_job,
    daemon_set,
    deployment,
    ingress,
    job,
    named,
    pod,
    quota,
    service,
    stateful_set,
)

STURDY = "worker-1"
"""The node that stays well; what has a fault of its own runs there."""
LOST, PRESSED = "worker-3", "worker-2"


@dataclass(frozen=True)
class Patch:
    """What changes on an object that is there: a merge patch, of its status by default."""

    kind: str
    name: str
    change: Object
    status: bool = True


@dataclass(frozen=True)
class Fault:
    """What goes wrong, and which finding tells it."""

    what: str
    expectation: str
    subject: str
    severity: str
    objects: tuple[Object, ...] = ()
    patches: tuple[Patch, ...] = ()
    deleted: tuple[tuple[str, str], ...] = field(default=())
    """Kind and name of what is deleted at last, with a second to go."""


def _there(made: Object) -> Object:
    spec = made["spec"]
    (spec["template"]["spec"] if "template" in spec else spec)["nodeSelector"] = {"kubernetes.io/hostname": STURDY}
    return made


def _with_container(made: Object, **fields: Any) -> Object:
    made["spec"]["template"]["spec"]["containers"][0] |= fields
    return made


def _asking(made: Object, **requests: str) -> Object:
    return _with_container(
        made, resources={"requests": {"cpu": "50m", "memory": "64Mi"} | requests, "limits": requests}
    )


def _ago(days: float) -> str:
    return (datetime.now(UTC) - timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")


def _missed(name: str, **fields: Any) -> tuple[Object, Patch]:
    # Twelve hours from now: none is due meanwhile, and the ones before are too late to be made up for.
    hour = (datetime.now(UTC).hour + 12) % 24
    made = cron_job(name, schedule=f"0 {hour} * * *", startingDeadlineSeconds=60, **fields)
    return made, Patch("CronJob", name, {"lastScheduleTime": _ago(5), "lastSuccessfulTime": _ago(5)})


def _scaling(name: str, **conditions: tuple[str, str]) -> Patch:
    told = [
        {"type": kind, "status": status, "reason": reason, "message": reason, "lastTransitionTime": _ago(1)}
        for kind, (status, reason) in ({"AbleToScale": ("True", "ReadyForNewScale")} | conditions).items()
    ]
    return Patch("HorizontalPodAutoscaler", name, {"currentReplicas": 2, "desiredReplicas": 2, "conditions": told})


def _condition(node: str, kind: str, status: str, reason: str) -> Patch:
    told = {"type": kind, "status": status, "reason": reason, "message": reason}
    return Patch("Node", node, {"conditions": [told | {"lastTransitionTime": _ago(1), "lastHeartbeatTime": _ago(0)}]})


def faults() -> list[Fault]:
    """All of them, in the order in which they are made."""
    late, was_late = _missed("late-backup")
    held, was_held = _missed("held-backup", suspend=True)
    half = _there(deployment("half-done"))
    new_version = {"template": {"metadata": {"labels": {"app": "half-done", "fault": "image"}}}}
    limits = named("v1", "LimitRange", "no-giants", NAMESPACE) | {
        "spec": {"limits": [{"type": "Container", "max": {"cpu": "8"}, "default": {"cpu": "1"}}]}
    }
    waits = _there(pod("waits-for-disk"))
    waits["spec"]["volumes"] = [{"name": "disk", "persistentVolumeClaim": {"claimName": "no-disk"}}]
    held_back = _there(pod("held-back", finalizers=["example.com/hold"]))
    unbounded = _with_container(_there(deployment("unbounded")), resources={})
    floating = _with_container(_there(deployment("floating")), image="registry.example.com:5000/shop/app:latest")
    return [
        Fault(
            "its image cannot be pulled",
            "rollouts",
            "bad-image",
            "P0",
            (_there(deployment("bad-image", fault="image")),),
        ),
        Fault("it crashes", "rollouts", "crashing", "P0", (_there(deployment("crashing", fault="crash")),)),
        Fault(
            "the new version does not start, and the old one serves",
            "rollouts",
            "half-done",
            "P1",
            (half,),
            (Patch("Deployment", "half-done", {"spec": new_version}, status=False),),
        ),
        Fault(
            "its pods are refused",
            "rollouts",
            "refused",
            "P0",
            (limits, _asking(_there(deployment("refused")), cpu="9")),
        ),
        Fault("no node takes it", "rollouts", "too-large", "P0", (_asking(deployment("too-large"), memory="500Gi"),)),
        Fault(
            "its first pod is not ready",
            "rollouts",
            "stuck-store",
            "P0",
            (_there(stateful_set("stuck-store", fault="unready")),),
        ),
        Fault("an agent crashes", "rollouts", "bad-agent", "P0", (_there(daemon_set("bad-agent", fault="crash")),)),
        Fault("a pod failed", "pods", "failed-once", "P1", (_there(pod("failed-once", fault="fails")),)),
        Fault("it reaches its memory limit", "pods", "forgetful", "P1", (_there(pod("forgetful", fault="memory")),)),
        Fault(
            "it does not go",
            "pods",
            "held-back",
            "P1",
            (held_back,),
            deleted=(("Pod", "held-back"),),
        ),
        Fault("a job failed", "jobs", "bad-migration", "P2", (_there(job("bad-migration", fault="fails")),)),
        Fault("a schedule was missed", "cronjobs", "late-backup", "P1", (late,), (was_late,)),
        Fault("a schedule was suspended for too long", "cronjobs", "held-backup", "P1", (held,), (was_held,)),
        Fault(
            "a claim has no volume", "volumes", "no-disk", "P1", (claim("no-disk", storageClassName="at-once"), waits)
        ),
        Fault("nobody is behind it", "services", "nobody", "P0", (service("nobody", app="nobodyy"),)),
        Fault(
            "it has no address",
            "services",
            "no-address",
            "P0",
            (service("no-address", app="web-03", type="LoadBalancer"),),
        ),
        Fault("it leads nowhere", "ingresses", "lost", "P0", (ingress("lost", service="gone"),), (addressed("lost"),)),
        Fault(
            "it wants more than it may have",
            "autoscaling",
            "busy",
            "P2",
            (_there(deployment("busy")), autoscaler("busy", least=1, most=2)),
            (_scaling("busy", ScalingActive=("True", "ValidMetricFound"), ScalingLimited=("True", "TooManyReplicas")),),
        ),
        Fault(
            "it cannot read its metric",
            "autoscaling",
            "blind",
            "P2",
            (_there(deployment("blind")), autoscaler("blind")),
            (_scaling("blind", ScalingActive=("False", "FailedGetResourceMetric")),),
        ),
        Fault(
            "too few healthy pods",
            "budgets",
            "guarded",
            "P2",
            (_there(deployment("guarded")), budget("guarded", maxUnavailable=None, minAvailable=3)),
        ),
        Fault(
            "a quota is full", "quotas", "full", "P2", (quota("full", {"count/secrets": "0", "count/services": "36"}),)
        ),
        Fault("nobody knows which version runs", "images", "deployment/floating", "P3", (floating,)),
        Fault("nobody knows what it needs", "resources", "deployment/unbounded", "P3", (unbounded,)),
        Fault(
            "a disk is full",
            "nodes",
            PRESSED,
            "P1",
            patches=(_condition(PRESSED, "DiskPressure", "True", "KubeletHasDiskPressure"),),
        ),
        Fault(
            "a node is gone",
            "nodes",
            LOST,
            "P1",
            patches=(Patch("Node", LOST, {"metadata": {"labels": {"kubelet": None}}}, status=False),),
        ),
    ]


def addressed(name: str) -> Patch:
    """An ingress that its controller has given an address."""
    return Patch("Ingress", name, {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}})


def at_its_minimum(name: str) -> tuple[Patch, ...]:
    """An autoscaler that has as few replicas as it may, and wants no more."""
    active, limited = ("True", "ValidMetricFound"), ("True", "TooFewReplicas")
    return (_scaling(name, ScalingActive=active, ScalingLimited=limited),)
