"""Certificates in files of a host: query, answer and expectation of `tls.files`."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, ClassVar

import msgspec
from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from opscheck.core.query import Permission, Query, Timestamp
from opscheck.core.remedy import Fact, Former, Remedy
from opscheck.core.units import Duration, Severity
from opscheck.systems.host.target import HostTarget
from opscheck.systems.tls.handshake import (
    CLIENT_FACTS,
    FORMER_CLIENT_FACTS,
    Addresses,
    PemFile,
    ServerName,
    ShakeHands,
    StartTls,
    client_facts,
)
from opscheck.systems.tls.lifetime import CertificatesLast
from opscheck.systems.tls.target import Endpoint
from opscheck.systems.tls.x509 import Certificate

MOST_FILES = 200
"""Maximum number of files that are read; the others are counted."""
LARGEST_FILE = 512 * 1024
"""Maximum size in bytes. A system's complete trust store has half of that."""


class Fault(StrEnum):
    """The defect of a file of certificates."""

    FORBIDDEN = "forbidden"
    """The read permission is missing."""
    TOO_LARGE = "too_large"
    """It was not read: it is too large for a file of certificates."""
    EMPTY = "empty"
    """It is empty."""
    NONE = "none"
    """It contains no certificate."""
    CUT = "cut"
    """A certificate in it is truncated."""
    DAMAGED = "damaged"
    """A certificate in it cannot be parsed."""
    NO_PASSWORD = "no_password"  # noqa: S105 - the name of a fault
    """It is a PKCS#12 file with a password, and the policy has none."""
    WRONG_PASSWORD = "wrong_password"  # noqa: S105 - the name of a fault
    """It is a PKCS#12 file that the policy's password does not open."""
    UNSUPPORTED = "unsupported"
    """Its encryption or format is not supported."""


