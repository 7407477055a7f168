"""The bytes of a backup, decompressed in a stream."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from opscheck.core.observation import ProbeError, ProblemKind
from opscheck.systems.recovery.drilling.failing import Failed
from opscheck.systems.recovery.queries import BROKEN
from opscheck.systems.stores.archives.compression import Compression, decompressed
from opscheck.systems.stores.archives.stream import PIECE, Broken, NeedsMore


def pieces(path: Path, packing: Compression | None) -> Iterator[bytes]:
    """All of a file, decompressed. Raises Failed where it is damaged or cut off, and ProbeError for want of memory."""
    with path.open("rb") as file:
        packed = iter(lambda: file.read(PIECE), b"")
        if packing is None:
            yield from packed
            return
        try:
            yield from decompressed(packed, packing)
        except Broken as error:
            raise Failed(BROKEN, f"it cannot be decompressed to its end: {error}") from None
        except NeedsMore as error:
            raise ProbeError(ProblemKind.UNSUPPORTED, str(error)) from None


def head(path: Path, packing: Compression | None, size: int) -> bytes:
    """The first bytes, decompressed; fewer where there are no more. Raises as `pieces`."""
    first = b""
    with closing(pieces(path, packing)) as found:  # type: ignore[type-var]  # a generator has `close`
        for piece in found:
            first += piece
            if len(first) >= size:
                break
    return first[:size]
