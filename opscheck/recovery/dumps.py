"""What kind of dump a backup is, by its first bytes."""

import re
from dataclasses import dataclass

from opscheck.queries.observation import ProbeError, ProblemKind
from opscheck.queries.recovery import EMPTY
from opscheck.recovery.failing import Failed

HEAD = 2**16
"""How many bytes at its beginning tell what it is."""

CUSTOM, TAR, DIRECTORY, PLAIN = "custom", "tar", "directory", "plain"
_ENCRYPTED = (b"Salted__", b"age-encryption.org/", b"-----BEGIN PGP MESSAGE", b"-----BEGIN AGE ENCRYPTED")
_TAR_MAGIC, _TAR_MAGIC_AT = b"ustar", 257
_FIRST_IN_TAR = b"toc.dat\0"
_IS_PLAIN = re.compile(rb"^-- PostgreSQL database dump\s*$", re.MULTILINE)
_IS_CLUSTER = re.compile(rb"^-- PostgreSQL database cluster dump\s*$", re.MULTILINE)
_FROM = re.compile(r"Dumped from database version:? (\d+(?:\.\d+)?)")
_MAKE_ONE = "make it with pg_dump, one database each: pg_dump --format=custom"


@dataclass(frozen=True)
class Kind:
    """The format of a dump, and what it is packed with."""

    format: str
    packed_with: str = ""

    def __str__(self) -> str:
        return f"{self.format}, {self.packed_with}" if self.packed_with else self.format


def format_of(first: bytes, key: str) -> str:
    """
    The format of a dump that begins, unpacked, with these bytes.

    Raises Failed where nothing is in it, and ProbeError for what a drill cannot restore.
    """
    if not first:
        raise Failed(EMPTY, "nothing is in it: whoever made it failed, and what packed it did not notice")
    if first.startswith(b"PGDMP"):
        return CUSTOM
    if first[_TAR_MAGIC_AT:].startswith(_TAR_MAGIC) and first.startswith(_FIRST_IN_TAR):
        return TAR
    if first.startswith(_ENCRYPTED):
        text = f"{key} is encrypted, and a drill has no key"
        raise ProbeError(
            ProblemKind.UNSUPPORTED, text, "restore it by hand, or drill from a copy that is not encrypted"
        )
    if _IS_CLUSTER.search(first):
        raise ProbeError(ProblemKind.UNSUPPORTED, f"{key} is a dump of a whole cluster, by pg_dumpall", _MAKE_ONE)
    if _IS_PLAIN.search(first):
        return PLAIN
    raise ProbeError(ProblemKind.UNSUPPORTED, f"{key} is none of pg_dump's formats", _MAKE_ONE)


def dumped_from(text: str) -> str:
    """The version of the server that was dumped, as a plain dump or pg_restore's list says it; empty where not."""
    found = _FROM.search(text)
    return found[1] if found else ""


def major(version: str) -> int:
    """The major version of `16.14`; 0 where there is none."""
    found = re.match(r"\d+", version)
    return int(found[0]) if found else 0
