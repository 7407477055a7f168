"""Pods, as far as checks read them."""

from dataclasses import dataclass
from typing import final

import msgspec

from opscheck.core.query import Timestamp
from opscheck.systems.kubernetes.lists import ListObjects
from opscheck.systems.kubernetes.queries.objects import Condition, KubernetesObject, Part, Quantities


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
