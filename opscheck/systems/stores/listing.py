"""The backups in a store, and its unfinished uploads."""

from dataclasses import dataclass

import msgspec

from opscheck.core.query import Permission, Query, Timestamp
from opscheck.core.units import format_duration
from opscheck.systems.stores.names import name_template
from opscheck.systems.stores.target import S3Action


class StoredBackup(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One object, or one folder when each folder is a backup, as the store lists it."""

    key: str
    """Without the bucket; that of a folder ends with a slash. For a folder target: the path below the target's."""
    size: int
    """In bytes; for a folder, the sum of its objects."""
    modified: Timestamp
    """The store's modification time; for a folder, that of its newest object."""
    storage_class: str = ""
    """The store's name for it, such as GLACIER; empty for the standard class."""
    version: str = ""
    """Its version id; empty when versions were not listed."""
    deleted: bool = False
    """True for a delete marker."""
    objects: int = 1
    """The number of its objects."""


class Listing(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The backups under a template's prefix."""

    backups: tuple[StoredBackup, ...]
    """Those whose names match, sorted by key, then newest version first."""
    since: str = ""
    """Keys that sort before this one were not listed; empty when all were."""
    others: int = 0
    """The number of objects with other names; unfinished copies and empty folder markers are not counted."""
    examples: tuple[str, ...] = ()
    """The first few of their keys."""
    elsewhere: tuple[str, ...] = ()
    """When the prefix is empty: the first few keys and folders of the closest parent folder that is not."""
    requests: int = 1
    """The number of requests."""


@dataclass(frozen=True)
class ListBackups(Query[Listing], name="stores.backups"):
    """
    The backups whose keys match `template` (see NameTemplate).

    within_s: where names sort by time, only those of the last `within_s` seconds are listed, and older ones when there
    are fewer than `least`. versions: each version of an object, and its delete markers.
    """

    template: str
    within_s: float | None = None
    least: int = 1
    versions: bool = False

    def permissions(self) -> tuple[Permission, ...]:
        action = "s3:ListBucketVersions" if self.versions else "s3:ListBucket"
        return (S3Action(action, prefix=name_template(self.template).prefix),)

    def text(self) -> str:
        within = f" of the last {format_duration(self.within_s)}" if self.within_s is not None else ""
        return f"list {'versions of ' if self.versions else ''}{self.template}{within}"


class Upload(msgspec.Struct, frozen=True, kw_only=True):
    """One unfinished multipart upload."""

    key: str
    upload: str
    """Its id, which the command to abort it needs."""
    started: Timestamp


class Uploads(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The unfinished uploads under a prefix."""

    oldest: tuple[Upload, ...]
    """At most a hundred, oldest first."""
    count: int = 0
    """The number of all of them."""


@dataclass(frozen=True)
class ListUploads(Query[Uploads], name="stores.uploads"):
    """The unfinished uploads of a bucket whose keys begin with `prefix`."""

    action = "s3:ListBucketMultipartUploads"

    prefix: str = ""

    def permissions(self) -> tuple[Permission, ...]:
        return (S3Action(self.action),)

    def text(self) -> str:
        return f"list unfinished uploads under {self.prefix}" if self.prefix else "list unfinished uploads"
