"""What remediation commands name of a backup's trouble."""

from opscheck.systems.backup.expectations.buckets import named
from opscheck.systems.backup.expectations.objects import BackupObjects
from opscheck.systems.backup.readings.stores import address_of
from opscheck.systems.kubernetes.batch import rerun_facts as job_facts
from opscheck.systems.stores.listing import Upload
from opscheck.systems.stores.target import FolderTarget


def place_facts(expectation: BackupObjects, prefix: str) -> dict[str, str]:
    """Where those under `prefix` are."""
    target = expectation.target
    if isinstance(target, FolderTarget):
        return {"folder": address_of(target, prefix.rpartition("/")[0]).rstrip("/")}
    return named(target, {"listed": address_of(target, prefix)})


def small_facts(expectation: BackupObjects, key: str) -> dict[str, str]:
    """Of one that is too small."""
    beside = key[: key[:-1].rfind("/") + 1]
    return place_facts(expectation, beside) | named(expectation.target, {"small": address_of(expectation.target, key)})


def archive_facts(expectation: BackupObjects, key: str) -> dict[str, str]:
    """Of one that is archived."""
    return named(expectation.target, {"frozen": key})


def deletion_facts(expectation: BackupObjects, key: str) -> dict[str, str]:
    """Of one that was deleted."""
    return named(expectation.target, {"deleted": key})


def upload_facts(expectation: BackupObjects, upload: Upload) -> dict[str, str]:
    """Of an upload that was not finished."""
    return named(expectation.target, {"upload": upload.key}) | {"upload_id": upload.upload}


def rerun_facts(expectation: BackupObjects) -> dict[str, str]:
    """Of the cron job that makes them, where the policy names it."""
    if expectation.cronjob is None:
        return {}
    namespace, _, name = expectation.cronjob.partition("/")
    return {"job_namespace": namespace} | job_facts(name)
