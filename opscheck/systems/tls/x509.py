"""The public part of X.509 certificates, and the paths from one to its authority."""

from collections.abc import Iterable
from datetime import timedelta
from ipaddress import IPv4Address, IPv6Address, ip_address

import msgspec

from opscheck.core.query import Timestamp

_FEWEST_DOTS = 2


class Certificate(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The public part of one X.509 certificate."""

    subject: str
    """In RFC 4514 format: `CN=api.example.com,O=Example`; may be empty."""
    issuer: str
    not_before: Timestamp
    not_after: Timestamp
    """The last moment of its validity."""
    serial: str
    """In hexadecimal, as openssl prints it."""
    fingerprint: str
    """SHA-256 of the certificate, in hexadecimal."""
    names: tuple[str, ...] = ()
    """The host names and addresses of its subjectAltName; not its CN, which clients no longer accept."""
    key: str = ""
    """The type of its key: RSA, EC, Ed25519, …; empty where it is unknown."""
    key_bits: int = 0
    """The size of its key; 0 for types with one size."""
    signature_hash: str = ""
    """
    The hash of its signature, such as sha256; empty where the signature scheme has none, as Ed25519.

    Of an unknown signature scheme its object identifier, such as 1.2.840.113549.1.1.2.
    """
    self_issued: bool = False
    """True when its issuer equals its subject."""
    issuer_urls: tuple[str, ...] = ()
    """URLs of its issuer's certificate (AIA); few clients fetch it from there."""

    @property
    def lifetime(self) -> timedelta:
        """From `not_before` to `not_after`."""
        return self.not_after - self.not_before

    @property
    def label(self) -> str:
        """The first of its names, else its subject, else its serial number."""
        return next(iter(self.names), "") or self.subject or f"serial {self.serial}"


def path_from(head: Certificate, others: Iterable[Certificate]) -> tuple[Certificate, ...]:
    """
    `head` and the certificates among `others` that signed it, matched by names.

    Of several certificates of one CA, as with cross-signing, the one that is valid longest.
    """
    path, known = [head], tuple(others)
    while not path[-1].self_issued:
        signers = [one for one in known if one.subject == path[-1].issuer and one not in path]
        if not signers:
            break
        path.append(max(signers, key=lambda one: one.not_after))
    return tuple(path)


def weakest_of(path: Iterable[Certificate]) -> Certificate:
    """The certificate of a chain that ends first; it ends the chain."""
    return min(path, key=lambda one: one.not_after)


def covers(names: Iterable[str], host: str) -> bool:
    """
    True when one of `names` matches `host` by RFC 6125.

    An asterisk matches exactly the first label, but never below a top-level domain. An address is covered only by the
    same address.
    """
    address = address_in(host)
    if address is not None:
        return any(address_in(name) == address for name in names)
    wanted = _ascii(host)
    return any(_matches(_ascii(name), wanted) for name in names)


def _matches(name: str, host: str) -> bool:
    if not name.startswith("*."):
        return name == host
    rest = name.removeprefix("*")
    label, dot, above = host.partition(".")
    return bool(label) and rest.count(".") >= _FEWEST_DOTS and f"{dot}{above}" == rest


def address_in(text: str) -> IPv4Address | IPv6Address | None:
    """The IP address; None for a name. An address is never sent as SNI."""
    try:
        return ip_address(text.partition("%")[0])
    except ValueError:
        return None


def _ascii(name: str) -> str:
    name = name.rstrip(".").lower()
    try:
        return name if name.isascii() else name.encode("idna").decode()
    except UnicodeError:
        return name
