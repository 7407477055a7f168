"""Pods: what is read of them, and what can be expected of them."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, ClassVar, final

import msgspec
from pydantic import BaseModel, ConfigDict

from opscheck.core.query import Query, Timestamp
from opscheck.core.remedy import Former
from opscheck.core.units import Count, Duration, PositiveCount
from opscheck.systems.kubernetes.lists import ListObjects
from opscheck.systems.kubernetes.objects import Anything, Condition, KubernetesObject, Part, Quantities, condition
from opscheck.systems.kubernetes.scope import OfKind, Window, kubectl, missing_remedy


@final
class Resources(Part, frozen=True):
    """What a container or a pod may use."""

    requests: Quantities | None = None
    limits: Quantities | None = None


@final
class Container(Part, frozen=True):
    name: str | None = None
    image: str | None = None
    restart_policy: str | None = None
    """`Always` on an init container makes it a native sidecar, which runs beside the others."""
    resources: Resources | None = None


@final
class ClaimReference(Part, frozen=True):
    """Which claim a volume of a pod is."""

    claim_name: str | None = None
    read_only: bool | None = None


@final
class Volume(Part, frozen=True):
    """One volume of a pod. Of the many kinds only claims are read."""

    name: str | None = None
    persistent_volume_claim: ClaimReference | None = None
    ephemeral: Anything | None = None
    """Says that its claim is made for the pod, and named `<pod>-<volume>`."""


@final
class PodSpec(Part, frozen=True):
    node_name: str | None = None
    restart_policy: str | None = None
    containers: tuple[Container, ...] | None = None
    init_containers: tuple[Container, ...] | None = None
    volumes: tuple[Volume, ...] | None = None
    overhead: Quantities | None = None
    """What the runtime class needs beside the containers; the scheduler counts it as requested."""
    resources: Resources | None = None
    """Requests and limits for the pod as a whole (Kubernetes 1.32 and later)."""


@final
class Waiting(Part, frozen=True):
    """Why a container does not run yet, or not again."""

    reason: str | None = None
    message: str | None = None


@final
class Running(Part, frozen=True):
    """Since when a container runs."""

    started_at: Timestamp | None = None


@final
class Terminated(Part, frozen=True):
    exit_code: int | None = None
    signal: int | None = None
    reason: str | None = None
    message: str | None = None
    started_at: Timestamp | None = None
    finished_at: Timestamp | None = None


@final
class ContainerState(Part, frozen=True):
    """Waiting, running or terminated; at most one is set."""

    waiting: Waiting | None = None
    running: Running | None = None
    terminated: Terminated | None = None


@final
class ContainerStatus(Part, frozen=True):
    """What the kubelet reports of one container."""

    name: str | None = None
    image: str | None = None
    """What the node calls the image; it may be another tag of the same one, or a bare digest."""
    image_id: str | None = msgspec.field(name="imageID", default=None)
    """What it runs, by digest, such as `registry.example.com/app@sha256:...`."""
    ready: bool | None = None
    started: bool | None = None
    restart_count: int | None = None
    """Since the pod was made; there is no counter for a window."""
    state: ContainerState | None = None
    last_state: ContainerState | None = None
    """Only the very last termination; the ones before are forgotten."""
    resources: Resources | None = None
    """What is in force. After a resize in place it differs from the spec."""


@final
class PodStatus(Part, frozen=True):
    phase: str | None = None
    reason: str | None = None
    message: str | None = None
    start_time: Timestamp | None = None
    conditions: tuple[Condition, ...] | None = None
    container_statuses: tuple[ContainerStatus, ...] | None = None
    init_container_statuses: tuple[ContainerStatus, ...] | None = None


@final
class Pod(KubernetesObject, frozen=True):
    spec: PodSpec | None = None
    status: PodStatus | None = None

    @property
    def node(self) -> str:
        """The node it is on; empty before one took it."""
        return (self.spec and self.spec.node_name) or ""

    @property
    def started(self) -> datetime | None:
        """When a node took it; when it was made, where that is not known."""
        return (self.status and self.status.start_time) or self.created

    @property
    def phase(self) -> str:
        """Pending, Running, Succeeded, Failed or Unknown."""
        return (self.status and self.status.phase) or "Pending"

    @property
    def has_ended(self) -> bool:
        """True when its containers have ended for good, well or badly."""
        return self.phase in {"Succeeded", "Failed"}

    def condition(self, kind: str, status: str | None = None) -> Condition | None:
        return condition(self.status and self.status.conditions, kind, status)

    @property
    def is_ready(self) -> bool:
        """True when it takes part in serving."""
        return self.condition("Ready", "True") is not None and not self.is_terminating

    @property
    def not_ready_since(self) -> datetime | None:
        """Since when it is not ready: since it started where it has never been."""
        ready = self.condition("Ready")
        return (ready and ready.status != "True" and ready.last_transition_time) or self.started

    @property
    def facts(self) -> dict[str, str]:
        """The values that commands about it name: its name, and the others as far as it has them."""
        known = {"namespace": self.namespace, "owner": self.top_owner, "node": self.node}
        return {"pod": self.name} | {name: value for name, value in known.items() if value}

    @property
    def has_restarted(self) -> bool:
        """True when any of its containers has; of thousands of pods few have, and the others are soon judged."""
        return any(report.restart_count for report in self.reports)

    @property
    def reports(self) -> tuple[ContainerStatus, ...]:
        """What the kubelet reports of its containers, init containers too."""
        status = self.status or PodStatus()
        return (*(status.container_statuses or ()), *(status.init_container_statuses or ()))


class ListPods(ListObjects[Pod], name="kubernetes.pods", resource="pods"):
    """Every pod there."""


POD_FACTS = {
    "pod": "the pod's name",
    "container": "the container that is to blame",
    "owner": "what controls the pod, such as deployment/api",
    "node": "the node the pod is on",
}

MISSING_PODS = missing_remedy("deployments,statefulsets,daemonsets,pods")

POD_REPORT = kubectl("See what the pod reports, and fix that", "describe pod {{ pod }}")
POD_CRASHED = kubectl(
    "See how the container ended, and fix the cause",
    "describe pod {{ pod }}",
    "logs {{ pod }} -c {{ container }} --previous --tail=100",
)
POD_UNREADY = kubectl(
    "See what keeps the pod from being ready", "describe pod {{ pod }}", "logs {{ pod }} --all-containers --tail=100"
)
POD_UNSCHEDULED = kubectl(
    "Make room on a node, or let the pod run on other nodes",
    "describe pod {{ pod }}",
    "describe nodes | grep -A 8 'Allocated resources'  # is there room for {{ pod }}?",
)
NODE_LOST = kubectl("See why the node does not report", "describe pod {{ pod }}", "describe node {{ node }}")
POD_STUCK = kubectl(
    "See what keeps the pod from being deleted",
    "describe pod {{ pod }}",
    "get pod {{ pod }} -o jsonpath='{.metadata.finalizers}'",
)
POD_REMEDIES = (POD_REPORT, POD_CRASHED, POD_UNREADY, POD_UNSCHEDULED, POD_STUCK, NODE_LOST)
"""Those of the faults of a pod, whatever controls it."""
ROLL_BACK = kubectl(
    "Roll back, if the rollout is the cause",
    "rollout history {{ owner }}",
    "rollout undo {{ owner }}  # if it began with the last rollout",
)
RESTART = kubectl("Restart the workload", "rollout restart {{ owner }}")
FORMER_POD_FACTS = {
    "crashed": Former("pod", POD_CRASHED),
    "unready": Former("pod", POD_UNREADY),
    "unscheduled": Former("pod", POD_UNSCHEDULED),
    "stuck": Former("pod", POD_STUCK),
    "lost_node": Former("node", NODE_LOST),
    "failed_rollout": Former("owner", ROLL_BACK),
    "unready_rollout": Former("owner", RESTART),
}
MORE_MEMORY = kubectl(
    "Raise the memory limit, or find out what takes the memory",
    "set resources {{ owner }} -c {{ container }} --limits=memory={{ doubled_memory }}",
)
POD_FAILED = kubectl(
    "See why the pod failed, then delete it",
    "describe pod {{ pod }}",
    "delete pod {{ pod }}  # it holds no work any more",
)


class RestartLimit(BaseModel):
    """How often the containers of one pod may restart."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    at_most: Count
    """The largest number of restarts that is all right."""
    within: Window
    """How far back restarts count."""


