"""Decompressing a stream to its end: gzip, zstd, xz, bzip2 and lz4, with any number of members."""

import bz2
import lzma
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

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
"""Bytes per call: a decompressor copies its remaining input after each member, which is slow for many tiny ones."""


@dataclass(frozen=True)
class Compression:
    """One compression format."""

    name: str
    magic: bytes
    begin: Callable[[], Any]
    """Makes a decompressor for one member, with the methods and attributes of `bz2.BZ2Decompressor`."""


# Checks the length and checksum at the end of each member too.
GZIP = Compression("gzip", b"\x1f\x8b", partial(igzip_lib.IgzipDecompressor, flag=igzip_lib.DECOMP_GZIP))
_ZSTD_OPTIONS: Mapping[int, int] = {zstd.DecompressionParameter.window_log_max: _WINDOW_LOG}
ZSTD = Compression("zstd", b"\x28\xb5\x2f\xfd", partial(zstd.ZstdDecompressor, options=_ZSTD_OPTIONS))
XZ = Compression("xz", b"\xfd7zXZ\x00", partial(lzma.LZMADecompressor, format=lzma.FORMAT_XZ, memlimit=_XZ_MEMORY))
BZIP2 = Compression("bzip2", b"BZh", bz2.BZ2Decompressor)
LZ4 = Compression("lz4", b"\x04\x22\x4d\x18", LZ4FrameDecompressor)
COMPRESSIONS = (GZIP, ZSTD, XZ, BZIP2, LZ4)

_ERRORS = (
    cast("type[Exception]", igzip_lib.error),  # its stubs know an instance
    zstd.ZstdError,
    lzma.LZMAError,
    OSError,
    EOFError,
    ValueError,
    RuntimeError,
    MemoryError,
)


def compression_of(first: bytes) -> Compression | None:
    """The compression by these first bytes; None without one."""
    if first[1:4] == _SKIPPABLE and first[0] & 0xF0 == _SKIPPABLE_FROM:
        return ZSTD
    return next((one for one in COMPRESSIONS if first.startswith(one.magic)), None)


def decompressed(pieces: Iterable[bytes], packing: Compression) -> Iterator[bytes]:
    """
    The bytes of all members, in pieces of at most PIECE.

    Raises Broken where they are damaged or truncated, and for other bytes after the last member; zeros are allowed
    there, since tapes and disks are padded with them. Raises NeedsMore.
    """
    member, over = None, False
    for fed in (piece[start : start + _FEED] for piece in pieces for start in range(0, len(piece), _FEED)):
        left = fed
        # Zeros may precede every member but the first.
        while member is not None or (left := left.lstrip(b"\0") if over else left):
            member = member or packing.begin()
            yield _decompressed_piece(member, left, packing)
            left = b""
            if member.eof:
                left, member, over = member.unused_data or b"", None, True
            elif member.needs_input:
                break
    if member is not None or not over:
        raise Broken(f"{packing.name} data ends before its end", cut_off=True)


def _decompressed_piece(member: Any, packed: bytes, packing: Compression) -> bytes:
    try:
        unpacked: bytes = member.decompress(packed, PIECE)
    except _ERRORS as error:
        if isinstance(error, MemoryError) or "memory" in str(error).lower():
            raise NeedsMore(f"to unpack this {packing.name} takes too much memory") from None
        raise Broken(f"{packing.name} data is damaged") from None
    return unpacked


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
