"""Deployments, stateful sets and daemon sets, as the API server returns them."""

from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import final

import msgspec

from opscheck.core.query import Timestamp
from opscheck.systems.kubernetes.lists import ListObjects
from opscheck.systems.kubernetes.objects import (
    Anything,
    CommonMetadata,
    Condition,
    KubernetesObject,
    LabelSelector,
    Part,
    condition,
)
from opscheck.systems.kubernetes.pods import PodSpec


@final
class OwnedFields(Part, frozen=True):
    spec: Anything | None = msgspec.field(default=None, name="f:spec")


@final
class Writer(Part, frozen=True):
    """One entry of `managedFields`: a writer, its fields, and the time of its last change."""

    time: Timestamp | None = None
    subresource: str | None = None
    fields_v1: OwnedFields | None = None


@final
class WrittenMetadata(CommonMetadata, frozen=True):
    """Metadata with the times of writing. Managed fields are large: use it only where times matter."""

    managed_fields: tuple[Writer, ...] | None = None

    @property
    def spec_written(self) -> datetime | None:
        """The last change by a writer of the spec. Writers of annotations only do not count."""
        writers = (one for one in self.managed_fields or () if one.subresource != "status")
        return max((one.time for one in writers if one.time and one.fields_v1 and one.fields_v1.spec), default=None)

    @property
    def status_written(self) -> datetime | None:
        """The last change of the status: the server keeps the time when the same value is written again."""
        writers = (one for one in self.managed_fields or () if one.subresource == "status")
        return max((one.time for one in writers if one.time), default=None)


@final
class PodTemplate(KubernetesObject, frozen=True):
    """The pod template of a workload."""

    spec: PodSpec | None = None


@final
class RollingUpdate(Part, frozen=True):
    """Parameters of a rolling update. Each kind of workload has its own fields here."""

    partition: int | None = None
    """Of a stateful set: the number of pods, from the first one on, that keep the old revision."""


@final
class UpdateStrategy(Part, frozen=True):
    """The way in which old pods are replaced by new ones."""

    type: str | None = None
    """RollingUpdate for all; Recreate for a deployment; OnDelete, only after a deletion, for the others."""
    rolling_update: RollingUpdate | None = None


@final
class WorkloadSpec(Part, frozen=True):
    """The wanted state. Each kind of workload has some of these fields."""

    replicas: int | None = None
    """Number of pods; the server sets 1 by default. A daemon set has no such number."""
    selector: LabelSelector | None = None
    template: PodTemplate | None = None
    strategy: UpdateStrategy | None = None
    """Of a deployment."""
    update_strategy: UpdateStrategy | None = None
    """Of the others."""
    pod_management_policy: str | None = None
    """
    Of a stateful set: OrderedReady, the default, or Parallel.

    With OrderedReady no pod is created or replaced before all lower ordinals are ready.
    """
    min_ready_seconds: int | None = None
    paused: bool | None = None
    """Of a deployment."""


@final
class WorkloadStatus(Part, frozen=True):
    """The reported state. A counter of 0 is left out. Only the controller of deployments sets conditions."""

    observed_generation: int | None = None
    replicas: int | None = None
    """Pods of all revisions."""
    current_replicas: int | None = None
    """Pods of the current revision of a stateful set."""
    updated_replicas: int | None = None
    """Pods of the newest revision."""
    ready_replicas: int | None = None
    available_replicas: int | None = None
    """Pods of all revisions that have been ready for `min_ready_seconds`."""
    current_revision: str | None = None
    update_revision: str | None = None
    """Of a stateful set: the same as the current one after a rollout."""
    desired_number_scheduled: int | None = None
    """Of a daemon set: selected nodes; 0 where no node matches."""
    updated_number_scheduled: int | None = None
    number_available: int | None = None
    number_misscheduled: int | None = None
    """Of a daemon set: unselected nodes that run a pod."""
    conditions: tuple[Condition, ...] | None = None


class Workload(KubernetesObject, frozen=True):
    """A controller of pods from a template."""

    # A sibling of the other objects' metadata: both are final, so that a type checker understands `metadata and ...`.
    metadata: WrittenMetadata | None = None  # type: ignore[assignment]
    spec: WorkloadSpec | None = None
    status: WorkloadStatus | None = None


@final
class Deployment(Workload, frozen=True):
    """A deployment."""


@final
class StatefulSet(Workload, frozen=True):
    """A stateful set."""


@final
class DaemonSet(Workload, frozen=True):
    """A daemon set."""


class ListDeployments(ListObjects[Deployment], name="kubernetes.deployments", resource="deployments.v1.apps"):
    """Lists deployments."""


