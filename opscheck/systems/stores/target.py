"""Stores of backups: S3 buckets and folders, and the permissions that reading them takes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from pydantic import field_validator
from pydantic_core import PydanticCustomError

from opscheck.core.addresses import FilePath, url_with
from opscheck.core.field_types import only
from opscheck.core.query import Permission
from opscheck.core.remedy import Fact, Former, Remedy
from opscheck.core.target import REFERENCE, Target

_BucketName = only(lambda name: "://" not in name, "bucket", "the name of a bucket alone, without s3://")


class StoreTarget(Target):
    """A store of backups: a bucket or a folder."""

    def address_of(self, key: str) -> str:
        """The key with its store: `s3://bucket/key`, `/mnt/backups/key`."""
        return f"{self.address.rstrip('/')}/{key}"


class S3Target(StoreTarget, kind="s3"):
    """A bucket in S3 or an S3-compatible store; boto3 finds the credentials as usual."""

    url_schemes = ("s3",)

    bucket: Annotated[str, _BucketName]
    """The bucket's name."""
    endpoint_url: Annotated[str, url_with("https", "http", example="https://s3.example.com")] | None = None
    """The store's endpoint, when it is not AWS; AWS_ENDPOINT_URL by default."""
    region: str | None = None
    """The store's region."""
    profile: str | None = None
    """The profile of the AWS configuration files; the default one, or AWS_PROFILE, by default."""
    path_style: bool | None = None
    """True requests `endpoint/bucket/key`, false `bucket.endpoint/key`; boto3 chooses by default."""
    ca_file: Annotated[str, FilePath] | None = None
    """PEM file of the CAs to trust instead of the system's."""

    @property
    def address(self) -> str:
        return f"s3://{self.bucket}"

    def facts(self) -> Mapping[str, Fact]:
        """Its `bucket`, its `store` as a URL, the `endpoint_url` where it is named, and that as an option of `aws`."""
        named: dict[str, Fact] = {"bucket": self.bucket, "store": self.address, "endpoint_option": ()}
        if self.endpoint_url is not None:
            named |= {"endpoint_url": self.endpoint_url, "endpoint_option": ("--endpoint-url", self.endpoint_url)}
        return named


def former_of_bucket(name: str, fact: str, *remedies: Remedy) -> dict[str, Former]:
    """A former name, and its twin for stores with an `endpoint_url`: commands once named that option themselves."""
    return {name: Former(fact, *remedies, without="endpoint_url"), f"own_{name}": Former(fact, *remedies)}


class FolderTarget(StoreTarget, kind="folder"):
    """A folder of the machine that opscheck runs on, or one that is mounted there."""

    path: str
    """The folder, as an absolute path."""

    @property
    def address(self) -> str:
        return self.path

    def facts(self) -> dict[str, str]:
        """Its path, as `store` too."""
        return {"path": self.path, "store": self.path}

    @field_validator("path")
    @classmethod
    def _absolute(cls, path: str) -> str:
        if not path.startswith("/") and not REFERENCE.match(path):
            raise PydanticCustomError("path_not_absolute", "an absolute path, such as /mnt/backups")
        return path


@dataclass(frozen=True)
class S3Action(Permission):
    """One action of IAM, on the bucket or on the objects under `prefix` of it."""

    action: str
    prefix: str = ""
    on_objects: bool = False
    """True for an action on objects, as s3:GetObject is; else it is one on the bucket."""

    def text(self) -> str:
        if self.on_objects:
            return f"{self.action} on {self.prefix}*"
        return f"{self.action} under {self.prefix}" if self.prefix else f"{self.action} on the bucket"
