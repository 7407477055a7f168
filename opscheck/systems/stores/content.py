"""The content of a backup and of its sidecar files. No answer quotes a byte of a backup's data."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

import msgspec

from opscheck.core.field_types import only
from opscheck.core.query import A, Permission, Query
from opscheck.systems.stores.target import S3Action

ANY = "…"
"""Replaces the unknown part of a key."""

EMPTY, CUT_OFF, DAMAGED, FOREIGN, TOO_LARGE = TROUBLES = ("empty", "cut_off", "damaged", "foreign", "too_large")
"""
The kinds of flaws: no content; truncated; corrupt; another format than expected; larger than `unpacked_limit` when
decompressed.
"""


class Flaw(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A fault of a backup."""

    trouble: str
    """One of TROUBLES."""
    text: str
    """The fault, in words that quote no data."""
    at: int | None = None
    """The number of compressed bytes that were read before it was found."""


class DumpHeader(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The header of a dump."""

    archive_version: str = ""
    """The version of the archive format, `1.16`; a plain dump has none."""
    made_at: datetime | None = None
    """In the local time of the machine that made it; the dump contains no time zone."""
    database: str = ""
    dumped_from: str = ""
    """The version of the server."""
    dumped_by: str = ""
    """The version of pg_dump."""


class Content(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The content of a backup, as far as it was read."""

    size: int
    """Its compressed size in bytes."""
    read: int
    """The number of bytes that were read."""
    whole: bool = False
    """True when it was read and judged to its end, or to its first fault."""
    packed_with: tuple[str, ...] = ()
    """Its layers of compression, from outside in; without the compression of tables inside a dump."""
    unpacked: int | None = None
    """The decompressed size in bytes, when all of it was decompressed."""
    format: str = ""
    """`custom`, `tar`, `directory`, `plain`, `cluster`, `archive` (a tar of other files), `other`, `empty`."""
    header: DumpHeader | None = None
    sha256: str = ""
    """Of the compressed bytes, where requested."""
    judged_by: str = ""
    """The program that read it to its end: `pg_restore 18.1`."""
    flaws: tuple[Flaw, ...] = ()
    unjudged: str = ""
    """The reason why it could not be judged; empty when it was."""
    advice: str = ""
    """The advice for that case."""


@dataclass(frozen=True)
class BackupQuery(Query[A]):
    """Reads one backup."""

    key: str
    """The key; that of a folder ends with a slash."""
    size: int
    """The size in the listing."""
    version: str = ""
    expects: str = "dump"
    """The expected content: `dump`, `tar` or `any`."""

    def permissions(self) -> tuple[Permission, ...]:
        """To read it, and to list it when it is a folder."""
        return to_read(self.key)


@dataclass(frozen=True)
class ReadEnds(BackupQuery[Content], name="stores.ends"):
    """The head and the tail of a backup."""

    def text(self) -> str:
        return f"the first and last bytes of {self.key}"


@dataclass(frozen=True)
class ReadContent(BackupQuery[Content], name="stores.content"):
    """
    The whole content of a backup, read to its end.

    unpacked_limit: reading stops at this decompressed size. hashed: its sha256 is wanted.
    """

    within_s: float = 3600.0
    unpacked_limit: int | None = None
    hashed: bool = False

    @property
    def group(self) -> str:
        """One at a time: each needs a core, memory and disk."""
        return "contents"

    @property
    def time_limit_s(self) -> float:
        return self.within_s

    def text(self) -> str:
        return f"{self.key} from its first byte to its last"


def to_read(key: str) -> tuple[Permission, ...]:
    """The permissions to read an object, or all objects of a folder."""
    folder = key.partition(ANY)[0].rpartition("/")[0]
    prefix = f"{folder}/" if folder else ""
    reading = S3Action("s3:GetObject", prefix=prefix, on_objects=True)
    return (S3Action("s3:ListBucket", prefix=prefix), reading) if key.endswith("/") else (reading,)


KEY = "{key}"
"""The placeholder for the key of the backup."""


SidecarKey = Annotated[
    str,
    only(
        lambda text: text.count(KEY) == 1 and "{" not in text.replace(KEY, "") and text != KEY,
        "key_beside",
        "a key with {key} in it once, such as {key}.json",
    ),
]
"""A key in which {key} is the key of the backup."""


class Checksum(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The sha256 in the sidecar file of a backup."""

    there: bool = True
    """False when the file does not exist."""
    sha256: str = ""
    """In hexadecimal; empty when the file has none for that backup."""


@dataclass(frozen=True)
class ReadChecksum(Query[Checksum], name="stores.checksum"):
    """The sha256 of `backup` in the file `key`, as sha256sum writes it."""

    key: str
    backup: str

    def permissions(self) -> tuple[Permission, ...]:
        return to_read(self.key)

    def text(self) -> str:
        return f"the checksum in {self.key}"


class ManifestValue(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The value at one path of a manifest."""

    there: bool = True
    """False when the manifest does not exist."""
    value: str | float | bool | None = None
    """A text of at most 300 letters, or a number; None when the path has no value."""


@dataclass(frozen=True)
class ReadManifest(Query[ManifestValue], name="stores.manifest"):
    """The value at `path`, a JMESPath, in the JSON document `key`."""

    key: str
    path: str

    def permissions(self) -> tuple[Permission, ...]:
        return to_read(self.key)

    def text(self) -> str:
        return f"{self.path} in {self.key}"
