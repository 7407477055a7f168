"""Parsing files with certificates in PEM, DER or PKCS#12. Keys in them are discarded here."""

import base64
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import pkcs12

from opscheck.systems.tls.files import Fault
from opscheck.systems.tls.probe.parsing import certificate_in_der, certificate_of, quietly
from opscheck.systems.tls.x509 import Certificate

_BEGIN = re.compile(r"-----BEGIN [A-Z0-9 ]*CERTIFICATE-----\s*")
_END = re.compile(r"-----END [A-Z0-9 ]*CERTIFICATE-----\s*")
_LONG_FORM = 0x80
_HEADER = 2


class Kind(StrEnum):
    """The format of a file."""

    PEM = "pem"
    PKCS12 = "pkcs12"
    DER = "der"


@dataclass(frozen=True)
class Content:
    """The public part of a file, and its defect."""

    certificates: tuple[Certificate, ...] = ()
    fault: Fault | None = None
    detail: str = ""


def read_pem(lines: Iterable[str], seen: int, holds: Sequence[str]) -> Content:
    """
    The certificates in `lines` of a PEM file.

    `seen` is the number of BEGIN lines of certificates in the file, and `holds` has the labels of its parts.
    """
    if not seen:
        return Content((), Fault.NONE, f"it contains {', '.join(holds)}" if holds else "no BEGIN line")
    read = [(_certificate(block), whole) for block, whole in _blocks(lines)]
    certificates = tuple(found for found, _ in read if found is not None)
    ends = [whole for _, whole in read]
    if not all(ends):
        return Content(certificates, Fault.CUT, f"certificate {ends.index(False) + 1} of {seen} has no END line")
    if len(certificates) < seen:
        bad = [*(found for found, _ in read), None].index(None) + 1
        return Content(certificates, Fault.DAMAGED, f"certificate {bad} of {seen} cannot be parsed")
    return Content(certificates)


def _blocks(lines: Iterable[str]) -> Iterator[tuple[str, bool]]:
    """The text of each block, and True when the block has an end."""
    inside: list[str] | None = None
    for line in lines:
        if _BEGIN.fullmatch(line):
            if inside is not None:
                yield "".join(inside), False
            inside = []
        elif inside is not None and _END.fullmatch(line):
            yield "".join(inside), True
            inside = None
        elif inside is not None:
            inside.append(line.strip())
    if inside is not None:
        yield "".join(inside), False


def _certificate(text: str) -> Certificate | None:
    try:
        return certificate_in_der(base64.b64decode(text, validate=True))
    except ValueError:
        return None


def read_der(data: bytes) -> Content:
    """The one certificate in DER."""
    if _is_cut(data):
        return Content((), Fault.CUT, "shorter than its length field")
    try:
        return Content((certificate_in_der(data),))
    except ValueError:
        return Content((), Fault.DAMAGED, "it begins like a certificate, but cannot be parsed")


def read_pkcs12(data: bytes, password: str | None) -> Content:
    """The certificates in a PKCS#12 file; its key is discarded."""
    if _is_cut(data):
        return Content((), Fault.CUT, "shorter than its length field")
    # Unprotected keystores have an empty password or none.
    for tried in (password.encode() if password is not None else b"", b"", None):
        try:
            with quietly():
                return _opened(data, tried)
        except UnsupportedAlgorithm:
            return Content((), Fault.UNSUPPORTED, "its encryption is not supported here")
        except ValueError:
            continue
    return Content((), Fault.NO_PASSWORD if password is None else Fault.WRONG_PASSWORD)


def _opened(data: bytes, password: bytes | None) -> Content:
    """Raises ValueError for a wrong password."""
    found = pkcs12.load_pkcs12(data, password)
    listed = [one.certificate for one in (found.cert, *found.additional_certs) if one is not None]
    if not listed:
        return Content((), Fault.NONE, "a keystore without a certificate")
    return Content(tuple(map(certificate_of, listed)))


def _is_cut(data: bytes) -> bool:
    """True when the data is shorter than its first length field; an indefinite length proves nothing."""
    if len(data) < _HEADER or data[1] == _LONG_FORM:
        return len(data) < _HEADER
    if data[1] < _LONG_FORM:
        return len(data) < _HEADER + data[1]
    digits = data[1] - _LONG_FORM
    return len(data) < _HEADER + digits + int.from_bytes(data[_HEADER : _HEADER + digits], "big")
