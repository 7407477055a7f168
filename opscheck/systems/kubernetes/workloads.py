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
    """One entry of `managedFields`: who set which fields, and when it changed one of them last."""

    time: Timestamp | None = None
    subresource: str | None = None
    fields_v1: OwnedFields | None = None


@final
class WrittenMetadata(CommonMetadata, frozen=True):
    """What an object says of itself, with when it was written. Managed fields are large: take it where times count."""

    managed_fields: tuple[Writer, ...] | None = None

    @property
    def spec_written(self) -> datetime | None:
        """When a writer of the spec changed something last. Writers of annotations alone do not count."""
        writers = (one for one in self.managed_fields or () if one.subresource != "status")
        return max((one.time for one in writers if one.time and one.fields_v1 and one.fields_v1.spec), default=None)

    @property
    def status_written(self) -> datetime | None:
        """When the status changed last: the server leaves the time alone when the same is written again."""
        writers = (one for one in self.managed_fields or () if one.subresource == "status")
        return max((one.time for one in writers if one.time), default=None)


@final
class PodTemplate(KubernetesObject, frozen=True):
    """What the pods of a workload are made from."""

    spec: PodSpec | None = None


@final
class RollingUpdate(Part, frozen=True):
    """How a rollout goes about. The same name holds other fields for each kind of workload."""

    partition: int | None = None
    """Of a stateful set: so many pods, from the first one on, keep the old revision."""


@final
class UpdateStrategy(Part, frozen=True):
    """How old pods are replaced by new ones."""

    type: str | None = None
    """RollingUpdate for all; Recreate for a deployment; OnDelete, only when somebody deletes one, for the others."""
    rolling_update: RollingUpdate | None = None


@final
class WorkloadSpec(Part, frozen=True):
    """What was asked for. Each kind of workload has some of these fields."""

    replicas: int | None = None
    """How many pods; the server writes 1 where nothing says. A daemon set has no such number."""
    selector: LabelSelector | None = None
    template: PodTemplate | None = None
    strategy: UpdateStrategy | None = None
    """Of a deployment."""
    update_strategy: UpdateStrategy | None = None
    """Of the others."""
    pod_management_policy: str | None = None
    """
    Of a stateful set: OrderedReady, the default, or Parallel.

    With OrderedReady no pod is made or replaced before the ones in front of it are ready.
    """
    min_ready_seconds: int | None = None
    paused: bool | None = None
    """Of a deployment."""


@final
class WorkloadStatus(Part, frozen=True):
    """What became of it. A counter that is 0 is left out. Only the controller of deployments sets conditions."""

    observed_generation: int | None = None
    replicas: int | None = None
    """Pods there are, of every revision."""
    current_replicas: int | None = None
    """Pods of the current revision of a stateful set."""
    updated_replicas: int | None = None
    """Pods of the newest revision."""
    ready_replicas: int | None = None
    available_replicas: int | None = None
    """Pods that have been ready for `min_ready_seconds`, of every revision."""
    current_revision: str | None = None
    update_revision: str | None = None
    """Of a stateful set: the same as the current one when a rollout is over."""
    desired_number_scheduled: int | None = None
    """Of a daemon set: nodes that should run a pod of it; 0 is right where no node matches."""
    updated_number_scheduled: int | None = None
    number_available: int | None = None
    number_misscheduled: int | None = None
    """Of a daemon set: nodes that should not run one, and do."""
    conditions: tuple[Condition, ...] | None = None


class Workload(KubernetesObject, frozen=True):
    """What makes pods from a template and keeps them running."""

    # A sibling of the other objects' metadata: both are final, so that a type checker trusts `metadata and ...`.
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
    """Every deployment there."""


class ListStatefulSets(ListObjects[StatefulSet], name="kubernetes.statefulsets", resource="statefulsets.v1.apps"):
    """Every stateful set there."""


class ListDaemonSets(ListObjects[DaemonSet], name="kubernetes.daemonsets", resource="daemonsets.v1.apps"):
    """Every daemon set there."""


@dataclass(frozen=True)
class Progress:
    """How far a workload is, in the same words for each kind."""

    workload: Workload
    wanted: int
    """How many pods there should be."""
    to_update: int
    """How many of them have to be of the newest revision."""
    updated: int
    available: int
    observed_generation: int
    left_over: int = 0
    """Pods of old revisions that should be gone when all is done."""
    misplaced: int = 0
    paused: bool = False
    on_delete: bool = False
    """True when pods become new ones only when somebody deletes them."""
    in_order: bool = False
    """True when each pod waits for the ones in front of it."""
    min_ready_seconds: int = 0
    conditions: tuple[Condition, ...] = ()

    @property
    def name(self) -> str:
        """As a person types it: `deployment/api`."""
        return f"{type(self.workload).__name__.lower()}/{self.workload.name}"

    @property
    def generation(self) -> int:
        return (self.workload.metadata and self.workload.metadata.generation) or 0

    @property
    def missing(self) -> int:
        return max(0, self.wanted - self.available)

    @property
    def changes(self) -> bool:
        """True while there are pods of an old revision that are to be replaced."""
        return self.updated < self.to_update or self.left_over > 0

    @property
    def serves(self) -> bool:
        """
        True while enough pods are available for the users not to notice.

        That is the deployment's own condition, but never with no pod at all, which a generous maxUnavailable allows.
        """
        if not self.wanted:
            return True
        own = condition(self.conditions, "Available")
        enough = self.available * 2 > self.wanted if own is None else own.status == "True"
        return enough and self.available > 0

    def since(self, kind: str, status: str) -> datetime | None:
        """Since when the condition of that type has that status; None while it has another."""
        found = condition(self.conditions, kind, status)
        return found and found.last_transition_time


def progress_of(workload: Workload) -> Progress | None:
    """How far `workload` is; None for one that is half written, of which nothing can be said."""
    # A server gives every object a generation; one without a status is one that no controller has seen.
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
            # Servers before 1.22 count no available pods.
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
    How many pods of a stateful set have to be of the newest revision.

    With OnDelete none has to, and `currentRevision` never becomes the update revision (kubernetes/kubernetes#73492).
    Pods below the partition keep theirs, so that the revisions differ for as long as there is one. A partition counts
    from the first pod, also where ordinals do not start at 0.
    """
    if _by_deletion(spec) or (status.update_revision and status.update_revision == status.current_revision):
        return 0
    rolling = spec.update_strategy and spec.update_strategy.rolling_update
    return max(0, replicas - ((rolling.partition if rolling else None) or 0))


def _by_deletion(spec: WorkloadSpec) -> bool:
    return spec.update_strategy is not None and spec.update_strategy.type == "OnDelete"
