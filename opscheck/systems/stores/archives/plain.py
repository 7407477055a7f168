"""Plain dumps: SQL from pg_dump and pg_dumpall, which begins and ends with a comment."""

import re

from opscheck.systems.stores.archives.stream import Broken

TAIL = 2**13
"""The number of last bytes that the footer is searched in."""

_LAST_LINES = 12
"""Since the releases of August 2025 `\\unrestrict` follows the footer."""
_BEGINS = b"-- PostgreSQL database "
_FOOTERS = {"plain": _BEGINS + b"dump complete", "cluster": _BEGINS + b"cluster dump complete"}
_HEADER = re.compile(rb"^-- PostgreSQL database (cluster )?dump\s*$", re.MULTILINE)
_FROM = re.compile(rb"^-- Dumped from database version (\d[\w.]*)", re.MULTILINE)
_BY = re.compile(rb"^-- Dumped by pg_dump version (\d[\w.]*)", re.MULTILINE)
_MARK = re.compile(rb"\n-- PostgreSQL database (?:cluster )?dump( complete)?")
_LONGEST_MARK = 1 + len(_FOOTERS["cluster"])


def plain_format(first: bytes) -> str:
    """`plain` for one database, `cluster` for pg_dumpall; empty for neither."""
    found = _HEADER.search(first)
    if found is None:
        return ""
    return "cluster" if found[1] else "plain"


def versions(first: bytes) -> tuple[str, str]:
    """The versions of the server and of pg_dump; empty where missing."""
    from_, by = _FROM.search(first), _BY.search(first)
    return (from_[1].decode() if from_ else ""), (by[1].decode() if by else "")


def has_footer(last: bytes, format_: str) -> bool:
    """True when one of the last lines marks the dump as complete."""
    return any(line.strip() == _FOOTERS[format_] for line in last.splitlines()[-_LAST_LINES:])


def without_footer(format_: str) -> Broken:
    """The error for a dump without its footer."""
    return Broken(f"it ends without `{_FOOTERS[format_].decode()}`", cut_off=True)


class PlainScan:
    """Reads a plain dump in pieces of any size. `end` raises Broken when it is incomplete."""

    def __init__(self, format_: str) -> None:
        self._format = format_
        self._tail = b""
        self._headers = 0
        self._footers = 0
        self._rest = b""

    def feed(self, piece: bytes) -> None:
        text = self._rest + piece
        # A mark may continue in the next piece, so the end of this one is kept.
        sure = max(0, len(text) - _LONGEST_MARK)
        self._count_in(text, sure)
        self._rest = text[sure:]
        self._tail = (self._tail + piece[-TAIL:])[-TAIL:]

    def end(self) -> None:
        self._count_in(self._rest + b"\n", len(self._rest) + 1)
        if not has_footer(self._tail, self._format):
            raise without_footer(self._format)
        if self._headers > self._footers:
            left = self._headers - self._footers
            raise Broken(f"{left} of the {self._headers} dumps in it never ends: the next begins before", cut_off=True)

    def _count_in(self, text: bytes, to: int) -> None:
        """Count headers and footers that start before `to`."""
        if b"\n" + _BEGINS not in text:
            return
        for found in _MARK.finditer(text):
            if found.start() < to:
                self._footers += found[1] is not None
                self._headers += found[1] is None
