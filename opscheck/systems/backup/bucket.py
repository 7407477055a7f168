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
    "Set a default retention with object lock, so that nobody deletes backups with a stolen key",
    f"{_S3API} put-object-lock-configuration --bucket {{{{ bucket }}}} --object-lock-configuration"
    " 'ObjectLockEnabled=Enabled,Rule={DefaultRetention={Mode=GOVERNANCE,Days=30}}'  # it cannot be taken off again",
)
UNENCRYPTED = Remedy(
    "Enable default encryption of the bucket",
    f"{_S3API} put-bucket-encryption --bucket {{{{ bucket }}}} --server-side-encryption-configuration"
    ' \'{"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]}\'',
)
UNREPLICATED = Remedy(
    "Replicate the backups to another bucket", f"{_S3API} get-bucket-replication --bucket {{{{ bucket }}}}"
)
RULES = Remedy(
    "Correct the lifecycle rules of the bucket",
    f"{_S3API} get-bucket-lifecycle-configuration --bucket {{{{ bucket }}}} >rules.json"
    "  # mend it, then put-bucket-lifecycle-configuration --lifecycle-configuration file://rules.json",
)

_LIFECYCLE = ("kept_for", "at_hand_for", "noncurrent_kept_for", "noncurrent_gone_after", "uploads_gone_after")


class BackupBucket(Expectation, check="backup.bucket"):
    """
    The bucket protects its backups from deletion and keeps them long enough.

    Each part is judged where the policy names it. What the bucket does not say is a violation; what may not be looked
    at, or what the store does not know, is unknown.
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
    remedies = (PUBLIC, UNBLOCKED, UNVERSIONED, UNLOCKED, UNENCRYPTED, UNREPLICATED, RULES)
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
    """What the keys of the backups begin with; rules about other keys are not judged."""
    versioning: Enabled = None
    """What is overwritten or deleted stays as an older version."""
    object_lock: GradedMinimum[Duration] | None = None
    """For how long by default nobody may delete what was written."""
    object_lock_mode: Literal["governance", "compliance"] | None = None
    """How strictly: `compliance` lets nobody delete it, not even the owner of the account; either by default."""
    encryption: Enabled = None
    """Objects are encrypted whose upload says nothing."""
    encrypted_with: Literal["AES256", "aws:kms", "aws:kms:dsse"] | None = None
    """With what; by default anything."""
    public_access_blocked: Enabled = None
    """
    All four ways to make objects public are blocked for this bucket. A block of the whole account counts too, and
    cannot be seen from here.
    """
    policy_not_public: Enabled = None
    """The bucket's policy, if there is one, does not let everybody in."""
    replication: Enabled = None
    """Backups are copied to another bucket."""
    kept_for: GradedMinimum[Duration] | None = None
    """How long no lifecycle rule may delete a backup."""
    at_hand_for: GradedMinimum[Duration] | None = None
    """How long no lifecycle rule may move a backup to an archive, from which it takes hours to read."""
    noncurrent_kept_for: GradedMinimum[Duration] | None = None
    """How long no lifecycle rule may delete what was overwritten or deleted."""
    noncurrent_gone_after: Graded[Duration] | None = None
    """After how long a lifecycle rule must delete what was overwritten or deleted; otherwise it costs for ever."""
    uploads_gone_after: Graded[Duration] | None = None
    """After how long a lifecycle rule must delete uploads that were never finished."""
    except_rules: tuple[str, ...] = ()
    """The ids of lifecycle rules that are right although they break a limit, such as one about other tags."""

    def queries(self) -> Iterable[Query[Any]]:
        """A query for each part that it names."""
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
            raise PydanticCustomError("lock_unlimited", "`object_lock`, such as 30d, beside object_lock_mode")
        if self.encrypted_with is not None and self.encryption is None:
            raise PydanticCustomError("encryption_unasked", "`encryption: true` beside encrypted_with")
        return self
