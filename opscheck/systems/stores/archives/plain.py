"""Plain dumps: SQL as pg_dump and pg_dumpall write it, which begins and ends with a comment that says so."""

import re

from opscheck.systems.stores.archives.stream import Broken

TAIL = 2**13
"""How many bytes at the end its last lines are looked for in."""

_LAST_LINES = 12
"""Since the releases of August 2025 what restricts psql is taken back after the footer."""
_BEGINS = b"-- PostgreSQL database "
_KINDS = {"plain": b"dump", "cluster": b"cluster dump"}
_COMPLETE = b" complete"
_HEADER = re.compile(rb"^-- PostgreSQL database (cluster )?dump\s*$", re.MULTILINE)
_FROM = re.compile(rb"^-- Dumped from database version (\d[\w.]*)", re.MULTILINE)
_BY = re.compile(rb"^-- Dumped by pg_dump version (\d[\w.]*)", re.MULTILINE)
_MARK = re.compile(rb"\n-- PostgreSQL database (?:cluster )?dump( complete)?")
_LONGEST_MARK = len(b"\n-- PostgreSQL database cluster dump complete")


def plain_format(first: bytes) -> str:
    """`plain` of one database, `cluster` of pg_dumpall; empty where it is neither."""
    found = _HEADER.search(first)
    if found is None:
        return ""
    return "cluster" if found[1] else "plain"


def versions(first: bytes) -> tuple[str, str]:
    """The versions of the server and of pg_dump, empty where it does not say."""
    from_, by = _FROM.search(first), _BY.search(first)
    return (from_[1].decode() if from_ else ""), (by[1].decode() if by else "")


def has_footer(last: bytes, format_: str) -> bool:
    """Whether one of the last lines says that the dump is complete."""
    wanted = footer(format_)
    return any(line.strip() == wanted for line in last.splitlines()[-_LAST_LINES:])


def footer(format_: str) -> bytes:
    """The line that a whole dump ends with."""
    return _BEGINS + _KINDS[format_] + _COMPLETE


def without_footer(format_: str) -> Broken:
    """What is wrong with a dump that lacks its footer."""
    return Broken(f"it ends without `{footer(format_).decode()}`", cut_off=True)


class PlainScan:
    """Takes a plain dump in pieces of any size. `end` raises Broken where it is not complete."""

    def __init__(self, format_: str) -> None:
        self._format = format_
        self._tail = b""
        self._begun = 0
        self._complete = 0
        self._marks_to = b""

    def feed(self, piece: bytes) -> None:
        """Go on."""
        self._count(piece)
        self._tail = piece[-TAIL:] if len(piece) >= TAIL else (self._tail + piece)[-TAIL:]

    def end(self) -> None:
        """Nothing comes any more."""
        self._count_in(self._marks_to + b"\n", len(self._marks_to) + 1)
        if not has_footer(self._tail, self._format):
            raise without_footer(self._format)
        if self._begun > self._complete:
            left = self._begun - self._complete
            raise Broken(f"{left} of the {self._begun} dumps in it never ends: the next begins before", cut_off=True)

    def _count(self, piece: bytes) -> None:
        """Count what begins and ends; a mark that may go on in the next piece waits for it."""
        text = self._marks_to + piece
        sure = max(0, len(text) - _LONGEST_MARK)
        self._count_in(text, sure)
        self._marks_to = text[sure:]

    def _count_in(self, text: bytes, to: int) -> None:
        """Count those that begin before `to`."""
        if b"\n" + _BEGINS not in text:
            return
        for found in _MARK.finditer(text):
            if found.start() < to:
                self._complete += found[1] is not None
                self._begun += found[1] is None
