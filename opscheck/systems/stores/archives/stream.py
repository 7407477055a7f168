"""A stream of bytes in pieces, whose first bytes can be read ahead."""

from collections.abc import Iterable, Iterator

PIECE = 2**20
"""The largest size of a piece."""


class Broken(Exception):  # noqa: N818 - a statement reads better in a report than a noun
    """The bytes are corrupt or truncated. The text names the fault, and quotes none of them."""

    def __init__(self, text: str, *, cut_off: bool = False) -> None:
        super().__init__(text)
        self.text = text
        self.cut_off = cut_off
        """True when they are truncated, and valid up to there."""


class NeedsMore(Exception):  # noqa: N818 - as above
    """Reading on needs too much memory; no fault is known."""


class Stream:
    """Bytes in pieces, once."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._ahead = bytearray()

    def peek(self, size: int) -> bytes:
        """The next `size` bytes, or fewer at the end, without consuming them."""
        while len(self._ahead) < size:
            piece = next(self._pieces, None)
            if piece is None:
                break
            self._ahead += piece
        return bytes(self._ahead[:size])

    def __iter__(self) -> Iterator[bytes]:
        if self._ahead:
            ahead, self._ahead = bytes(self._ahead), bytearray()
            yield ahead
        yield from self._pieces
