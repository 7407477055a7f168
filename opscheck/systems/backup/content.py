"""backup.content: the content of the newest backups, and the remedies for damaged ones."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, model_validator
from pydantic_core import PydanticCustomError

from opscheck.core.json_paths import JsonPath
from opscheck.core.query import Query
from opscheck.core.remedy import Former, Remedy
from opscheck.core.units import ByteSize, Duration, Timeout
from opscheck.systems.backup.series import (
    LIST_BUCKET,
    LIST_FOLDER,
    LOCATION_FACTS,
    RERUN,
    RERUN_FACTS,
    Backup,
    CronJobName,
    OfSeries,
)
from opscheck.systems.stores.content import ANY, KEY, ReadChecksum, ReadContent, ReadEnds, ReadManifest, SidecarKey
from opscheck.systems.stores.target import former_of_bucket

PACKERS: Mapping[str, str] = {
    ".gz": "gzip",
    ".tgz": "gzip",
    ".zst": "zstd",
    ".xz": "xz",
    ".bz2": "bzip2",
    ".lz4": "lz4",
}
"""The program that compresses files, by the suffix of their names."""

_UNPACKED = (".dump", ".tar", ".sql", "/")
_NAMES = tuple(dict.fromkeys(PACKERS.values()))


_BREAKS = "Find out why the backup is damaged, and let its script fail when a part of it fails"
_DUMP = "Make a new dump now, and verify it before renaming it"
_SHOW_END = "| tail -n 12  # show the last lines of the dump"
BROKEN_ARCHIVE = Remedy(
    _BREAKS, "aws {{ endpoint_option }} s3 cp {{ url }} - | pg_restore -f /dev/null  # prints where it breaks"
)
BROKEN_ARCHIVE_FILE = Remedy(_BREAKS, "pg_restore -f /dev/null {{ file }}  # prints where it breaks")
BROKEN_PACKED: Mapping[str, Remedy] = {
    packer: Remedy(_BREAKS, f"aws {{{{ endpoint_option }}}} s3 cp {{{{ url }}}} - | {packer} -dc {_SHOW_END}")
    for packer in _NAMES
}
BROKEN_PACKED_FILE: Mapping[str, Remedy] = {
    packer: Remedy(_BREAKS, f"{packer} -dc {{{{ file }}}} {_SHOW_END}") for packer in _NAMES
}
BROKEN = Remedy(_BREAKS)
_DIFFERS = "Find out whether the upload or the store changed the backup"
DIFFERING = Remedy(_DIFFERS, "aws {{ endpoint_option }} s3 cp {{ url }} - | sha256sum  # compare with the recorded sum")
DIFFERING_FILE = Remedy(_DIFFERS, "sha256sum {{ file }}  # compare with the recorded sum")
_CUSTOM = (
    "pg_dump -d {0} -Fc -f {{{{ new_dump }}}}.tmp && pg_restore -f /dev/null {{{{ new_dump }}}}.tmp"
    " && mv {{{{ new_dump }}}}.tmp {{{{ new_dump }}}}"
)
DUMP_DATABASE = Remedy(_DUMP, _CUSTOM.format("{{ database }}"))
DUMP = Remedy(_DUMP, _CUSTOM.format('"$DATABASE"'))
DUMP_PACKED: Mapping[str, Remedy] = {
    packer: Remedy(
        _DUMP,
        f'set -o pipefail; pg_dump -d "$DATABASE" | {packer} -c > {{{{ new_dump }}}}.tmp'
        f" && {packer} -dc {{{{ new_dump }}}}.tmp | tail -n 12 | grep 'dump complete'"
        " && mv {{ new_dump }}.tmp {{ new_dump }}",
    )
    for packer in _NAMES
}
PUBLISH = Remedy("Upload the new dump", "aws {{ endpoint_option }} s3 cp {{ new_dump }} {{ published }}")

_FORMER_OF_PACKED: dict[str, Former] = {}
for _packer in _NAMES:
    _FORMER_OF_PACKED |= {
        **former_of_bucket(f"{_packer}_broken", "url", BROKEN_PACKED[_packer]),
        f"{_packer}_broken_file": Former("file", BROKEN_PACKED_FILE[_packer]),
        f"{_packer}_again": Former("new_dump", DUMP_PACKED[_packer]),
    }


class ChecksumIn(BaseModel):
    """The sidecar file of each backup that contains its sha256."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: SidecarKey
    """Its key, in which {key} is the key of the backup: `{key}.sha256`, `{key}.json`."""
    sha256: JsonPath | None = None
    """JMESPath of the sum in a JSON document; without it the file has the format of sha256sum."""


