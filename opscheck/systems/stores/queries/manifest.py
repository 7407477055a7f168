"""What a manifest beside a backup says of it."""

from dataclasses import dataclass

import msgspec

from opscheck.core.query import Permission, Query
from opscheck.systems.stores.queries.permissions import S3Action


class ManifestValue(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The one value that was asked for."""

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
        """To read it."""
        folder = self.key.rpartition("/")[0]
        return (S3Action("s3:GetObject", prefix=f"{folder}/" if folder else "", on_objects=True),)

    def text(self) -> str:
        """For people."""
        return f"{self.path} in {self.key}"
