"""How a bucket is configured."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from opscheck.probes.s3.store import OWN_SHARE, S3Store
from opscheck.probes.stores.base import Reader
from opscheck.queries.stores import bucket

_DAYS_OF_A_YEAR = 365

Answer = Mapping[str, Any]


@dataclass(frozen=True)
class _Part:
    """How one part of the configuration is read."""

    query: type[bucket.BucketQuery[Any]]
    call: str
    absent: str
    """The code that says that there is none; empty where the store answers that too."""
    read: Callable[[Answer], Any]
    """What the answer says; of an empty one, what it is that there is none."""

    def __call__(self, store: S3Store, query: bucket.BucketQuery[Any], timeout_s: float) -> Any:
        deadline = time.monotonic() + timeout_s * OWN_SHARE
        return self.read(store.asked(self.call, query.action, deadline, self.absent) or {})


def _versioning(answer: Answer) -> bucket.Versioning:
    return bucket.Versioning(status=answer.get("Status", ""), mfa_delete=answer.get("MFADelete") == "Enabled")


def _object_lock(answer: Answer) -> bucket.ObjectLock:
    found = answer.get("ObjectLockConfiguration", {})
    kept = found.get("Rule", {}).get("DefaultRetention", {})
    return bucket.ObjectLock(
        enabled=found.get("ObjectLockEnabled") == "Enabled",
        mode=kept.get("Mode", ""),
        days=float(kept.get("Days", 0) or kept.get("Years", 0) * _DAYS_OF_A_YEAR),
    )


def _encryption(answer: Answer) -> bucket.Encryption:
    rules = answer.get("ServerSideEncryptionConfiguration", {}).get("Rules", [])
    found = [rule.get("ApplyServerSideEncryptionByDefault", {}).get("SSEAlgorithm", "") for rule in rules]
    return bucket.Encryption(algorithm=next((one for one in found if one), ""))


def _public_access(answer: Answer) -> bucket.PublicAccess:
    found = answer.get("PublicAccessBlockConfiguration", {})
    return bucket.PublicAccess(
        block_public_acls=found.get("BlockPublicAcls", False),
        ignore_public_acls=found.get("IgnorePublicAcls", False),
        block_public_policy=found.get("BlockPublicPolicy", False),
        restrict_public_buckets=found.get("RestrictPublicBuckets", False),
    )


def _policy_status(answer: Answer) -> bucket.PolicyStatus:
    return bucket.PolicyStatus(public=answer.get("PolicyStatus", {}).get("IsPublic", False))


def _lifecycle(answer: Answer) -> bucket.Lifecycle:
    return bucket.Lifecycle(rules=tuple(_rule(one) for one in answer.get("Rules", ())))


def _rule(found: Answer) -> bucket.LifecycleRule:
    where = found.get("Filter", {})
    where = {**where, **where.get("And", {})}
    gone, older = found.get("Expiration", {}), found.get("NoncurrentVersionExpiration", {})
    moves = [*found.get("Transitions", ()), *found.get("NoncurrentVersionTransitions", ())]
    return bucket.LifecycleRule(
        id=found.get("ID", ""),
        enabled=found.get("Status") == "Enabled",
        prefix=found.get("Prefix") or where.get("Prefix", ""),
        tagged="Tag" in where or bool(where.get("Tags")),
        larger_than=where.get("ObjectSizeGreaterThan"),
        smaller_than=where.get("ObjectSizeLessThan"),
        expires_days=_days(gone.get("Days")),
        expires_on=gone["Date"].date().isoformat() if "Date" in gone else "",
        noncurrent_days=_days(older.get("NoncurrentDays")),
        noncurrent_kept=older.get("NewerNoncurrentVersions", 0),
        abort_days=_days(found.get("AbortIncompleteMultipartUpload", {}).get("DaysAfterInitiation")),
        archives=tuple((move.get("StorageClass", ""), float(move.get("Days", 0))) for move in moves if "Days" in move),
    )


def _days(number: int | None) -> float | None:
    return None if number is None else float(number)


def _replication(answer: Answer) -> bucket.Replication:
    rules = answer.get("ReplicationConfiguration", {}).get("Rules", [])
    return bucket.Replication(
        rules=tuple(
            (
                rule.get("Prefix") or rule.get("Filter", {}).get("Prefix", ""),
                rule.get("Destination", {}).get("Bucket", "").rpartition(":")[2],
            )
            for rule in rules
            if rule.get("Status") == "Enabled"
        )
    )


_PARTS = (
    _Part(bucket.ReadVersioning, "get_bucket_versioning", "", _versioning),
    _Part(
        bucket.ReadObjectLock,
        "get_object_lock_configuration",
        "ObjectLockConfigurationNotFoundError",
        _object_lock,
    ),
    _Part(
        bucket.ReadEncryption,
        "get_bucket_encryption",
        "ServerSideEncryptionConfigurationNotFoundError",
        _encryption,
    ),
    _Part(bucket.ReadPublicAccess, "get_public_access_block", "NoSuchPublicAccessBlockConfiguration", _public_access),
    _Part(bucket.ReadPolicyStatus, "get_bucket_policy_status", "NoSuchBucketPolicy", _policy_status),
    _Part(bucket.ReadLifecycle, "get_bucket_lifecycle_configuration", "NoSuchLifecycleConfiguration", _lifecycle),
    _Part(bucket.ReadReplication, "get_bucket_replication", "ReplicationConfigurationNotFoundError", _replication),
)

READERS: Mapping[str, Reader] = {part.query.name: part for part in _PARTS}
"""By the name of the query."""
