"""Files that lie next to each backup: how their keys are named, and what they say of it."""

from dataclasses import dataclass
from typing import Annotated

import msgspec
from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

from opscheck.core.query import Permission, Query
from opscheck.systems.stores.content import to_read

KEY = "{key}"
"""What stands for the key of the backup."""


def _with_key(text: str) -> str:
    if text.count(KEY) != 1 or "{" in text.replace(KEY, "") or text == KEY:
        raise PydanticCustomError("key_beside", "a key with {key} in it once, such as {key}.json", {"key": KEY})
    return text


SidecarKey = Annotated[str, AfterValidator(_with_key)]
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
