"""backup.content: the content of the newest backups, and what to do where it is damaged."""

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
"""The program that packs files with this end of their names."""

_UNPACKED = (".dump", ".tar", ".sql", "/")
_NAMES = tuple(dict.fromkeys(PACKERS.values()))


_BREAKS = "Find out why the backup is damaged, and have its script fail where a part of it fails"
_DUMP = "Make a new dump now, and verify it before it gets its name"
_SHOW_END = "| tail -n 12  # what there is of it ends so"
BROKEN_ARCHIVE = Remedy(
    _BREAKS, "aws {{ endpoint_option }} s3 cp {{ url }} - | pg_restore -f /dev/null  # says where it breaks"
)
BROKEN_ARCHIVE_FILE = Remedy(_BREAKS, "pg_restore -f /dev/null {{ file }}  # says where it breaks")
BROKEN_PACKED: Mapping[str, Remedy] = {
    packer: Remedy(_BREAKS, f"aws {{{{ endpoint_option }}}} s3 cp {{{{ url }}}} - | {packer} -dc {_SHOW_END}")
    for packer in _NAMES
}
BROKEN_PACKED_FILE: Mapping[str, Remedy] = {
    packer: Remedy(_BREAKS, f"{packer} -dc {{{{ file }}}} {_SHOW_END}") for packer in _NAMES
}
BROKEN = Remedy(_BREAKS)
_DIFFERS = "Find out whether the upload or the store changed the backup"
DIFFERING = Remedy(_DIFFERS, "aws {{ endpoint_option }} s3 cp {{ url }} - | sha256sum  # as it is now")
DIFFERING_FILE = Remedy(_DIFFERS, "sha256sum {{ file }}  # as it is now")
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
    """A file beside each backup that says its sha256."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: SidecarKey
    """Its key, in which {key} is that of the backup: `{key}.sha256`, `{key}.json`."""
    sha256: JsonPath | None = None
    """JMESPath of the sum where that file is a JSON document; else it is what sha256sum writes."""


class BackupContent(OfSeries, check="backup.content"):
    """
    The newest backup is complete and readable.

    `depth: ends` reads 64 KiB at either end, and a little more where nothing is unpacked before: that it begins as a
    dump does, is not empty, and, of plain SQL, tar and xz, that it has its end. That a gzip or a custom dump is cut off
    in the middle, only `depth: whole` can tell: it reads all of it, unpacks it in a stream, looks for the footer of
    plain dumps, and has pg_restore read the others.

    What is encrypted, and what no program here can read, is unknown and says so. Tables that a dump does not compress
    have no checksum in it: a byte that has changed is told by `checksum` alone.
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
        "database": "the database that a broken dump is of, where it says so",
        "new_dump": "a name for a new dump",
        "published": "where a new one belongs, as s3://…",
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
    """How much is read: the `ends`, in two requests or three, or the `whole` of it."""
    holds: Literal["dump", "tar", "any"] = "dump"
    """
    What is in it. `dump`: what pg_dump or pg_dumpall writes, in any of its formats; `tar`: a tar of any files; `any`:
    whatever can be unpacked, and is not empty. Each may be packed with gzip, zstd, xz, bzip2 or lz4.
    """
    within: Timeout | None = None
    """How long the reading of one whole backup may take; an hour by default."""
    checksum: Literal["none", "sidecar"] | ChecksumIn = "none"
    """
    Where its sha256 is recorded. `sidecar`: in a file beside it, `{key}.sha256`, as sha256sum writes it; another key,
    or a place in a JSON document, is written out. A backup without its record is then a violation.
    """
    unpacked_limit: ByteSize | None = None
    """How large it may be once it is unpacked. Without it nothing but `within` ends what unpacks without end."""
    cronjob: CronJobName | None = None
    """The cron job that makes them, as namespace/name, for the command that makes one now."""

    @property
    def time_limit_s(self) -> float:
        """How long the reading of one whole backup may take."""
        return float(self.within or Duration.parse("1h"))

    @property
    def extra_time_s(self) -> float:
        """One is read after the other."""
        return self.time_limit_s * max(1, len(self.series)) if self.depth == "whole" else 0.0

    @property
    def packers(self) -> frozenset[str]:
        """The programs that may have packed them, as their names say; all of them where names do not say."""
        found = next((packer for end, packer in PACKERS.items() if self.names.endswith(end)), None)
        if found is not None:
            return frozenset({found})
        return frozenset() if self.names.endswith(_UNPACKED) else frozenset(_NAMES)

    @property
    def recorded(self) -> ChecksumIn | None:
        """Where its sha256 is recorded, None where that is not looked at."""
        if isinstance(self.checksum, ChecksumIn):
            return self.checksum
        return ChecksumIn(key=f"{KEY}.sha256") if self.checksum == "sidecar" else None

    def content(self, backup: Backup) -> ReadEnds | ReadContent:
        """The query for the content of a backup."""
        return self._content(backup.key, backup.stored.size, backup.stored.version)

    def record(self, key: str) -> ReadChecksum | ReadManifest | None:
        """The query for the record of its checksum."""
        if self.recorded is None:
            return None
        beside = self.recorded.key.replace(KEY, key)
        if self.recorded.sha256 is not None:
            return ReadManifest(self.target.name, beside, self.recorded.sha256)
        return ReadChecksum(self.target.name, beside, key)

    def follow_up_queries(self, answer: Callable[[Query[Any]], Any]) -> Iterable[Query[Any]]:
        """The newest of each series."""
        for series in self.each_series(answer):
            if series.newest is not None:
                yield from self._about(self.content(series.newest))

    def described(self) -> Iterable[Query[Any]]:
        """Each backup by what its name begins with."""
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
                "depth_ends", "`depth: whole` beside {field}: the ends do not tell", {"field": field}
            )
        return self

    @model_validator(mode="after")
    def _folders_fit(self) -> Self:
        if self.template.is_folder and self.holds == "tar":
            raise PydanticCustomError("tar_folder", "`holds: dump` or `any` where each backup is a folder")
        if self.template.is_folder and self.recorded is not None:
            raise PydanticCustomError("checksum_folder", "no `checksum` where each backup is a folder of several files")
        return self
