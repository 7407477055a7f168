"""Which backups there are in a store, and which uploads were never finished."""

from dataclasses import dataclass

import msgspec

from opscheck.core.query import Permission, Query, Timestamp
from opscheck.core.units import format_duration
from opscheck.systems.stores.names import name_template
from opscheck.systems.stores.target import S3Action


class StoredBackup(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One object, or one folder where each folder is a backup, as the store lists it."""

    key: str
    """Without the bucket; of a folder it ends with a slash. In a folder of a machine: the path below the target's."""
    size: int
    """In bytes; of a folder, that of all that is in it."""
    modified: Timestamp
    """When the store says that it was written last; of a folder, its newest object."""
    storage_class: str = ""
    """As the store calls it, such as GLACIER; empty where it is at hand."""
    version: str = ""
    """Its version id; empty where versions were not listed."""
    deleted: bool = False
    """True for a delete marker."""
    objects: int = 1
    """How many objects it is made of."""


class Listing(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What there is under a template's prefix."""

    backups: tuple[StoredBackup, ...]
    """Those whose names fit, sorted by key, then newest version first."""
    since: str = ""
    """Keys that sort before this one were not looked at; empty where all were."""
    others: int = 0
    """How many objects were seen whose names do not fit; unfinished copies and empty folder markers are not counted."""
    examples: tuple[str, ...] = ()
    """The first few of their keys."""
    elsewhere: tuple[str, ...] = ()
    """Where there is nothing under the prefix: the first few keys and folders in the nearest one that has any."""
    requests: int = 1
    """How many requests it took."""


@dataclass(frozen=True)
class ListBackups(Query[Listing], name="stores.backups"):
    """
    Which backups there are whose keys fit `template` (see NameTemplate).

    within_s: only those of the last so many seconds need be looked at, where names sort by time; when there are not
    `least` of them, it is looked further back. versions: each version of an object, and its delete markers.
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
    """One upload in parts that is not finished."""

    key: str
    upload: str
    """Its id, which names it in a command that aborts it."""
    started: Timestamp


class Uploads(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Those there are under a prefix."""

    oldest: tuple[Upload, ...]
    """At most a hundred, oldest first."""
    count: int = 0
    """How many there are in all."""


@dataclass(frozen=True)
class ListUploads(Query[Uploads], name="stores.uploads"):
    """The unfinished uploads of a bucket whose keys begin with `prefix`."""

    action = "s3:ListBucketMultipartUploads"

    prefix: str = ""

    def permissions(self) -> tuple[Permission, ...]:
        return (S3Action(self.action),)

    def text(self) -> str:
        return f"list unfinished uploads under {self.prefix}" if self.prefix else "list unfinished uploads"
