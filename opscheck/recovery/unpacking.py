"""Unpacking in a stream what a backup is packed with."""

import bz2
import lzma
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, cast

import lz4.frame
import zstandard
from isal import igzip

from opscheck.queries.recovery import BROKEN
from opscheck.recovery.failing import Failed

PIECE = 2**20
_TROUBLES = (EOFError, OSError, lzma.LZMAError, zstandard.ZstdError, RuntimeError, ValueError)


def _zstd(path: Path) -> BinaryIO:
    # `open` of zstandard reads one frame and passes over the others.
    reader = zstandard.ZstdDecompressor().stream_reader(path.open("rb"), read_across_frames=True, closefd=True)
    return cast("BinaryIO", reader)


def _opens(function: Callable[..., Any]) -> Callable[[Path], BinaryIO]:
    return lambda path: cast("BinaryIO", function(path, "rb"))


_PACKINGS: dict[bytes, tuple[str, Callable[[Path], BinaryIO]]] = {
    b"\x1f\x8b": ("gzip", _opens(igzip.open)),
    b"\x28\xb5\x2f\xfd": ("zstd", _zstd),
    b"\xfd7zXZ\x00": ("xz", _opens(lzma.open)),
    b"BZh": ("bzip2", _opens(bz2.open)),
    b"\x04\x22\x4d\x18": ("lz4", _opens(lz4.frame.open)),
}


def packing(first: bytes) -> str:
    """What these first bytes of a file say that it is packed with; empty where it is not."""
    return next((name for magic, (name, _) in _PACKINGS.items() if first.startswith(magic)), "")


class Unpacked:
    """The bytes of a file, unpacked. Raises Failed where they cannot be."""

    def __init__(self, path: Path, packed_with: str) -> None:
        self._path = path
        opening = next((how for name, how in _PACKINGS.values() if name == packed_with), None)
        self._name = packed_with
        self._source: BinaryIO = opening(path) if opening is not None else path.open("rb")

    def read(self, size: int = PIECE) -> bytes:
        """The next bytes; none at the end."""
        try:
            return self._source.read(size)
        except _TROUBLES as error:
            text = f"it cannot be unpacked to its end: {self._name or 'file'}: {_reason(error)}"
            raise Failed(BROKEN, text) from None

    def close(self) -> None:
        """Let go of the file."""
        self._source.close()


def _reason(error: BaseException) -> str:
    if isinstance(error, EOFError):
        return "it is cut off"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return "its data is damaged"
