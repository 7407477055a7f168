"""Decompressing a stream: gzip, zstd, xz, bzip2 and lz4, with any number of members, to the very end."""

import bz2
import lzma
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol, cast

from isal import igzip_lib
from lz4.frame import LZ4FrameDecompressor

from opscheck.systems.stores.archives.stream import PIECE, Broken, NeedsMore

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_WINDOW_LOG = 27
"""The default window limit of the zstd program: 128 MiB."""
_SKIPPABLE, _SKIPPABLE_FROM = b"\x2a\x4d\x18", 0x50
"""The magic number of skippable frames, which pzstd writes before each frame."""
_XZ_MEMORY = 96 * 2**20
"""xz -9 takes 65 MiB."""
_FEED = 2**17
"""Bytes per call: a decompressor copies its rest after each member, which is slow for many tiny members."""


class _Unpacker(Protocol):
    """The interface that all of these libraries share."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes | None: ...
    def decompress(self, data: bytes, max_length: int = ...) -> bytes: ...


@dataclass(frozen=True)
class Compression:
    """One compression format."""

    name: str
    magic: bytes
    begin: Callable[[], Any]
    """Makes a decompressor for one member."""
    nothing: int
    """The size of an empty compressed stream in bytes."""


def _gzip() -> Any:
    # Checks the length and checksum at the end of each member too.
    return igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP)


def _zstd() -> Any:
    return zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: _WINDOW_LOG})


def _xz() -> Any:
    return lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=_XZ_MEMORY)


GZIP = Compression("gzip", b"\x1f\x8b", _gzip, 20)
ZSTD = Compression("zstd", b"\x28\xb5\x2f\xfd", _zstd, 13)
XZ = Compression("xz", b"\xfd7zXZ\x00", _xz, 32)
BZIP2 = Compression("bzip2", b"BZh", bz2.BZ2Decompressor, 14)
LZ4 = Compression("lz4", b"\x04\x22\x4d\x18", LZ4FrameDecompressor, 15)
COMPRESSIONS = (GZIP, ZSTD, XZ, BZIP2, LZ4)

_ERRORS = (
    cast("type[Exception]", igzip_lib.error),  # its stubs know an instance
    zstd.ZstdError,
    lzma.LZMAError,
    OSError,
    EOFError,
    ValueError,
    RuntimeError,
)


def compression_of(first: bytes) -> Compression | None:
    """The compression that these first bytes show; None for none."""
    if first[1:4] == _SKIPPABLE and first[0] & 0xF0 == _SKIPPABLE_FROM:
        return ZSTD
    return next((one for one in COMPRESSIONS if first.startswith(one.magic)), None)


def decompressed(pieces: Iterable[bytes], packing: Compression) -> Iterator[bytes]:
    """
    The bytes of all members, in pieces of at most PIECE.

    Raises Broken at the place where they are damaged or end too early, and for what follows that is no member; zeros
    may follow, as tapes and disks are filled up with them. Raises NeedsMore.
    """
    members = _Members(packing)
    for piece in pieces:
        for start in range(0, len(piece), _FEED):
            yield from members.take(piece[start : start + _FEED])
    members.end()


def decompressed_head(first: bytes, packing: Compression, most: int) -> bytes:
    """The decompressed first bytes, at most `most`. Raises Broken, NeedsMore."""
    found = bytearray()
    try:
        for piece in decompressed([first], packing):
            found += piece
            if len(found) >= most:
                break
    except Broken as error:
        if not error.cut_off:
            raise
    return bytes(found[:most])


class _Members:
    """One member after the other."""

    def __init__(self, packing: Compression) -> None:
        self._packing = packing
        self._member: _Unpacker | None = None
        self._over = 0

    def take(self, packed: bytes) -> Iterator[bytes]:
        """The decompressed bytes."""
        left = packed
        # Zeros may precede every member but the first.
        while self._member is not None or (left := left.lstrip(b"\0") if self._over else left):
            member = self._member = self._member or self._packing.begin()
            yield self._some(member, left)
            left = b""
            if member.eof:
                left = member.unused_data or b""
                self._member = None
                self._over += 1
            elif member.needs_input:
                return

    def end(self) -> None:
        if self._member is not None or not self._over:
            raise Broken(f"{self._packing.name} data ends before its end", cut_off=True)

    def _some(self, member: _Unpacker, packed: bytes) -> bytes:
        try:
            return member.decompress(packed, PIECE)
        except _ERRORS as error:
            if "memory" in str(error).lower():
                raise NeedsMore(f"to unpack this {self._packing.name} takes too much memory") from None
            raise Broken(f"{self._packing.name} data is damaged") from None
        except MemoryError:
            raise NeedsMore(f"to unpack this {self._packing.name} takes too much memory") from None
