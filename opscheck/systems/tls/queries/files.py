"""The question which certificates lie in files of a host, and the shape of its answer."""

from dataclasses import dataclass
from enum import StrEnum

import msgspec

from opscheck.core.query import Permission, Query, Timestamp
from opscheck.systems.tls.queries.certificates import Certificate

MOST_FILES = 200
"""So many files are read; of more, how many there are is told."""
LARGEST_FILE = 512 * 1024
"""Bytes. The authorities of a whole system have half of that."""


class Fault(StrEnum):
    """What is wrong with a file of certificates."""

    FORBIDDEN = "forbidden"
    """It may not be read."""
    TOO_LARGE = "too_large"
    """It was not read, for it is too large to hold certificates."""
    EMPTY = "empty"
    """It has no byte in it."""
    NONE = "none"
    """There is no certificate in it."""
    CUT = "cut"
    """A certificate begins in it, and does not end."""
    DAMAGED = "damaged"
    """What should be a certificate in it cannot be read."""
    NO_PASSWORD = "no_password"  # noqa: S105 - the name of a fault
    """It is a PKCS#12 file with a password, and the policy knows none."""
    WRONG_PASSWORD = "wrong_password"  # noqa: S105 - the name of a fault
    """It is a PKCS#12 file that the policy's password does not open."""
    UNSUPPORTED = "unsupported"
    """It is encrypted in a way, or of a format, that opscheck cannot read."""


class CertificateFile(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One file, and the public part of what is in it."""

    path: str
    keystore: bool = False
    """Whether it is in PKCS#12; else in PEM, or a single certificate in DER."""
    modified: Timestamp | None = None
    """When it was written last, by the host's clock; None where the host does not say."""
    certificates: tuple[Certificate, ...] = ()
    """In its order; those that can be read, whatever else is wrong."""
    fault: Fault | None = None
    """What is wrong with it; None where everything could be read."""
    detail: str = ""
    """More of that, in words of our own."""


class Unmatched(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A pattern that no file matches, and what is there instead."""

    pattern: str
    near: str
    """The folder nearest to it that exists."""
    there: tuple[str, ...] = ()
    """The first names in that folder."""
    count: int = 0
    """How many there are."""


class CertificateFiles(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The files that the patterns name."""

    files: tuple[CertificateFile, ...] = ()
    """Each once, in the order of the patterns and of their names."""
    unmatched: tuple[Unmatched, ...] = ()
    closed: tuple[str, ...] = ()
    """Folders that patterns lead into, and that may not be looked into: there may be more files."""
    left_out: int = 0
    """How many files were not read, as there are too many."""


@dataclass(frozen=True)
class ReadableFiles(Permission):
    """Reading files, and the folders they lie in, on a host."""

    paths: str

    def text(self) -> str:
        """For people."""
        return f"read {self.paths} there, and look into their folders"


@dataclass(frozen=True)
class ReadCertificateFiles(Query[CertificateFiles], name="host.certificate_files"):
    """
    The certificates in the files that `paths` match: patterns with `*`, `?` and `[…]` as a shell has them.

    Of a PEM file nothing but its certificates leaves the host. A PKCS#12 file does as it is, on the way that every
    answer takes, and is opened here; its key is forgotten at once.
    """

    paths: tuple[str, ...]

    def permissions(self) -> tuple[Permission, ...]:
        """Read them."""
        return (ReadableFiles(", ".join(self.paths)),)

    def text(self) -> str:
        """For people."""
        return f"read the certificates in {', '.join(self.paths)}"
