"""Uploads that were begun and never finished: they cost, and no listing of objects shows them."""

from dataclasses import dataclass

import msgspec

from opscheck.core.query import Permission, Query, Timestamp
from opscheck.systems.stores.queries.permissions import S3Action


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
        """To list them."""
        return (S3Action(self.action),)

    def text(self) -> str:
        """For people."""
        return f"list unfinished uploads under {self.prefix}" if self.prefix else "list unfinished uploads"