class ListStatefulSets(ListObjects[StatefulSet], name="kubernetes.statefulsets", resource="statefulsets.v1.apps"):
    """Lists stateful sets."""


class ListDaemonSets(ListObjects[DaemonSet], name="kubernetes.daemonsets", resource="daemonsets.v1.apps"):
    """Lists daemon sets."""


@dataclass(frozen=True)
class Progress:
    """The progress of a workload's rollout, in the same terms for each kind."""

    workload: Workload
    wanted: int
    """Wanted number of pods."""
    to_update: int
    """Number of pods that must have the newest revision."""
    updated: int
    available: int
    observed_generation: int
    left_over: int = 0
    """Pods of old revisions that must be removed."""
    misplaced: int = 0
    paused: bool = False
    on_delete: bool = False
    """True when pods are replaced only after a deletion."""
    in_order: bool = False
    """True when each pod waits for all lower ordinals."""
    min_ready_seconds: int = 0
    conditions: tuple[Condition, ...] = ()

    @property
    def name(self) -> str:
        """Its name in commands: `deployment/api`."""
        return f"{type(self.workload).__name__.lower()}/{self.workload.name}"

    @property
    def generation(self) -> int:
        return (self.workload.metadata and self.workload.metadata.generation) or 0

    @property
    def missing(self) -> int:
        return max(0, self.wanted - self.available)

    @property
    def changes(self) -> bool:
        """True while pods of an old revision must be replaced."""
        return self.updated < self.to_update or self.left_over > 0

    @property
    def serves(self) -> bool:
        """
        True while enough pods are available to serve.

        The deployment's own condition decides, but never without any pod, which a generous maxUnavailable allows.
        """
        if not self.wanted:
            return True
        own = condition(self.conditions, "Available")
        enough = self.available * 2 > self.wanted if own is None else own.status == "True"
        return enough and self.available > 0

    def since(self, kind: str, status: str) -> datetime | None:
        """The time since which the condition has that status; None while it has another."""
        found = condition(self.conditions, kind, status)
        return found and found.last_transition_time


def progress_of(workload: Workload) -> Progress | None:
    """The progress of `workload`; None for an incomplete object, which cannot be judged."""
    # A server gives every object a generation; without a status no controller has processed it.
    is_made = workload.status is not None or bool(workload.metadata and workload.metadata.generation)
    spec, status = workload.spec, workload.status or WorkloadStatus()
    if spec is None or not is_made:
        return None
    progress = partial(
        Progress,
        workload,
        observed_generation=status.observed_generation or 0,
        min_ready_seconds=spec.min_ready_seconds or 0,
    )
    replicas, updated = 1 if spec.replicas is None else spec.replicas, status.updated_replicas or 0
    match workload:
        case Deployment():
            return progress(
                wanted=replicas,
                to_update=replicas,
                updated=updated,
                available=status.available_replicas or 0,
                left_over=max(0, (status.replicas or 0) - updated),
                paused=bool(spec.paused),
                conditions=status.conditions or (),
            )
        case StatefulSet():
            # Servers before 1.22 do not count available pods.
            available = status.ready_replicas if status.available_replicas is None else status.available_replicas
            return progress(
                wanted=replicas,
                to_update=_to_update(replicas, spec, status),
                updated=updated,
                available=available or 0,
                on_delete=_by_deletion(spec),
                in_order=spec.pod_management_policy != "Parallel",
            )
    desired = status.desired_number_scheduled or 0
    return progress(
        wanted=desired,
        to_update=0 if _by_deletion(spec) else desired,
        updated=status.updated_number_scheduled or 0,
        available=status.number_available or 0,
        misplaced=status.number_misscheduled or 0,
        on_delete=_by_deletion(spec),
    )


def _to_update(replicas: int, spec: WorkloadSpec, status: WorkloadStatus) -> int:
    """
    Number of pods of a stateful set that must have the newest revision.

    With OnDelete it is 0, and `currentRevision` never becomes the update revision (kubernetes/kubernetes#73492). Pods
    below the partition keep theirs, so the revisions differ while a partition is set. A partition counts from the
    first pod, even if ordinals do not start at 0.
    """
    if _by_deletion(spec) or (status.update_revision and status.update_revision == status.current_revision):
        return 0
    rolling = spec.update_strategy and spec.update_strategy.rolling_update
    return max(0, replicas - ((rolling.partition if rolling else None) or 0))


def _by_deletion(spec: WorkloadSpec) -> bool:
    return spec.update_strategy is not None and spec.update_strategy.type == "OnDelete"
