"""The configuration of a bucket, and its unfinished uploads."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from opscheck.core.observation import ProbeError, ProblemKind
from opscheck.systems.stores import bucket
from opscheck.systems.stores.listing import ListUploads, Upload, Uploads
from opscheck.systems.stores.probe.base import deadline_in
from opscheck.systems.stores.probe.s3.store import S3Store

_DAYS_OF_A_YEAR = 365
_MOST_UPLOADS = 100

Answer = Mapping[str, Any]


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


def policy_status(answer: Answer) -> bucket.PolicyStatus:
    """The policy status; an empty answer means no policy. Raises ProbeError."""
    if not answer:
        return bucket.PolicyStatus()
    public = answer.get("PolicyStatus", {}).get("IsPublic")
    if public is None:
        raise ProbeError(ProblemKind.UNREADABLE, "the store does not say whether the bucket's policy is public")
    return bucket.PolicyStatus(public=public)


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
        expires_on=_day(gone["Date"]) if "Date" in gone else "",
        noncurrent_days=_days(older.get("NoncurrentDays")),
        noncurrent_kept=older.get("NewerNoncurrentVersions", 0),
        abort_days=_days(found.get("AbortIncompleteMultipartUpload", {}).get("DaysAfterInitiation")),
        archives=tuple((move.get("StorageClass", ""), float(move["Days"])) for move in moves if "Days" in move),
        archives_on=tuple((move.get("StorageClass", ""), _day(move["Date"])) for move in moves if "Date" in move),
    )


def _lifecycle(answer: Answer) -> bucket.Lifecycle:
    return bucket.Lifecycle(rules=tuple(map(_rule, answer.get("Rules", ()))))


def _days(number: int | None) -> float | None:
    return None if number is None else float(number)


def _day(moment: datetime) -> str:
    return moment.astimezone(UTC).date().isoformat()


def replication(answer: Answer) -> bucket.Replication:
    """The enabled rules that apply to all objects with a prefix."""
    rules = answer.get("ReplicationConfiguration", {}).get("Rules", [])
    return bucket.Replication(
        rules=tuple(
            (
                rule.get("Prefix") or rule.get("Filter", {}).get("Prefix", ""),
                rule.get("Destination", {}).get("Bucket", "").rpartition(":")[2],
            )
            for rule in rules
            if rule.get("Status") == "Enabled" and not {"And", "Tag"} & rule.get("Filter", {}).keys()
        )
    )


# By the query: the method of the client, the store's error code for a missing configuration, and the reader of the
# answer, which is empty then.
_PARTS: Mapping[str, tuple[str, str, Callable[[Answer], Any]]] = {
    "bucket.versioning": ("get_bucket_versioning", "", _versioning),
    "bucket.object_lock": ("get_object_lock_configuration", "ObjectLockConfigurationNotFoundError", _object_lock),
    "bucket.encryption": ("get_bucket_encryption", "ServerSideEncryptionConfigurationNotFoundError", _encryption),
    "bucket.public_access": ("get_public_access_block", "NoSuchPublicAccessBlockConfiguration", _public_access),
    "bucket.policy_status": ("get_bucket_policy_status", "NoSuchBucketPolicy", policy_status),
    "bucket.lifecycle": ("get_bucket_lifecycle_configuration", "NoSuchLifecycleConfiguration", _lifecycle),
    "bucket.replication": ("get_bucket_replication", "ReplicationConfigurationNotFoundError", replication),
}


def read_part(store: S3Store, query: bucket.BucketQuery[Any], timeout_s: float) -> Any:
    """The answer to `query`. Raises ProbeError."""
    method, absent, read = _PARTS[query.name]
    return read(store.call(method, query.action, deadline_in(timeout_s), absent))


def read_uploads(store: S3Store, query: ListUploads, timeout_s: float) -> Uploads:
    """The answer to `query`. Raises ProbeError."""
    found: list[Upload] = []
    count = 0
    # NoSuchUpload: some stores return it without unfinished uploads.
    name, markers, deadline = "list_multipart_uploads", ("KeyMarker", "UploadIdMarker"), deadline_in(timeout_s)
    for answer in store.listed(name, query.action, deadline, markers, {}, "NoSuchUpload", prefix=query.prefix):
        uploads = [
            Upload(key=one["Key"], upload=one["UploadId"], started=one["Initiated"].astimezone(UTC))
            for one in answer.get("Uploads", ())
        ]
        count += len(uploads)
        found = sorted([*found, *uploads], key=lambda one: one.started)[:_MOST_UPLOADS]
    return Uploads(oldest=tuple(found), count=count)
