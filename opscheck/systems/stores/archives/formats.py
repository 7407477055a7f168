"""The format of a backup, by its first bytes."""

from dataclasses import dataclass

from opscheck.systems.stores.archives import pg_dump
from opscheck.systems.stores.archives.compression import Compression, compression_of
from opscheck.systems.stores.archives.plain import plain_format
from opscheck.systems.stores.archives.tar import BLOCK, CONTENTS, is_tar, member_of

HEAD = 2**16
"""The number of first bytes that the format is detected from."""

_ENCRYPTED = {
    b"Salted__": "openssl",
    b"age-encryption.org/": "age",
    b"-----BEGIN AGE ENCRYPTED": "age",
    b"-----BEGIN PGP MESSAGE": "gpg",
}
# OpenPGP without armour: a session key's packet, encrypted to a public key (tag 1) or by a passphrase (tag 3).
_PGP_FIRST = {0x84, 0x85, 0x86, 0x8C, 0x8D, 0x8E, 0xC1, 0xC3}
_PGP_LONG = {0x85, 0x8D}
_PGP_NEW = 0xC0
"""Tags from here on have the new format; lengths from here on have two bytes."""
_PGP_VERSIONS = {3, 4, 5, 6}
_ERROR_MESSAGES = (b"pg_dump: error:", b"pg_dumpall: error:", b"pg_dump: [archiver", b"connection to server")


@dataclass(frozen=True)
class Kind:
    """The format of some bytes."""

    format: str
    """`custom`, `tar`, `plain`, `cluster`; `archive` is a tar of other files; `empty`; `other`."""
    packing: Compression | None = None
    """Their compression; no other field is set then."""
    encrypted_by: str = ""
    """The program that encrypted them; no other field is set then."""
    is_error_message: bool = False
    """True when they contain an error message of pg_dump."""


def kind_of(first: bytes) -> Kind:
    """The format of bytes that begin with `first`: HEAD bytes, or all when there are fewer."""
    packing = compression_of(first)
    if packing is not None:
        return Kind("packed", packing)
    encrypted_by = next((name for magic, name in _ENCRYPTED.items() if first.startswith(magic)), "")
    if encrypted_by or _is_pgp(first):
        return Kind("encrypted", encrypted_by=encrypted_by or "gpg")
    if first.startswith(pg_dump.MAGIC):
        return Kind("custom")
    if is_tar(first):
        return Kind("tar" if member_of(first[:BLOCK]).name == CONTENTS else "archive")
    if not first.strip():
        return Kind("empty")
    return Kind(plain_format(first) or "other", is_error_message=any(words in first for words in _ERROR_MESSAGES))


def _is_pgp(first: bytes) -> bool:
    """True for an OpenPGP packet with a session key: its tag, a small length, and a version."""
    if len(first) < 4 or first[0] not in _PGP_FIRST:  # noqa: PLR2004 - a header of two or three bytes, and the version
        return False
    two_bytes = first[0] in _PGP_LONG if first[0] < _PGP_NEW else first[1] >= _PGP_NEW
    return first[3 if two_bytes else 2] in _PGP_VERSIONS
