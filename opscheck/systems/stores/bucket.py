"""The configuration of a bucket: a query for each part, since each takes a permission of its own."""

from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

import msgspec

from opscheck.core.query import Permission, Query
from opscheck.systems.stores.target import S3Action

A = TypeVar("A")

ARCHIVES = {"GLACIER", "DEEP_ARCHIVE", "Archive", "ColdArchive", "DeepColdArchive"}
"""Storage classes of AWS and Alibaba whose objects must be restored before they can be read."""


class Versioning(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Whether what is overwritten or deleted stays as an older version."""

    status: str = ""
    """Enabled or Suspended; empty where it never was enabled."""
    mfa_delete: bool = False


class ObjectLock(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The default retention of new objects."""

    enabled: bool = False
    mode: str = ""
    """GOVERNANCE or COMPLIANCE; empty without a default retention, where each upload has to say it."""
    days: float = 0.0
    """The default retention."""


class Encryption(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How objects are encrypted whose upload says nothing."""

    algorithm: str = ""
    """AES256, aws:kms or aws:kms:dsse; empty where they are not."""


class PublicAccess(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Which ways to make objects public are blocked, as the bucket's own settings say."""

    block_public_acls: bool = False
    ignore_public_acls: bool = False
    block_public_policy: bool = False
    restrict_public_buckets: bool = False


class PolicyStatus(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Whether the bucket's policy lets everybody in."""

    public: bool = False


class LifecycleRule(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One rule that deletes or moves objects as they grow old."""

    id: str = ""
    enabled: bool = True
    prefix: str = ""
    """It is about keys that begin with this."""
    tagged: bool = False
    """True where it is about objects with certain tags only."""
    larger_than: int | None = None
    smaller_than: int | None = None
    expires_days: float | None = None
    expires_on: str = ""
    """The day on which all that it is about is deleted."""
    noncurrent_days: float | None = None
    """How long after they were replaced older versions are deleted."""
    noncurrent_kept: int = 0
    """How many older versions stay whatever their age."""
    abort_days: float | None = None
    """How long after they were begun unfinished uploads are deleted."""
    archives: tuple[tuple[str, float], ...] = ()
    """The storage classes that objects are moved to, each with the age at which they are."""
    archives_on: tuple[tuple[str, str], ...] = ()
    """The same, each with the day from which on all that the rule is about is there."""


class Lifecycle(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """All rules; none where there is no such configuration."""

    rules: tuple[LifecycleRule, ...] = ()


class Replication(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where objects are copied to."""

    rules: tuple[tuple[str, str], ...] = ()
    """The prefix and the destination bucket of each enabled rule without tags."""


@dataclass(frozen=True)
class BucketQuery(Query[A], Generic[A]):
    """A part of a bucket's configuration; the class's docstring says in reports which one. It has no other fields."""

    action: ClassVar[str] = ""
    """The action that IAM must allow."""

    def __init_subclass__(cls, *, action: str, **options: Any) -> None:
        super().__init_subclass__(**options)
        cls.action = action

    def permissions(self) -> tuple[Permission, ...]:
        return (S3Action(self.action),)

    def text(self) -> str:
        part = (type(self).__doc__ or "").rstrip(".")
        return part[:1].lower() + part[1:]


class ReadVersioning(BucketQuery[Versioning], name="bucket.versioning", action="s3:GetBucketVersioning"):
    """Whether versions are kept."""


class ReadObjectLock(BucketQuery[ObjectLock], name="bucket.object_lock", action="s3:GetBucketObjectLockConfiguration"):
    """For how long objects are locked."""


class ReadEncryption(BucketQuery[Encryption], name="bucket.encryption", action="s3:GetEncryptionConfiguration"):
    """How objects are encrypted."""


class ReadPublicAccess(BucketQuery[PublicAccess], name="bucket.public_access", action="s3:GetBucketPublicAccessBlock"):
    """Which public access is blocked."""


class ReadPolicyStatus(BucketQuery[PolicyStatus], name="bucket.policy_status", action="s3:GetBucketPolicyStatus"):
    """Whether the bucket's policy is public."""


class ReadLifecycle(BucketQuery[Lifecycle], name="bucket.lifecycle", action="s3:GetLifecycleConfiguration"):
    """The lifecycle rules."""


class ReadReplication(BucketQuery[Replication], name="bucket.replication", action="s3:GetReplicationConfiguration"):
    """Where objects are copied to."""
