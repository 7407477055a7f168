"""The content of a backup, and of the files next to it. No answer quotes a byte of a backup's data."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

import msgspec

from opscheck.core.field_types import only
from opscheck.core.query import A, Permission, Query
from opscheck.systems.stores.target import S3Action

ANY = "…"
"""What stands in a key for what is not known yet."""

EMPTY, CUT_OFF, DAMAGED, FOREIGN, TOO_LARGE = TROUBLES = ("empty", "cut_off", "damaged", "foreign", "too_large")
"""
What a flaw is about: there is nothing in it; it ends too early; its bytes are not what they were; it is something else
than was expected; it unpacks to more than it may.
"""


class Flaw(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something that is wrong with a backup."""

    trouble: str
    """One of TROUBLES."""
    text: str
    """What is wrong, in words that quote nothing of the data."""
    at: int | None = None
    """How many of the packed bytes had been read by then."""


class DumpHeader(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a dump says of itself at its beginning."""

    archive_version: str = ""
    """That of the archive format, `1.16`; a plain dump has none."""
    made_at: datetime | None = None
    """In the local time of the machine that made it; the dump does not contain the zone."""
    database: str = ""
    dumped_from: str = ""
    """The version of the server."""
    dumped_by: str = ""
    """The version of pg_dump."""


class Content(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was found in a backup, as far as it was read."""

    size: int
    """How many bytes it has, packed as it is."""
    read: int
    """How many of them were read."""
    whole: bool = False
    """Whether everything in it was read and judged, as far as it is no ruin."""
    packed_with: tuple[str, ...] = ()
    """What it is packed with, from outside in; not what a dump itself packs its tables with."""
    unpacked: int | None = None
    """How many bytes that are unpacked, where all of them were."""
    format: str = ""
    """`custom`, `tar`, `directory`, `plain`, `cluster`, `archive` (a tar of other files), `other`, `empty`."""
    header: DumpHeader | None = None
    sha256: str = ""
    """Of the compressed bytes, where requested."""
    judged_by: str = ""
    """The program that has read it to its end: `pg_restore 18.1`."""
    flaws: tuple[Flaw, ...] = ()
    unjudged: str = ""
    """Why it could not be judged; empty where it could."""
    advice: str = ""
    """What to do about that."""


@dataclass(frozen=True)
class BackupQuery(Query[A]):
    """Reads one backup."""

    key: str
    """Of a folder it ends with a slash."""
    size: int
    """As it was listed."""
    version: str = ""
    expects: str = "dump"
    """What should be in it: `dump`, `tar`, or `any`thing."""

    def permissions(self) -> tuple[Permission, ...]:
        """To read it, and to list it where it is a folder."""
        return to_read(self.key)


@dataclass(frozen=True)
class ReadEnds(BackupQuery[Content], name="stores.ends"):
    """The head and the tail of a backup."""

    def text(self) -> str:
        return f"the first and last bytes of {self.key}"


@dataclass(frozen=True)
class ReadContent(BackupQuery[Content], name="stores.content"):
    """
    Whether a backup can be read to its end.

    unpacked_limit: reading ends where it unpacks to more bytes. hashed: its sha256 is wanted.
    """

    within_s: float = 3600.0
    unpacked_limit: int | None = None
    hashed: bool = False

    @property
    def group(self) -> str:
        """One at a time: each takes a core, memory and disk."""
        return "contents"

    @property
    def time_limit_s(self) -> float:
        return self.within_s

    def text(self) -> str:
        return f"{self.key} from its first byte to its last"


def to_read(key: str) -> tuple[Permission, ...]:
    """What it takes to read an object, or all objects of a folder."""
    folder = key.partition(ANY)[0].rpartition("/")[0]
    prefix = f"{folder}/" if folder else ""
    reading = S3Action("s3:GetObject", prefix=prefix, on_objects=True)
    return (S3Action("s3:ListBucket", prefix=prefix), reading) if key.endswith("/") else (reading,)


KEY = "{key}"
"""What stands for the key of the backup."""


SidecarKey = Annotated[
    str,
    only(
        lambda text: text.count(KEY) == 1 and "{" not in text.replace(KEY, "") and text != KEY,
        "key_beside",
        "a key with {key} in it once, such as {key}.json",
    ),
]
"""A key in which {key} is that of the backup."""


class Checksum(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a file beside a backup says of its sha256."""

    there: bool = True
    """False where there is no such file."""
    sha256: str = ""
    """In hexadecimal; empty where the file says none of that backup."""


@dataclass(frozen=True)
class ReadChecksum(Query[Checksum], name="stores.checksum"):
    """What the file `key`, as sha256sum writes it, says of `backup`."""

    key: str
    backup: str

    def permissions(self) -> tuple[Permission, ...]:
        return to_read(self.key)

    def text(self) -> str:
        return f"the checksum in {self.key}"


class ManifestValue(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The value at one place of a manifest."""

    there: bool = True
    """False where there is no manifest."""
    value: str | float | bool | None = None
    """A text of at most 300 letters, or a number; None where nothing stands at that place."""


@dataclass(frozen=True)
class ReadManifest(Query[ManifestValue], name="stores.manifest"):
    """What stands at `path`, a JMESPath, of the JSON document under `key`."""

    key: str
    path: str

    def permissions(self) -> tuple[Permission, ...]:
        return to_read(self.key)

    def text(self) -> str:
        return f"{self.path} in {self.key}"
