"""backup.bucket: the configuration of a bucket of backups."""

from collections.abc import Iterable
from typing import Any, ClassVar, Literal, Self

from pydantic import model_validator
from pydantic_core import PydanticCustomError

from opscheck.core.expectation import Expectation
from opscheck.core.query import Query
from opscheck.core.remedy import Remedy
from opscheck.core.units import Duration, Graded, GradedMinimum, Severity
from opscheck.systems.postgres.setting_rules import Enabled
from opscheck.systems.stores.bucket import (
    BucketQuery,
    ReadEncryption,
    ReadLifecycle,
    ReadObjectLock,
    ReadPolicyStatus,
    ReadPublicAccess,
    ReadReplication,
    ReadVersioning,
)
from opscheck.systems.stores.target import S3Target, former_of_bucket

_S3API = "aws {{ endpoint_option }} s3api"
PUBLIC = Remedy(
    "Remove the statements that allow everybody from the bucket's policy",
    f"{_S3API} get-bucket-policy --bucket {{{{ bucket }}}} --query Policy --output text",
)
UNBLOCKED = Remedy(
    "Block public access to the bucket",
    f"{_S3API} put-public-access-block --bucket {{{{ bucket }}}} --public-access-block-configuration"
    " BlockPublicAcls=true,IgnorePublicAcls=true,BlockPublicPolicy=true,RestrictPublicBuckets=true",
)
UNVERSIONED = Remedy(
    "Enable versioning, so that a backup outlives deletion and overwriting",
    f"{_S3API} put-bucket-versioning --bucket {{{{ bucket }}}} --versioning-configuration Status=Enabled",
)
UNLOCKED = Remedy(
    "Set a default retention with object lock, so that a stolen key cannot delete backups",
    f"{_S3API} put-object-lock-configuration --bucket {{{{ bucket }}}} --object-lock-configuration"
    " 'ObjectLockEnabled=Enabled,Rule={DefaultRetention={Mode=GOVERNANCE,Days=30}}'  # it cannot be removed again",
)
UNENCRYPTED = Remedy(
    "Enable default encryption of the bucket",
    f"{_S3API} put-bucket-encryption --bucket {{{{ bucket }}}} --server-side-encryption-configuration"
    ' \'{"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]}\'',
)
# To read a configuration that the bucket does not have is an error, so these two have no command.
NO_REPLICATION = Remedy("Replicate the backups to another bucket")
NO_RULES = Remedy("Give the bucket a lifecycle rule for this")
UNREPLICATED = Remedy(
    "Let a replication rule cover the backups", f"{_S3API} get-bucket-replication --bucket {{{{ bucket }}}}"
)
RULES = Remedy(
    "Correct the lifecycle rules of the bucket",
    f"{_S3API} get-bucket-lifecycle-configuration --bucket {{{{ bucket }}}} >rules.json"
    "  # fix it, then put-bucket-lifecycle-configuration --lifecycle-configuration file://rules.json",
)

_LIFECYCLE = ("kept_for", "at_hand_for", "noncurrent_kept_for", "noncurrent_gone_after", "uploads_gone_after")


class BackupBucket(Expectation, check="backup.bucket"):
    """
    The bucket protects its backups from deletion and keeps them long enough.

    Each part is judged when the policy names it. A part without a configuration is a violation; one that may not be
    read, or that the store does not support, is unknown.
    """

    needs_severity = True
    any_limit_of = (
        "versioning",
        "object_lock",
        "encryption",
        "public_access_blocked",
        "policy_not_public",
        "replication",
        *_LIFECYCLE,
    )
    remedies = (PUBLIC, UNBLOCKED, UNVERSIONED, UNLOCKED, UNENCRYPTED, NO_REPLICATION, UNREPLICATED, NO_RULES, RULES)
    former_fact_names: ClassVar = {
        **former_of_bucket("public", "bucket", PUBLIC),
        **former_of_bucket("open", "bucket", UNBLOCKED),
        **former_of_bucket("unversioned", "bucket", UNVERSIONED),
        **former_of_bucket("unlocked", "bucket", UNLOCKED),
        **former_of_bucket("unencrypted", "bucket", UNENCRYPTED),
        **former_of_bucket("unreplicated", "bucket", UNREPLICATED),
        **former_of_bucket("ruled", "bucket", RULES),
    }

    target: S3Target
    """The bucket."""
    prefix: str = ""
    """The prefix of the keys of the backups; rules for other keys are not judged."""
    versioning: Enabled = None
    """Versioning is enabled: overwritten and deleted objects are kept as older versions."""
    object_lock: GradedMinimum[Duration] | None = None
    """The minimum default retention of object lock."""
    object_lock_mode: Literal["governance", "compliance"] | None = None
    """The mode of object lock; either by default. In `compliance` not even the account owner can delete objects."""
    encryption: Enabled = None
    """Default encryption is enabled."""
    encrypted_with: Literal["AES256", "aws:kms", "aws:kms:dsse"] | None = None
    """The algorithm of the encryption; any by default."""
    public_access_blocked: Enabled = None
    """
    All four public access blocks are enabled for this bucket. Blocks of the whole account cannot be read from the
    bucket.
    """
    policy_not_public: Enabled = None
    """The bucket policy, if it exists, is not public."""
    replication: Enabled = None
    """Backups are replicated to another bucket."""
    kept_for: GradedMinimum[Duration] | None = None
    """The minimum age at which lifecycle rules may delete a backup."""
    at_hand_for: GradedMinimum[Duration] | None = None
    """The minimum age at which lifecycle rules may move a backup to an archive, where reading takes hours."""
    noncurrent_kept_for: GradedMinimum[Duration] | None = None
    """The minimum time that lifecycle rules must keep noncurrent versions."""
    noncurrent_gone_after: Graded[Duration] | None = None
    """The maximum time after which a lifecycle rule must delete noncurrent versions; they cost money."""
    uploads_gone_after: Graded[Duration] | None = None
    """The maximum time after which a lifecycle rule must delete unfinished uploads."""
    except_rules: tuple[str, ...] = ()
    """The ids of lifecycle rules that are not judged, such as one for other tags."""

    def queries(self) -> Iterable[Query[Any]]:
        """A query for each part that the policy names."""
        parts: dict[type[BucketQuery[Any]], tuple[object, ...]] = {
            ReadVersioning: (self.versioning,),
            ReadObjectLock: (self.object_lock,),
            ReadEncryption: (self.encryption,),
            ReadPublicAccess: (self.public_access_blocked,),
            ReadPolicyStatus: (self.policy_not_public,),
            ReadReplication: (self.replication,),
            ReadLifecycle: tuple(getattr(self, name) for name in _LIFECYCLE),
        }
        return [kind(self.target.name) for kind, wanted in parts.items() if any(one is not None for one in wanted)]

    def _graded_severities(self) -> list[Severity]:
        values = [getattr(self, name) for name in self.any_limit_of]
        return [*super()._graded_severities(), *(one for one in values if isinstance(one, Severity))]

    @model_validator(mode="after")
    def _fields_fit(self) -> Self:
        if self.object_lock_mode is not None and self.object_lock is None:
            raise PydanticCustomError("lock_unlimited", "`object_lock`, such as 30d, with object_lock_mode")
        if self.encrypted_with is not None and self.encryption is None:
            raise PydanticCustomError("encryption_unasked", "`encryption: true` with encrypted_with")
        return self