class PodsHealthy(OfKind, check="kubernetes.pods"):
    """
    Enough selected pods are running and ready, or have completed as designed.

    The state of each container gives the reason: waiting, exit code, probe, restarts within a window. A pod that is
    younger than `grace` may still be starting.
    """

    explains_others: ClassVar[bool] = True
    remedies: ClassVar = (*POD_REMEDIES, MORE_MEMORY, ROLL_BACK, RESTART, POD_FAILED, MISSING_PODS)
    fact_names = OfKind.fact_names | POD_FACTS | {"doubled_memory": "twice the memory limit of the container"}
    former_fact_names = (
        OfKind.former_fact_names
        | FORMER_POD_FACTS
        | {"out_of_memory": Former("owner", MORE_MEMORY), "tombstone": Former("pod", POD_FAILED)}
    )

    min_matches: PositiveCount = 1
    """How many pods must be there at least. Pods that end, failed or completed, and pods of jobs do not count."""
    count_completed: bool = False
    """Let completed pods and the pods of jobs count as matches too, for a selection that is meant to end."""
    restarts: RestartLimit | None = None
    """How often the containers of one pod may restart."""
    no_oom_kill_within: Window | None = None
    """
    How far back no container may have been killed for memory, also where it runs again; not looked at by default.

    Kubernetes keeps the last end of a container only, so that a kill before that one is gone.
    """
    grace: Duration = Duration.parse("15m")
    """How long a pod may take to start, to become ready again, or to go, before that is a violation."""

    def queries(self) -> Iterable[Query[Any]]:
        return self.lists(ListPods)