class BackupContent(OfSeries, check="backup.content"):
    """
    The newest backup is complete and readable.

    `depth: ends` reads 64 KiB at either end. It verifies that the backup is a dump and not empty and, for plain SQL,
    tar and xz, that its end exists. Only `depth: whole` detects a gzip or custom dump that is truncated: it reads and
    decompresses all of it, requires the footer of plain dumps, and reads the others with pg_restore.

    A backup that is encrypted, or that no installed program can read, is unknown. Uncompressed tables in a dump have
    no checksum: only `checksum` detects a changed byte in them.
    """

    needs_severity = True
    remedies = (
        LIST_BUCKET,
        LIST_FOLDER,
        BROKEN,
        BROKEN_ARCHIVE,
        BROKEN_ARCHIVE_FILE,
        *BROKEN_PACKED.values(),
        *BROKEN_PACKED_FILE.values(),
        DIFFERING,
        DIFFERING_FILE,
        RERUN,
        DUMP_DATABASE,
        DUMP,
        *DUMP_PACKED.values(),
        PUBLISH,
    )
    fact_names: ClassVar = {
        **LOCATION_FACTS,
        "url": "the backup, as s3://…",
        "file": "its path, in a folder",
        "database": "the database of the damaged dump, where the dump names it",
        "new_dump": "the file name of a new dump",
        "published": "the place of the new dump, as s3://…",
        **RERUN_FACTS,
    }
    former_fact_names: ClassVar = {
        **former_of_bucket("listed", "location", LIST_BUCKET),
        **former_of_bucket("archive", "url", BROKEN_ARCHIVE),
        "archive_file": Former("file", BROKEN_ARCHIVE_FILE),
        **former_of_bucket("differing", "url", DIFFERING),
        "differing_file": Former("file", DIFFERING_FILE),
        "dump_again": Former("new_dump", DUMP),
        **_FORMER_OF_PACKED,
        **former_of_bucket("new_file", "new_dump", PUBLISH),
        "own_published": Former("published", PUBLISH),
    }

    depth: Literal["ends", "whole"]
    """The part that is read: the `ends`, in two or three requests, or the `whole` backup."""
    holds: Literal["dump", "tar", "any"] = "dump"
    """
    The content. `dump`: a dump by pg_dump or pg_dumpall, in any of their formats; `tar`: a tar of any files; `any`: any
    content that can be decompressed and is not empty. All may be compressed with gzip, zstd, xz, bzip2 or lz4.
    """
    within: Timeout | None = None
    """The maximum time to read one whole backup; an hour by default."""
    checksum: Literal["none", "sidecar"] | ChecksumIn = "none"
    """
    The place of its sha256. `sidecar`: in the file `{key}.sha256`, in the format of sha256sum; for another key, or a
    path in a JSON document, give both. A backup without its checksum is then a violation.
    """
    unpacked_limit: ByteSize | None = None
    """The maximum decompressed size. Without it only `within` stops a decompression bomb."""
    cronjob: CronJobName | None = None
    """The cron job that makes the backups, as namespace/name, for the command that runs it now."""

    @property
    def time_limit_s(self) -> float:
        """The maximum time to read one whole backup."""
        return float(self.within or Duration.parse("1h"))

    @property
    def extra_time_s(self) -> float:
        """Whole backups are read one after the other."""
        return self.time_limit_s * max(1, len(self.series)) if self.depth == "whole" else 0.0

    @property
    def packers(self) -> frozenset[str]:
        """The programs that may have compressed them, by the suffix of their names; all of them for other suffixes."""
        found = next((packer for end, packer in PACKERS.items() if self.names.endswith(end)), None)
        if found is not None:
            return frozenset({found})
        return frozenset() if self.names.endswith(_UNPACKED) else frozenset(_NAMES)

    @property
    def recorded(self) -> ChecksumIn | None:
        """The place of its sha256, None when it is not judged."""
        if isinstance(self.checksum, ChecksumIn):
            return self.checksum
        return ChecksumIn(key=f"{KEY}.sha256") if self.checksum == "sidecar" else None

    def content(self, backup: Backup) -> ReadEnds | ReadContent:
        """The query for the content of a backup."""
        return self._content(backup.key, backup.stored.size, backup.stored.version)

    def record(self, key: str) -> ReadChecksum | ReadManifest | None:
        """The query for its checksum."""
        if self.recorded is None:
            return None
        beside = self.recorded.key.replace(KEY, key)
        if self.recorded.sha256 is not None:
            return ReadManifest(self.target.name, beside, self.recorded.sha256)
        return ReadChecksum(self.target.name, beside, key)

    def follow_up_queries(self, answer: Callable[[Query[Any]], Any]) -> Iterable[Query[Any]]:
        """The content of the newest backup of each series."""
        for series in self.each_series(answer):
            if series.newest is not None:
                yield from self._about(self.content(series.newest))

    def described(self) -> Iterable[Query[Any]]:
        """The content of backups with the template's prefix."""
        key = self.template.prefix + ANY + ("/" if self.template.is_folder else "")
        return [*self.queries(), *self._about(self._content(key, 0, ""))]

    def _about(self, content: ReadEnds | ReadContent) -> list[Query[Any]]:
        record = self.record(content.key)
        return [content, *([record] if record is not None else [])]

    def _content(self, key: str, size: int, version: str) -> ReadEnds | ReadContent:
        if self.depth == "ends":
            return ReadEnds(self.target.name, key, size, version, self.holds)
        limit = None if self.unpacked_limit is None else int(self.unpacked_limit)
        hashed = self.recorded is not None
        return ReadContent(self.target.name, key, size, version, self.holds, self.time_limit_s, limit, hashed)

    @model_validator(mode="after")
    def _depth_is_enough(self) -> Self:
        needs_all = {"within": self.within, "checksum": self.recorded, "unpacked_limit": self.unpacked_limit}
        field = next((name for name, value in needs_all.items() if value is not None), None)
        if self.depth == "ends" and field is not None:
            raise PydanticCustomError(
                "depth_ends", "`depth: whole` with {field}: the ends do not show it", {"field": field}
            )
        return self

    @model_validator(mode="after")
    def _folders_fit(self) -> Self:
        if self.template.is_folder and self.holds == "tar":
            raise PydanticCustomError("tar_folder", "`holds: dump` or `any` where each backup is a folder")
        if self.template.is_folder and self.recorded is not None:
            raise PydanticCustomError("checksum_folder", "no `checksum` where each backup is a folder of several files")
        return self
