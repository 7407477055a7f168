"""The header of an archive of pg_dump: in the custom format, and in the toc.dat of the other formats."""

from collections.abc import Mapping
from datetime import datetime

from opscheck.systems.stores.archives.stream import Broken
from opscheck.systems.stores.content import DumpHeader

MAGIC = b"PGDMP"
HEAD = 2**12
"""The largest size of a header."""

_OLDEST = (1, 10)
"""PostgreSQL 8: earlier headers contain no versions."""
_COMPRESSION_NAMED_SINCE = (1, 15)
_LONGEST_TEXT = 200
_INT_SIZES = range(1, 9)
# The first major version of pg_restore that reads each archive version.
READ_SINCE: Mapping[str, int] = {"1.13": 10, "1.14": 12, "1.15": 16, "1.16": 17}


def header_of(first: bytes) -> DumpHeader:
    """Read the header at the beginning of these bytes. Raises Broken."""
    if not first.startswith(MAGIC):
        raise Broken("it does not begin as an archive does")
    try:
        return _Reader(first).header()
    except (IndexError, UnicodeDecodeError):
        raise Broken("its header is cut off or damaged") from None


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = len(MAGIC)

    def header(self) -> DumpHeader:
        version = (self._byte(), self._byte())
        self._byte()  # the revision
        if version < _OLDEST:
            raise Broken("its header is of no version of PostgreSQL")
        self._int_size = self._byte()
        if self._int_size not in _INT_SIZES:
            raise Broken("its header is damaged")
        self._at += 2  # the size of offsets, and the format
        # The compression of the data.
        _ = self._byte() if version >= _COMPRESSION_NAMED_SINCE else self._int()
        return DumpHeader(
            archive_version=".".join(map(str, version)),
            made_at=self._moment(),
            database=self._text(),
            # Packages add their own version in brackets: `15.18 (Debian 15.18-0+deb12u1)`.
            dumped_from=self._text().partition(" ")[0],
            dumped_by=self._text().partition(" ")[0],
        )

    def _moment(self) -> datetime | None:
        second, minute, hour, day, month, year, _ = (self._int() for _ in range(7))
        try:
            return datetime(1900 + year, month + 1, day, hour, minute, min(second, 59))  # noqa: DTZ001 - it has none
        except (ValueError, OverflowError):
            return None

    def _text(self) -> str:
        length = self._int()
        if length < 0:
            return ""
        if length > _LONGEST_TEXT:
            raise Broken("its header is damaged")
        return self._bytes(length).decode()

    def _int(self) -> int:
        negative = self._byte()
        number = int.from_bytes(self._bytes(self._int_size), "little")
        return -number if negative else number

    def _byte(self) -> int:
        self._at += 1
        return self._data[self._at - 1]

    def _bytes(self, length: int) -> bytes:
        found = self._data[self._at : self._at + length]
        if len(found) < length:
            raise IndexError
        self._at += length
        return found
