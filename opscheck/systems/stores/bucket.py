"""The configuration of a bucket: a query for each part, since each needs its own permission."""

from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

import msgspec

from opscheck.core.query import Permission, Query
from opscheck.systems.stores.target import S3Action

A = TypeVar("A")

ARCHIVES = {"GLACIER", "DEEP_ARCHIVE", "Archive", "ColdArchive", "DeepColdArchive"}
"""Storage classes of AWS and Alibaba whose objects must be restored before they can be read."""


class Versioning(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The versioning of the bucket."""

    status: str = ""
    """Enabled or Suspended; empty when it was never enabled."""
    mfa_delete: bool = False


class ObjectLock(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The default retention of new objects."""

    enabled: bool = False
    mode: str = ""
    """GOVERNANCE or COMPLIANCE; empty without a default retention, when each upload has to set one."""
    days: float = 0.0
    """The default retention."""


class Encryption(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The default encryption of new objects."""

    algorithm: str = ""
    """AES256, aws:kms or aws:kms:dsse; empty without encryption."""


class PublicAccess(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The public access that the bucket's own settings block."""

    block_public_acls: bool = False
    ignore_public_acls: bool = False
    block_public_policy: bool = False
    restrict_public_buckets: bool = False


class PolicyStatus(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The result of S3's analysis of the bucket policy."""

    public: bool = False


class LifecycleRule(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One rule that deletes or moves objects by their age."""

    id: str = ""
    enabled: bool = True
    prefix: str = ""
    """The rule applies to keys with this prefix."""
    tagged: bool = False
    """True when it applies only to objects with certain tags."""
    larger_than: int | None = None
    smaller_than: int | None = None
    expires_days: float | None = None
    expires_on: str = ""
    """The date from which it deletes all its objects."""
    noncurrent_days: float | None = None
    """The time from replacement to the deletion of an older version."""
    noncurrent_kept: int = 0
    """The number of older versions that are kept at any age."""
    abort_days: float | None = None
    """The time from the start of an unfinished upload to its deletion."""
    archives: tuple[tuple[str, float], ...] = ()
    """The storage classes that objects are moved to, each with the age of the objects."""
    archives_on: tuple[tuple[str, str], ...] = ()
    """The storage classes that objects are moved to, each with the date of the move."""


class Lifecycle(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """All rules; empty without a lifecycle configuration."""

    rules: tuple[LifecycleRule, ...] = ()


class Replication(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The replication to other buckets."""

    rules: tuple[tuple[str, str], ...] = ()
    """The prefix and the destination bucket of each enabled rule without tags."""


@dataclass(frozen=True)
class BucketQuery(Query[A], Generic[A]):
    """A part of a bucket's configuration; reports show the class's docstring. It has no other fields."""

    action: ClassVar[str] = ""
    """The IAM action that must be allowed."""

    def __init_subclass__(cls, *, action: str, **options: Any) -> None:
        super().__init_subclass__(**options)
        cls.action = action

    def permissions(self) -> tuple[Permission, ...]:
        return (S3Action(self.action),)

    def text(self) -> str:
        part = (type(self).__doc__ or "").rstrip(".")
        return part[:1].lower() + part[1:]


class ReadVersioning(BucketQuery[Versioning], name="bucket.versioning", action="s3:GetBucketVersioning"):
    """The versioning."""


class ReadObjectLock(BucketQuery[ObjectLock], name="bucket.object_lock", action="s3:GetBucketObjectLockConfiguration"):
    """The object lock configuration."""


class ReadEncryption(BucketQuery[Encryption], name="bucket.encryption", action="s3:GetEncryptionConfiguration"):
    """The default encryption."""


class ReadPublicAccess(BucketQuery[PublicAccess], name="bucket.public_access", action="s3:GetBucketPublicAccessBlock"):
    """The public access block."""


class ReadPolicyStatus(BucketQuery[PolicyStatus], name="bucket.policy_status", action="s3:GetBucketPolicyStatus"):
    """The status of the bucket policy."""


class ReadLifecycle(BucketQuery[Lifecycle], name="bucket.lifecycle", action="s3:GetLifecycleConfiguration"):
    """The lifecycle rules."""


class ReadReplication(BucketQuery[Replication], name="bucket.replication", action="s3:GetReplicationConfiguration"):
    """The replication rules."""
