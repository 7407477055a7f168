"""Reading a tar as a stream: whether each file in it is complete, and the end marker is there."""

from dataclasses import dataclass

from opscheck.systems.stores.archives.stream import Broken

BLOCK = 512
CONTENTS = "toc.dat"
"""The table of contents of a dump in tar or directory format."""
END = bytes(2 * BLOCK)
"""The end marker of a tar."""

_MAGIC, _MAGIC_AT = b"ustar", 257
_NAME = slice(0, 100)
_SIZE = slice(124, 136)
_CHECKSUM = slice(148, 156)
_BASE_256 = 0x80


@dataclass(frozen=True)
class Member:
    """One file of a tar."""

    name: str
    size: int


def is_tar(first: bytes) -> bool:
    """Whether these bytes begin with a header of tar or pg_dump."""
    return first[_MAGIC_AT : _MAGIC_AT + len(_MAGIC)] == _MAGIC and _checksum_fits(first[:BLOCK])


def member_of(block: bytes) -> Member:
    """The content of a header. Raises Broken."""
    if not _checksum_fits(block):
        raise Broken("a tar header is damaged")
    return Member(block[_NAME].partition(b"\0")[0].decode("utf-8", "replace"), _number(block[_SIZE]))


class TarWalk:
    """Reads a tar in pieces of any size. `end` raises Broken where it is cut off, `feed` where it is damaged."""

    def __init__(self) -> None:
        self.files = 0
        """The number of entries, including folders and links."""
        self.has_contents = False
        """Whether one of them is the table of contents of a dump."""
        self._header = bytearray()
        self._passing = 0
        self._ends = 0

    def feed(self, piece: bytes) -> None:
        view = memoryview(piece)
        while view and self._ends < 2:  # noqa: PLR2004 - what follows two empty blocks is padding
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


def _checksum_fits(block: bytes) -> bool:
    if len(block) < BLOCK:
        return False
    total = sum(block[: _CHECKSUM.start]) + 8 * ord(" ") + sum(block[_CHECKSUM.stop :])
    try:
        return _number(block[_CHECKSUM]) == total
    except Broken:
        return False


def _number(field: bytes) -> int:
    if field[0] & _BASE_256:
        return int.from_bytes(bytes([field[0] & ~_BASE_256]) + field[1:], "big")
    try:
        return int(field.strip(b" \0") or b"0", 8)
    except ValueError:
        raise Broken("a tar header is damaged") from None
