"""The bytes of a backup, unpacked in a stream."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from opscheck.core.observation import ProbeError, ProblemKind
from opscheck.systems.recovery.drilling.failing import Failed
from opscheck.systems.recovery.queries import BROKEN
from opscheck.systems.stores.archives.packings import Packing, unpacked
from opscheck.systems.stores.archives.stream import PIECE, Broken, NeedsMore


def pieces(path: Path, packing: Packing | None) -> Iterator[bytes]:
    """All of a file, unpacked. Raises Failed where it is damaged or cut off, and ProbeError for want of memory."""
    with path.open("rb") as file:
        packed = iter(lambda: file.read(PIECE), b"")
        if packing is None:
            yield from packed
            return
        try:
            yield from unpacked(packed, packing)
        except Broken as error:
            raise Failed(BROKEN, f"it cannot be unpacked to its end: {error}") from None
        except NeedsMore as error:
            raise ProbeError(ProblemKind.UNSUPPORTED, str(error)) from None


def head(path: Path, packing: Packing | None, size: int) -> bytes:
    """The first bytes, unpacked; fewer where there are no more. Raises as `pieces`."""
    first = b""
    with closing(pieces(path, packing)) as found:  # type: ignore[type-var]  # a generator has `close`
        for piece in found:
            first += piece
            if len(first) >= size:
                break
    return first[:size]
