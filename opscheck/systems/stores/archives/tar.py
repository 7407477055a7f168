"""Reading a tar as a stream: each file in it must be complete, and the end marker must exist."""

import tarfile

from opscheck.systems.stores.archives.stream import Broken

BLOCK = 512
CONTENTS = "toc.dat"
"""The table of contents of a dump in tar or directory format."""
END = bytes(2 * BLOCK)
"""The end marker of a tar."""

_MAGIC, _MAGIC_AT = b"ustar", 257


def is_tar(first: bytes) -> bool:
    """True when these bytes begin with a header of tar or pg_dump."""
    try:
        return first.startswith(_MAGIC, _MAGIC_AT) and bool(member_of(first[:BLOCK]))
    except Broken:
        return False


def member_of(block: bytes) -> tarfile.TarInfo:
    """The parsed header. Raises Broken."""
    try:
        member = tarfile.TarInfo.frombuf(block, "utf-8", "replace")
    except tarfile.HeaderError:
        raise Broken("a tar header is damaged") from None
    if member.size < 0:
        raise Broken("a tar header is damaged")
    return member


class TarWalk:
    """Reads a tar in pieces of any size. `end` raises Broken when it is truncated, `feed` when it is corrupt."""

    def __init__(self) -> None:
        self.files = 0
        """The number of entries, including folders and links."""
        self.has_contents = False
        """True when one of them is the table of contents of a dump."""
        self._header = bytearray()
        self._passing = 0
        self._ends = 0

    def feed(self, piece: bytes) -> None:
        view = memoryview(piece)
        while view and self._ends < 2:  # noqa: PLR2004 - padding follows two empty blocks
            if self._passing:
                passed = min(self._passing, len(view))
                self._passing -= passed
                view = view[passed:]
                continue
            wanted = BLOCK - len(self._header)
            self._header += view[:wanted]
            view = view[wanted:]
            if len(self._header) == BLOCK:
                self._take(bytes(self._header))
                self._header.clear()

    def end(self) -> None:
        if self._passing:
            raise Broken(f"the last of {self.files} files in the tar is cut off", cut_off=True)
        if self._header or not self._ends:
            raise Broken(f"the tar ends without its end, after {self.files} files", cut_off=True)

    def _take(self, block: bytes) -> None:
        if not any(block):
            self._ends += 1
            return
        self._ends = 0
        member = member_of(block)
        self.files += 1
        self.has_contents = self.has_contents or member.name.rpartition("/")[2] == CONTENTS
        self._passing = -(-member.size // BLOCK) * BLOCK
