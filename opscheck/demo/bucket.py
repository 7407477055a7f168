"""The settings of the demo's bucket: those that a bucket of backups should have."""

from collections.abc import Mapping

from opscheck.demo.s3 import S3

KEPT_FOR_DAYS = 35
LOCKED_FOR_DAYS = 7

_SETTINGS: Mapping[str, str] = {
    "versioning": "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>",
    "object-lock": (
        "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention>"
        f"<Mode>GOVERNANCE</Mode><Days>{LOCKED_FOR_DAYS}</Days></DefaultRetention></Rule></ObjectLockConfiguration>"
    ),
    "encryption": (
        "<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256"
        "</SSEAlgorithm></ApplyServerSideEncryptionByDefault></Rule></ServerSideEncryptionConfiguration>"
    ),
    "publicAccessBlock": (
        "<PublicAccessBlockConfiguration><BlockPublicAcls>true</BlockPublicAcls>"
        "<IgnorePublicAcls>true</IgnorePublicAcls><BlockPublicPolicy>true</BlockPublicPolicy>"
        "<RestrictPublicBuckets>true</RestrictPublicBuckets></PublicAccessBlockConfiguration>"
    ),
    "lifecycle": (
        "<LifecycleConfiguration><Rule><ID>retention</ID><Filter><Prefix></Prefix></Filter><Status>Enabled</Status>"
        f"<Expiration><Days>{KEPT_FOR_DAYS}</Days></Expiration>"
        f"<NoncurrentVersionExpiration><NoncurrentDays>{KEPT_FOR_DAYS}</NoncurrentDays></NoncurrentVersionExpiration>"
        "<AbortIncompleteMultipartUpload><DaysAfterInitiation>7</DaysAfterInitiation></AbortIncompleteMultipartUpload>"
        "</Rule></LifecycleConfiguration>"
    ),
}


def secure(store: S3) -> None:
    """Enable versioning, object lock and encryption, block public access, and set the retention."""
    for setting, document in _SETTINGS.items():
        store.put(f"{store.bucket}?{setting}", document.encode())
