"""Pods: what is read of them, and what can be expected of them."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar, final

import msgspec
from pydantic import BaseModel, ConfigDict

from opscheck.core.expectation import Remediation
from opscheck.core.query import Query, Timestamp
from opscheck.core.units import Count, Duration, PositiveCount
from opscheck.systems.kubernetes.lists import ListObjects
from opscheck.systems.kubernetes.objects import Condition, KubernetesObject, Part, Quantities
from opscheck.systems.kubernetes.remedies import POD_FACTS, kubectl
from opscheck.systems.kubernetes.scope import OfKind, Window


@final
class Resources(Part, frozen=True):
    """What a container or a pod may use."""

    requests: Quantities | None = None
    limits: Quantities | None = None


@final
class Container(Part, frozen=True):
    """One container of a pod's spec."""

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
class EphemeralVolume(Part, frozen=True):
    """A volume whose claim is made for the pod, named `<pod>-<volume>`."""


@final
class Volume(Part, frozen=True):
    """One volume of a pod. Of the many kinds only claims are read."""

    name: str | None = None
    persistent_volume_claim: ClaimReference | None = None
    ephemeral: EphemeralVolume | None = None


@final
class PodSpec(Part, frozen=True):
    """What was asked for."""

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
    """How a container ended."""

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
    """What became of it."""

    phase: str | None = None
    reason: str | None = None
    message: str | None = None
    start_time: Timestamp | None = None
    conditions: tuple[Condition, ...] | None = None
    container_statuses: tuple[ContainerStatus, ...] | None = None
    init_container_statuses: tuple[ContainerStatus, ...] | None = None


@final
class Pod(KubernetesObject, frozen=True):
    """A pod."""

    spec: PodSpec | None = None
    status: PodStatus | None = None

    @property
    def node(self) -> str:
        """The node it is on; empty before one took it."""
        return (self.spec and self.spec.node_name) or ""


@dataclass(frozen=True)
class ListPods(ListObjects[Pod], name="kubernetes.pods", resource="pods"):
    """Every pod there."""


class RestartLimit(BaseModel):
    """How often the containers of one pod may restart."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    at_most: Count
    """The largest number of restarts that is all right."""
    within: Window
    """How far back restarts count."""


class PodsHealthy(OfKind, check="kubernetes.pods"):
    """Every selected pod runs and is ready, or is complete by design, and there are enough of them."""

    explains_others: ClassVar[bool] = True
    # A command that names a fact is left out of findings without it, so each kind of trouble has facts of its own.
    fact_names = POD_FACTS | {
        "crashed": "the pod, when a container of it crashed",
        "failed_rollout": "the owner, when its pods crash or cannot start",
        "out_of_memory": "the owner, when a container was killed for memory",
        "doubled_memory": "twice that limit",
        "unready": "the pod, when it runs and is not ready",
        "unready_rollout": "its owner",
        "unscheduled": "the pod, when no node takes it",
        "lost_node": "the node, when it does not report any more",
        "stuck": "the pod, when it should be gone by now",
        "tombstone": "the pod, when it failed or was evicted",
        "missing": "the selector, when it matches too few pods",
    }
    default_remediation = Remediation(
        summary="See what the pod reports, then roll back, give it what it lacks, or restart it",
        commands=kubectl(
            "describe pod {{ pod }}",
            "logs {{ crashed }} -c {{ container }} --previous --tail=100",
            "logs {{ unready }} --all-containers --tail=100",
            "rollout history {{ failed_rollout }}",
            "rollout undo {{ failed_rollout }}  # if it began with the last rollout",
            "set resources {{ out_of_memory }} -c {{ container }} --limits=memory={{ doubled_memory }}",
            "rollout restart {{ unready_rollout }}",
            "describe nodes | grep -A 8 'Allocated resources'  # is there room for {{ unscheduled }}?",
            "describe node {{ lost_node }}",
            "get pod {{ stuck }} -o jsonpath='{.metadata.finalizers}'",
            "delete pod {{ tombstone }}  # it holds no work any more",
            "get deployments,statefulsets,daemonsets,pods --show-labels  # what should match {{ missing }}?",
        ),
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

    def looks_at(self) -> Iterable[Query[Any]]:
        """The pods there."""
        return self.ask(ListPods)
