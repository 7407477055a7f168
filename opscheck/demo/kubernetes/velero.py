"""Velero's objects as it leaves them."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from opscheck.demo.kubernetes.objects import Object, metadata, timestamp

_VERSION = "velero.io/v1"
_SPACE = "velero"
_KEPT = timedelta(days=30)
_TOOK = timedelta(minutes=8)
_ENDED = frozenset({"Completed", "PartiallyFailed", "Failed"})
_NEVER_BEGUN = frozenset({"New", "Queued", "ReadyToStart", "FailedValidation"})


def velero_backup(  # noqa: PLR0913 -- a backup has many faces; all but its schedule and its beginning have a default
    schedule: str,
    began: datetime,
    namespace: str = _SPACE,
    *,
    name: str = "",
    phase: str = "Completed",
    created: datetime | None = None,
    took: timedelta = _TOOK,
    kept: timedelta = _KEPT,
    location: str = "default",
    **status: Any,
) -> Object:
    """
    A backup of a schedule. It ended after `took`, with the result in its phase, and is `kept` for a month.

    created: the creation time, by default just before the start. status: more fields of its status, such as errors
    and failureReason; None removes a field.
    """
    told: Object = {"version": 1, "formatVersion": "1.1.0", "phase": phase, "expiration": timestamp(began + kept)}
    told |= {"startTimestamp": timestamp(began)} if phase not in _NEVER_BEGUN else {}
    told |= {"completionTimestamp": timestamp(began + took)} if phase in _ENDED else {}
    labels = {"velero.io/storage-location": location} | ({"velero.io/schedule-name": schedule} if schedule else {})
    called = name or f"{schedule or 'by-hand'}-{began.astimezone(UTC):%Y%m%d%H%M%S}"
    made = created or began - timedelta(seconds=1)
    return {
        "apiVersion": _VERSION,
        "kind": "Backup",
        "metadata": metadata(called, namespace, created=made, labels=labels) | {"generation": 6},
        "spec": {
            "includedNamespaces": ["*"],
            "storageLocation": location,
            "ttl": f"{int(kept.total_seconds() // 3600)}h0m0s",
            "metadata": {},
        },
        "status": {key: value for key, value in (told | status).items() if value is not None},
    }


def velero_schedule(  # noqa: PLR0913 -- a schedule has many faces; all but the name have a default
    name: str,
    namespace: str = _SPACE,
    *,
    schedule: str = "0 3 * * *",
    paused: bool = False,
    phase: str = "Enabled",
    created: datetime | None = None,
    labels: Mapping[str, str] | None = None,
    location: str | None = None,
    last: datetime | None = None,
    **status: Any,
) -> Object:
    """A schedule. `last` is when it began its last backup, good or not. location: another one than the default."""
    told = {"phase": phase} | ({"lastBackup": timestamp(last)} if last else {}) | status
    return {
        "apiVersion": _VERSION,
        "kind": "Schedule",
        "metadata": metadata(name, namespace, created=created, labels=labels) | {"generation": 3},
        "spec": {
            "schedule": schedule,
            "paused": paused,
            "template": {"includedNamespaces": ["*"]} | ({"storageLocation": location} if location else {}),
        },
        "status": told,
    }


def velero_location(  # noqa: PLR0913 -- a bucket has many faces; all have a default
    name: str = "default",
    namespace: str = _SPACE,
    *,
    default: bool = True,
    phase: str = "Available",
    validated: datetime | None = None,
    message: str = "",
) -> Object:
    """A bucket that Velero stores backups in."""
    looked = timestamp(validated or datetime.now(UTC) - timedelta(seconds=30))
    told = {"phase": phase, "lastValidationTime": looked, "lastSyncedTime": looked}
    return {
        "apiVersion": _VERSION,
        "kind": "BackupStorageLocation",
        "metadata": metadata(name, namespace) | {"generation": 9},
        "spec": {
            "provider": "aws",
            "default": default,
            "accessMode": "ReadWrite",
            "objectStorage": {"bucket": "shop-backups"},
            "config": {"region": "eu-central-1"},
        },
        "status": told | ({"message": message} if message else {}),
    }
