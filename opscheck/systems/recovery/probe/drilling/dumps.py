"""Dumps on this machine: their format, and their bytes, decompressed as a stream."""

import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from opscheck.core.units import format_bytes
from opscheck.systems.recovery.drill_record import BROKEN, EMPTY
from opscheck.systems.recovery.probe.drilling.errors import Failed, unsupported
from opscheck.systems.stores.archives import pg_dump, plain
from opscheck.systems.stores.archives.compression import Compression, decompressed
from opscheck.systems.stores.archives.formats import HEAD, kind_of
from opscheck.systems.stores.archives.stream import PIECE, Broken, NeedsMore
from opscheck.systems.stores.archives.tar import BLOCK


def pieces(path: Path, packing: Compression | None) -> Iterator[bytes]:
    """The decompressed file. Raises Failed when it is corrupt or truncated, and ProbeError for want of memory."""
    with path.open("rb") as file:
        packed = iter(lambda: file.read(PIECE), b"")
        if packing is None:
            yield from packed
            return
        try:
            yield from decompressed(packed, packing)
        except Broken as error:
            raise Failed(BROKEN, f"it cannot be unpacked to its end: {error}") from None
        except NeedsMore as error:
            raise unsupported(str(error)) from None


def head(path: Path, packing: Compression | None, size: int) -> bytes:
    """The first decompressed bytes, or all when there are fewer. Raises as `pieces`."""
    first = b""
    with closing(pieces(path, packing)) as found:  # type: ignore[type-var]  # a generator has `close`
        for piece in found:
            first += piece
            if len(first) >= size:
                break
    return first[:size]


CUSTOM, TAR, DIRECTORY, PLAIN = "custom", "tar", "directory", "plain"
_TABLE_OF_CONTENTS = "toc.dat"
_USUAL_ENCODING = "UTF8"
# In a plain dump, and in the first entry of an archive's table of contents, which is never compressed.
_ENCODING = re.compile(rb"SET client_encoding = '(\w+)'")
_MAKE_ONE = "make it with pg_dump, one database each: pg_dump --format=custom"


@dataclass(frozen=True)
class Dump:
    """A dump on this machine, and its format."""

    path: Path
    format: str
    packing: Compression | None = None
    version: str = ""
    """The version of the dumped server; empty when unknown."""
    encoding: str = _USUAL_ENCODING
    """The encoding of the dumped database."""

    def __str__(self) -> str:
        """The format and the compression."""
        return f"{self.format}, {self.packing.name}" if self.packing is not None else self.format

    @property
    def major(self) -> int:
        """The major version of the dumped server; 0 when unknown."""
        digits = self.version.partition(".")[0]
        return int(digits) if digits.isdecimal() else 0


def identify(path: Path, key: str) -> Dump:
    """The fetched dump. Raises Failed for an empty or corrupt one, ProbeError for one that no drill can restore."""
    if path.is_dir():
        return _folder(path, key)
    with path.open("rb") as file:
        first = file.read(HEAD)
    packing = kind_of(first).packing
    if packing is not None:
        first = head(path, packing, HEAD)
        if not first:
            raise Failed(EMPTY, f"nothing is in it: its {format_bytes(path.stat().st_size)} are empty {packing.name}")
    return Dump(path, _restorable(first, key), packing, _version(first), _encoding(first))


def _folder(path: Path, key: str) -> Dump:
    contents = path / _TABLE_OF_CONTENTS
    if not contents.is_file():
        text = f"{key} is not a dump in pg_dump's directory format: it has no {_TABLE_OF_CONTENTS}"
        raise unsupported(text, "name a template of files, or make it with pg_dump -Fd")
    with contents.open("rb") as file:
        first = file.read(HEAD)
    return Dump(path, DIRECTORY, None, _version(first), _encoding(first))


def _restorable(first: bytes, key: str) -> str:
    kind = kind_of(first)
    if kind.format in {CUSTOM, TAR, PLAIN}:
        return kind.format
    if kind.is_error_message:
        raise Failed(BROKEN, "it is an error message of pg_dump, and no dump")
    if kind.format == "empty":
        raise Failed(EMPTY, "it is empty: the backup failed unnoticed")
    if kind.encrypted_by:
        text = f"{key} is encrypted by {kind.encrypted_by}, and a drill has no key"
        raise unsupported(text, "drill from a copy that is not encrypted")
    if kind.format == "cluster":
        raise unsupported(f"{key} is a dump of a whole cluster, by pg_dumpall", _MAKE_ONE)
    raise unsupported(f"{key} is in none of pg_dump's formats", _MAKE_ONE)


def _encoding(first: bytes) -> str:
    found = _ENCODING.search(first)
    return found[1].decode() if found is not None else _USUAL_ENCODING


def _version(first: bytes) -> str:
    """The version of the server in the header; pg_restore reports a damaged header."""
    if kind_of(first).format == PLAIN:
        return plain.versions(first)[0]
    try:
        return pg_dump.header_of(first[BLOCK:] if kind_of(first).format == TAR else first).dumped_from
    except Broken:
        return ""