class CertificateFile(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One file, and the public part of its content."""

    path: str
    keystore: bool = False
    """True for PKCS#12; else PEM, or a single certificate in DER."""
    modified: Timestamp | None = None
    """Its last modification by the host's clock; None where it is unknown."""
    certificates: tuple[Certificate, ...] = ()
    """In its order; those that can be parsed."""
    fault: Fault | None = None
    """Its defect; None where everything could be read."""
    detail: str = ""
    """Details of the defect."""


class Unmatched(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A pattern that no file matches, and the files in its nearest folder."""

    pattern: str
    near: str
    """The nearest folder that exists."""
    there: tuple[str, ...] = ()
    """The first names in that folder."""
    count: int = 0
    """The number of files in it."""


class CertificateFiles(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The files that the patterns name."""

    files: tuple[CertificateFile, ...] = ()
    """Each once, in the order of the patterns and of their names."""
    unmatched: tuple[Unmatched, ...] = ()
    closed: tuple[str, ...] = ()
    """Folders of the patterns without permission to list them; they may contain more files."""
    left_out: int = 0
    """The number of files that were not read because there are too many."""


@dataclass(frozen=True)
class ReadableFiles(Permission):
    """Reading files, and listing their folders, on a host."""

    paths: str

    def text(self) -> str:
        return f"read {self.paths} there, and list their folders"


@dataclass(frozen=True)
class ReadCertificateFiles(Query[CertificateFiles], name="host.certificate_files"):
    """
    The certificates in the files that `paths` match: patterns with `*`, `?` and `[…]` as a shell has them.

    Of a PEM file only its certificates leave the host. A PKCS#12 file is transferred completely and opened here; its
    key is discarded at once.
    """

    paths: tuple[str, ...]

    def permissions(self) -> tuple[Permission, ...]:
        return (ReadableFiles(", ".join(self.paths)),)

    def text(self) -> str:
        return f"read the certificates in {', '.join(self.paths)}"


LOOK_PEM = Remedy(
    "On that host, inspect the file",
    "openssl x509 -in {{ file }} -noout -subject -issuer -dates",
)
LOOK_KEYSTORE = Remedy(
    "On that host, inspect the keystore",
    "openssl pkcs12 -in {{ file }} -nokeys -info",
)
RENEW = Remedy(
    "Find the tool that renews it, and renew it",
    "certbot certificates; systemctl list-timers  # which tool renews {{ file }}, and when was its last run?",
)
REPLACE_FILE = Remedy(
    "On that host, inspect the file, and write it again",
    "ls -l {{ file }}; grep -c BEGIN {{ file }}",
)
LOOK_AT_FOLDER = Remedy("On that host, find the file, and correct `paths`", "ls -la {{ folder }}")
LOOK_AT_NEWEST = Remedy(
    "On that host, compare the newest file with the served certificate",
    "openssl x509 -in {{ newest }} -noout -dates -serial",
)
RELOAD = Remedy(
    "Reload the server, so that it loads the newest certificate",
    "openssl s_client -connect {{ address }} {{ client_options }} </dev/null | openssl x509 -noout -dates -serial",
    "systemctl reload nginx  # or the other server at {{ address }}",
)


def _pattern(value: str) -> str:
    if not value.startswith("/") or any(character in value for character in "\0\n\r"):
        raise PydanticCustomError("path_not_absolute", "an absolute path, such as /etc/nginx/tls/*.pem")
    return value


Pattern = Annotated[str, AfterValidator(_pattern)]
Patterns = Annotated[tuple[Pattern, ...], Field(min_length=1)]


class TlsFiles(CertificatesLast, check="tls.files"):
    """
    Certificate files are valid, have enough lifetime left, and the newest is served.

    Files are in PEM, PKCS#12 or DER. Each certificate is judged with its signers in the same file: the first to end
    counts, and the share refers to the lifetime of the leaf. Keys in these files are ignored. The verdict is unknown
    for a file without read permission, and violated for one without a complete certificate.
    """

    remedies = (LOOK_PEM, LOOK_KEYSTORE, RENEW, REPLACE_FILE, LOOK_AT_FOLDER, LOOK_AT_NEWEST, RELOAD)
    fact_names: ClassVar = {
        "file": "the path of the file",
        "folder": "the nearest existing folder, where no file matches",
        "newest": "the file with the newest certificate, where another is served",
        **CLIENT_FACTS,
    }
    former_fact_names: ClassVar = {
        "pem": Former("file", LOOK_PEM),
        "keystore": Former("file", LOOK_KEYSTORE),
        "ending": Former("file", RENEW),
        "broken": Former("file", REPLACE_FILE),
        "near": Former("folder", LOOK_AT_FOLDER),
        "serving": Former("address", RELOAD),
        **FORMER_CLIENT_FACTS,
    }

    target: HostTarget
    paths: Patterns
    """
    The files, as absolute paths with `*`, `?` and `[…]` as a shell has them: `[/etc/letsencrypt/live/*/fullchain.pem]`.

    Each must match at least one file. For files of CAs, such as a system's trust store, set `remaining: 30d`: a quarter
    of their lifetime is years.
    """
    served_at: Endpoint | None = None
    """
    The server of these certificates, as host:port. It must serve the newest certificate for its names.

    Finds the most common failure: a renewed certificate that the server has not loaded.
    """
    server_name: ServerName | None = None
    """The requested name there (SNI); the endpoint's host by default."""
    starttls: StartTls | None = None
    """The protocol of STARTTLS there; none by default."""
    client_certificate: PemFile | None = None
    """PEM file with a client certificate and its key, on this machine, if the server requires one."""
    addresses: Addresses = Addresses.ALL
    """The addresses of the name that must serve it; `ipv4` on a machine without IPv6."""
    reload_within: Duration = Duration.parse("1h")
    """Maximum time from writing a file until the server must serve it."""

    stale: Severity = Severity.P2
    """Severity of a served certificate that is not the newest; a higher one where its remaining lifetime is short."""

    @property
    def worst_severity(self) -> Severity:
        """The highest severity of a violation."""
        return min(super().worst_severity, self.stale)

    @property
    def files(self) -> ReadCertificateFiles:
        """The query about the files."""
        return ReadCertificateFiles(self.target.name, paths=self.paths)

    @property
    def handshakes(self) -> ShakeHands | None:
        """The query about the endpoint; None without one."""
        if self.served_at is None:
            return None
        return ShakeHands(
            self.served_at.name,
            server_name=self.server_name,
            starttls=self.starttls,
            client_certificate=self.client_certificate,
            addresses=self.addresses,
        )

    @property
    def client_facts(self) -> dict[str, Fact]:
        """The values of commands about the endpoint; none without one."""
        at = self.served_at
        name = self.server_name or (at.host if at is not None else "")
        return client_facts(at.address, name, self.starttls, self.client_certificate) if at is not None else {}

    def queries(self) -> Iterable[Query[Any]]:
        """The files, and the endpoint if there is one."""
        return (self.files, self.handshakes) if self.handshakes is not None else (self.files,)
