"""Pods: the fields that are read, and the expectation."""

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
    """Requests and limits of a container or a pod."""

    requests: Quantities | None = None
    limits: Quantities | None = None


@final
class Container(Part, frozen=True):
    name: str | None = None
    image: str | None = None
    restart_policy: str | None = None
    """`Always` on an init container makes it a native sidecar, which runs next to the others."""
    resources: Resources | None = None


@final
class ClaimReference(Part, frozen=True):
    """The claim of a pod's volume."""

    claim_name: str | None = None
    read_only: bool | None = None


@final
class Volume(Part, frozen=True):
    """One volume of a pod. Only claims are read."""

    name: str | None = None
    persistent_volume_claim: ClaimReference | None = None
    ephemeral: Anything | None = None
    """Set when its claim is created for the pod, with the name `<pod>-<volume>`."""


@final
class PodSpec(Part, frozen=True):
    node_name: str | None = None
    restart_policy: str | None = None
    containers: tuple[Container, ...] | None = None
    init_containers: tuple[Container, ...] | None = None
    volumes: tuple[Volume, ...] | None = None
    overhead: Quantities | None = None
    """Resources of the runtime class; the scheduler adds them to the requests."""
    resources: Resources | None = None
    """Requests and limits for the pod as a whole (Kubernetes 1.32 and later)."""


@final
class Waiting(Part, frozen=True):
    """The reason why a container does not run yet, or not again."""

    reason: str | None = None
    message: str | None = None


@final
class Running(Part, frozen=True):
    """The start of a running container."""

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
    """The status of one container, from the kubelet."""

    name: str | None = None
    image: str | None = None
    """The node's name for the image; it may be another tag of the same one, or a bare digest."""
    image_id: str | None = msgspec.field(name="imageID", default=None)
    """The running image by digest, such as `registry.example.com/app@sha256:...`."""
    ready: bool | None = None
    started: bool | None = None
    restart_count: int | None = None
    """Counted since the pod was created; Kubernetes has no counter for a window."""
    state: ContainerState | None = None
    last_state: ContainerState | None = None
    """Only the last termination; earlier ones are dropped."""
    resources: Resources | None = None
    """The values in force. After a resize in place they differ from the spec."""


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
        """Its node; empty before it is scheduled."""
        return (self.spec and self.spec.node_name) or ""

    @property
    def started(self) -> datetime | None:
        """The time when its node accepted it, else of its creation."""
        return (self.status and self.status.start_time) or self.created

    @property
    def phase(self) -> str:
        """Pending, Running, Succeeded, Failed or Unknown."""
        return (self.status and self.status.phase) or "Pending"

    @property
    def has_ended(self) -> bool:
        """True when its containers have ended and will not restart."""
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
        """True when any of its containers has restarted; most pods have not, and are then judged quickly."""
        return any(report.restart_count for report in self.reports)

    @property
    def reports(self) -> tuple[ContainerStatus, ...]:
        """The statuses of its containers from the kubelet, init containers too."""
        status = self.status or PodStatus()
        return (*(status.container_statuses or ()), *(status.init_container_statuses or ()))


class ListPods(ListObjects[Pod], name="kubernetes.pods", resource="pods"):
    """Lists pods."""


POD_FACTS = {
    "pod": "the pod's name",
    "container": "the container at fault",
    "owner": "the owner of the pod, such as deployment/api",
    "node": "the pod's node",
}

MISSING_PODS = missing_remedy("deployments,statefulsets,daemonsets,pods")

POD_REPORT = kubectl("Read the pod's status and events, and fix the cause", "describe pod {{ pod }}")
POD_CRASHED = kubectl(
    "Find out why the container ended, and fix the cause",
    "describe pod {{ pod }}",
    "logs {{ pod }} -c {{ container }} --previous --tail=100",
)
POD_UNREADY = kubectl(
    "Find out why the pod is not ready", "describe pod {{ pod }}", "logs {{ pod }} --all-containers --tail=100"
)
POD_UNSCHEDULED = kubectl(
    "Free resources on a node, or allow the pod on other nodes",
    "describe pod {{ pod }}",
    "describe nodes | grep -A 8 'Allocated resources'  # look for room for {{ pod }}",
)
NODE_LOST = kubectl("Find out why the node does not report", "describe pod {{ pod }}", "describe node {{ node }}")
POD_STUCK = kubectl(
    "Find out what delays the deletion of the pod",
    "describe pod {{ pod }}",
    "get pod {{ pod }} -o jsonpath='{.metadata.finalizers}'",
)
POD_REMEDIES = (POD_REPORT, POD_CRASHED, POD_UNREADY, POD_UNSCHEDULED, POD_STUCK, NODE_LOST)
"""The remedies for faults of a pod, independent of its owner."""
ROLL_BACK = kubectl(
    "Roll back, if the rollout is the cause",
    "rollout history {{ owner }}",
    "rollout undo {{ owner }}  # if the last rollout is the cause",
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
    "Raise the memory limit, or find out what uses the memory",
    "set resources {{ owner }} -c {{ container }} --limits=memory={{ doubled_memory }}",
)
POD_FAILED = kubectl(
    "Find out why the pod failed, then delete it",
    "describe pod {{ pod }}",
    "delete pod {{ pod }}  # it has ended",
)


class RestartLimit(BaseModel):
    """Limit of the restarts of one pod's containers."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    at_most: Count
    """Maximum number of restarts."""
    within: Window
    """The time in which restarts count."""


class PodsHealthy(OfKind, check="kubernetes.pods"):
    """
    Enough selected pods are running and ready, or have completed as designed.

    The state of each container gives the reason: waiting, exit code, probe, restarts within a window. A pod younger
    than `grace` may still be starting.
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
    """Minimum number of selected pods. Failed, completed and terminating pods, and pods of jobs, do not count."""
    count_completed: bool = False
    """Count completed pods and pods of jobs too, for a selection of pods that end."""
    restarts: RestartLimit | None = None
    """Maximum number of restarts of one pod's containers."""
    no_oom_kill_within: Window | None = None
    """
    Time in which no container may have been OOM-killed, even if it runs again; by default this is not judged.

    Kubernetes keeps only the last termination of a container, so earlier kills are not visible.
    """
    grace: Duration = Duration.parse("15m")
    """Maximum time in which a pod may start, be not ready, or terminate."""

    def queries(self) -> Iterable[Query[Any]]:
        return self.lists(ListPods)
