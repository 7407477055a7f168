"""Velero's backups, schedules and storage locations, with the fields that checks read."""

from typing import final

from opscheck.core.query import Timestamp
from opscheck.systems.kubernetes.lists import ListObjects
from opscheck.systems.kubernetes.objects import KubernetesObject, Part

SCHEDULE_LABEL = "velero.io/schedule-name"


@final
class BackupStatus(Part, frozen=True):
    """The actual state."""

    phase: str | None = None
    start_timestamp: Timestamp | None = None
    """Its start time. The object of a backup that Velero found in a bucket is created later."""
    completion_timestamp: Timestamp | None = None
    """Its end time, also of a failed backup."""
    expiration: Timestamp | None = None
    """The time when Velero deletes it, with its content."""
    errors: int | None = None
    warnings: int | None = None
    failure_reason: str | None = None
    validation_errors: tuple[str, ...] | None = None


@final
class Backup(KubernetesObject, frozen=True):
    """A backup by Velero."""

    status: BackupStatus | None = None

    @property
    def schedule(self) -> str:
        """The name of its schedule; empty without one."""
        return self.labels.get(SCHEDULE_LABEL, "")


@final
class ScheduleTemplate(Part, frozen=True):
    """The template of its backups."""

    storage_location: str | None = None
    included_namespaces: tuple[str, ...] | None = None
    """The namespaces that it saves; all without a name, or with `*`."""
    excluded_namespaces: tuple[str, ...] | None = None


@final
class ScheduleSpec(Part, frozen=True):
    """The wanted state."""

    schedule: str | None = None
    """When it is due, in the grammar of cron jobs."""
    paused: bool | None = None
    template: ScheduleTemplate | None = None


@final
class ScheduleStatus(Part, frozen=True):
    """The actual state. `lastBackup` is not read: it may be a failed backup."""

    phase: str | None = None
    validation_errors: tuple[str, ...] | None = None


@final
class Schedule(KubernetesObject, frozen=True):
    """A schedule of Velero's backups."""

    spec: ScheduleSpec | None = None
    status: ScheduleStatus | None = None

    def saves(self, namespace: str) -> bool:
        """True where its backups contain that namespace."""
        template = (self.spec and self.spec.template) or ScheduleTemplate()
        included = template.included_namespaces or ("*",)
        return bool({namespace, "*"}.intersection(included)) and namespace not in (template.excluded_namespaces or ())


@final
class StorageLocationSpec(Part, frozen=True):
    """The wanted state."""

    default: bool | None = None


@final
class StorageLocationStatus(Part, frozen=True):
    """The actual state, by Velero's last validation."""

    phase: str | None = None
    last_validation_time: Timestamp | None = None
    message: str | None = None


@final
class BackupStorageLocation(KubernetesObject, frozen=True):
    """A bucket for Velero's backups."""

    spec: StorageLocationSpec | None = None
    status: StorageLocationStatus | None = None


class ListVeleroBackups(ListObjects[Backup], name="velero.backups", resource="backups.v1.velero.io"):
    """All backups of Velero."""

    called = "Velero's backups"


class ListVeleroSchedules(ListObjects[Schedule], name="velero.schedules", resource="schedules.v1.velero.io"):
    """All schedules of Velero."""

    called = "Velero's schedules"


class ListStorageLocations(
    ListObjects[BackupStorageLocation], name="velero.storage_locations", resource="backupstoragelocations.v1.velero.io"
):
    """All storage locations of Velero."""

    called = "Velero's storage locations"
