"""What can be expected of how a bucket of backups is configured."""

from collections.abc import Iterable
from typing import Any, ClassVar, Literal, Self

from pydantic import model_validator
from pydantic_core import PydanticCustomError

from opscheck.core.expectation import Expectation, Remediation
from opscheck.core.query import Query
from opscheck.core.units import Duration, Graded, GradedMinimum, Severity
from opscheck.systems.backup.expectations.buckets import aws, of_bucket, of_other_places
from opscheck.systems.postgres.setting_rules import Asked
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
from opscheck.systems.stores.target import S3Target

_BLOCK = "BlockPublicAcls=true,IgnorePublicAcls=true,BlockPublicPolicy=true,RestrictPublicBuckets=true"
_ENCRYPT = '\'{"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]}\''
_LOCK = "'ObjectLockEnabled=Enabled,Rule={DefaultRetention={Mode=GOVERNANCE,Days=30}}'"
_LIFECYCLE = ("kept_for", "at_hand_for", "noncurrent_kept_for", "noncurrent_gone_after", "uploads_gone_after")


class BackupBucket(Expectation, check="backup.bucket"):
    """
    The bucket keeps what is written to it: from mistakes, from whoever has stolen a key, and for long enough.

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
    # One name for each kind of trouble: a command that names it is left out of findings about another one.
    fact_names: ClassVar = {
        **of_bucket("unversioned", "the bucket, when it keeps no versions"),
        **of_bucket("unlocked", "the bucket, when what is in it can be deleted too early"),
        **of_bucket("unencrypted", "the bucket, when it does not encrypt as it should"),
        **of_bucket("open", "the bucket, when it does not block public access"),
        **of_bucket("public", "the bucket, when its policy lets everybody in"),
        **of_bucket("unreplicated", "the bucket, when it is copied nowhere"),
        **of_bucket("ruled", "the bucket, when its lifecycle rules are not right"),
    }
    default_remediation = Remediation(
        summary="Configure the bucket so that a backup outlives mistakes and stolen keys",
        commands=(
            *aws("s3api get-bucket-policy --bucket {place} --query Policy --output text", on="public"),
            *aws(
                f"s3api put-public-access-block --bucket {{place}} --public-access-block-configuration {_BLOCK}",
                on="open",
            ),
            *aws(
                "s3api put-bucket-versioning --bucket {place} --versioning-configuration Status=Enabled",
                on="unversioned",
            ),
            *aws(
                f"s3api put-object-lock-configuration --bucket {{place}} --object-lock-configuration {_LOCK}"
                "  # it cannot be taken off again",
                on="unlocked",
            ),
            *aws(
                f"s3api put-bucket-encryption --bucket {{place}} --server-side-encryption-configuration {_ENCRYPT}",
                on="unencrypted",
            ),
            *aws("s3api get-bucket-replication --bucket {place}", on="unreplicated"),
            *aws(
                "s3api get-bucket-lifecycle-configuration --bucket {place} >rules.json"
                "  # mend it, then put-bucket-lifecycle-configuration --lifecycle-configuration file://rules.json",
                on="ruled",
            ),
        ),
    )

    target: S3Target
    """The bucket."""
    prefix: str = ""
    """What the keys of the backups begin with; rules about other keys are not judged."""
    versioning: Asked = None
    """What is overwritten or deleted stays as an older version."""
    object_lock: GradedMinimum[Duration] | None = None
    """For how long by default nobody may delete what was written."""
    object_lock_mode: Literal["governance", "compliance"] | None = None
    """How strictly: `compliance` lets nobody delete it, not even the owner of the account; either by default."""
    encryption: Asked = None
    """Objects are encrypted whose upload says nothing."""
    encrypted_with: Literal["AES256", "aws:kms", "aws:kms:dsse"] | None = None
    """With what; by default anything."""
    public_access_blocked: Asked = None
    """
    All four ways to make objects public are blocked for this bucket. A block of the whole account counts too, and
    cannot be seen from here.
    """
    policy_not_public: Asked = None
    """The bucket's policy, if there is one, does not let everybody in."""
    replication: Asked = None
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
        """A question for each part that it names."""
        return [kind(self.target.name) for kind in self._kinds]

    def severity_of(self, asked: Literal[True] | Severity | None) -> Severity:
        """How bad a violation in a part is."""
        return asked if isinstance(asked, Severity) else self.ungraded_severity

    def facts_ruled_out(self) -> frozenset[str]:
        """What is for another way to name the store's endpoint."""
        return frozenset(of_other_places(self.target, self.fact_names))

    @property
    def _kinds(self) -> Iterable[type[BucketQuery[Any]]]:
        parts: dict[type[BucketQuery[Any]], tuple[object, ...]] = {
            ReadVersioning: (self.versioning,),
            ReadObjectLock: (self.object_lock,),
            ReadEncryption: (self.encryption,),
            ReadPublicAccess: (self.public_access_blocked,),
            ReadPolicyStatus: (self.policy_not_public,),
            ReadReplication: (self.replication,),
            ReadLifecycle: tuple(getattr(self, name) for name in _LIFECYCLE),
        }
        return [kind for kind, wanted in parts.items() if any(one is not None for one in wanted)]

    def _graded_severities(self) -> list[Severity]:
        asked = [getattr(self, name) for name in self.any_limit_of]
        return [*super()._graded_severities(), *(one for one in asked if isinstance(one, Severity))]

    @model_validator(mode="after")
    def _fields_fit(self) -> Self:
        if self.object_lock_mode is not None and self.object_lock is None:
            raise PydanticCustomError("lock_unlimited", "`object_lock`, such as 30d, beside object_lock_mode")
        if self.encrypted_with is not None and self.encryption is None:
            raise PydanticCustomError("encryption_unasked", "`encryption: true` beside encrypted_with")
        return self
