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


class Workload(KubernetesObject, frozen=True):
    """What makes pods from a template and keeps them running."""

    # A sibling of the other objects' metadata: both are final, so that a type checker trusts `metadata and ...`.
    metadata: WrittenMetadata | None = None  # type: ignore[assignment]


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
class DeploymentSpec(Part, frozen=True):
    """What was asked for."""

    replicas: int | None = None
    """How many pods; the server writes 1 where nobody said."""
    selector: LabelSelector | None = None
    template: PodTemplate | None = None
    strategy: UpdateStrategy | None = None
    min_ready_seconds: int | None = None
    paused: bool | None = None


@final
class DeploymentStatus(Part, frozen=True):
    """What became of it. A counter that is 0 is left out."""

    observed_generation: int | None = None
    replicas: int | None = None
    """Pods there are, of every revision."""
    updated_replicas: int | None = None
    ready_replicas: int | None = None
    available_replicas: int | None = None
    """Pods that have been ready for `min_ready_seconds`, of every revision."""
    conditions: tuple[Condition, ...] | None = None


@final
class Deployment(Workload, frozen=True):
    """A deployment."""

    spec: DeploymentSpec | None = None
    status: DeploymentStatus | None = None


@final
class StatefulSetSpec(Part, frozen=True):
    """What was asked for."""

    replicas: int | None = None
    """How many pods; the server writes 1 where nobody said."""
    selector: LabelSelector | None = None
    template: PodTemplate | None = None
    update_strategy: UpdateStrategy | None = None
    pod_management_policy: str | None = None
    """OrderedReady, the default: no pod is made or replaced before the ones in front of it are ready. Or Parallel."""
    min_ready_seconds: int | None = None


@final
class StatefulSetStatus(Part, frozen=True):
    """What became of it. No controller sets conditions on it."""

    observed_generation: int | None = None
    replicas: int | None = None
    current_replicas: int | None = None
    """Pods of the current revision."""
    updated_replicas: int | None = None
    """Pods of the update revision."""
    ready_replicas: int | None = None
    available_replicas: int | None = None
    current_revision: str | None = None
    update_revision: str | None = None
    """The same as the current one when a rollout is over."""
    conditions: tuple[Condition, ...] | None = None


@final
class StatefulSet(Workload, frozen=True):
    """A stateful set."""

    spec: StatefulSetSpec | None = None
    status: StatefulSetStatus | None = None


@final
class DaemonSetSpec(Part, frozen=True):
    """What was asked for."""

    selector: LabelSelector | None = None
    template: PodTemplate | None = None
    update_strategy: UpdateStrategy | None = None
    min_ready_seconds: int | None = None


@final
class DaemonSetStatus(Part, frozen=True):
    """What became of it, counted in nodes. No controller sets conditions on it."""

    observed_generation: int | None = None
    desired_number_scheduled: int | None = None
    """Nodes that should run a pod of it; 0 is right where no node matches."""
    updated_number_scheduled: int | None = None
    number_available: int | None = None
    number_misscheduled: int | None = None
    """Nodes that should not run one, and do."""
    conditions: tuple[Condition, ...] | None = None


@final
class DaemonSet(Workload, frozen=True):
    """A daemon set."""

    spec: DaemonSetSpec | None = None
    status: DaemonSetStatus | None = None


@dataclass(frozen=True)
class ListDeployments(ListObjects[Deployment], name="kubernetes.deployments", resource="deployments.v1.apps"):
    """Every deployment there."""


@dataclass(frozen=True)
class ListStatefulSets(ListObjects[StatefulSet], name="kubernetes.statefulsets", resource="statefulsets.v1.apps"):
    """Every stateful set there."""


@dataclass(frozen=True)
class ListDaemonSets(ListObjects[DaemonSet], name="kubernetes.daemonsets", resource="daemonsets.v1.apps"):
    """Every daemon set there."""
