"""TODO."""

from dataclasses import dataclass
from datetime import datetime
from typing import final

import msgspec

from opscheck.core.query import Timestamp
from opscheck.systems.kubernetes.lists import ListObjects
from opscheck.systems.kubernetes.objects import (
    CommonMetadata,
    Condition,
    KubernetesObject,
    LabelSelector,
    Metadata,
    Part,
)
from opscheck.systems.kubernetes.pods import PodSpec


@final
class Anything(Part, frozen=True):
    """An object of which only is read that it is there."""


@final
class OwnedFields(Part, frozen=True):
    """Which fields a writer set."""

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
class PodTemplate(Part, frozen=True):
    """What the pods of a workload are made from."""

    metadata: Metadata | None = None
    spec: PodSpec | None = None

    @property
    def labels(self) -> dict[str, str]:
        """The labels that its pods get."""
        return (self.metadata.labels if self.metadata else None) or {}


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


@dataclass(frozen=True)
class ListDeployments(ListObjects[Deployment], name="kubernetes.deployments", resource="deployments.v1.apps"):
    """Every deployment there."""


@dataclass(frozen=True)
class ListStatefulSets(ListObjects[StatefulSet], name="kubernetes.statefulsets", resource="statefulsets.v1.apps"):
    """Every stateful set there."""


@dataclass(frozen=True)
class ListDaemonSets(ListObjects[DaemonSet], name="kubernetes.daemonsets", resource="daemonsets.v1.apps"):
    """Every daemon set there."""
