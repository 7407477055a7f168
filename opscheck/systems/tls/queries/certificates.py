"""What a certificate says, without anything that is secret: the shape that all checks of certificates judge."""

from datetime import timedelta

import msgspec

from opscheck.core.query import Timestamp


class Certificate(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The public part of one X.509 certificate."""

    subject: str
    """As RFC 4514 writes it: `CN=api.example.com,O=Example`; may be empty."""
    issuer: str
    not_before: Timestamp
    not_after: Timestamp
    """The last moment at which it is valid."""
    serial: str
    """In hexadecimal, as openssl prints it."""
    fingerprint: str
    """SHA-256 of the whole certificate, in hexadecimal."""
    names: tuple[str, ...] = ()
    """The host names and addresses of its subjectAltName. Its CN is none of them: nobody accepts that any more."""
    key: str = ""
    """The kind of key: RSA, EC, Ed25519, …; what cannot be told is empty."""
    key_bits: int = 0
    """Its size; 0 where the kind has but one."""
    signature_hash: str = ""
    """
    The hash that it is signed with, such as sha256; empty where the signature has none of its own, as Ed25519.

    Where nobody here knows the signature, its object identifier, such as 1.2.840.113549.1.1.2.
    """
    self_issued: bool = False
    """Whether it names itself as its issuer."""
    issuer_urls: tuple[str, ...] = ()
    """Where it says that the certificate of its issuer is; some clients fetch it from there, and most do not."""

    @property
    def lifetime(self) -> timedelta:
        """From the first moment at which it is valid to the last."""
        return self.not_after - self.not_before
