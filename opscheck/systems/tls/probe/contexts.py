"""SSL contexts of handshakes: a default client's, and lenient ones that show the reasons for a refusal."""

import os
import ssl
import sys
import threading
from enum import Enum, auto
from functools import lru_cache

from opscheck.transport.connect import new_trust

# X509_V_FLAG_NO_CHECK_TIME, which has no name in Python.
_ANY_TIME = 0x200000
_EVEN_WEAK = "ALL:!aNULL:@SECLEVEL=0"
_ENCODING_DER = 2


class Verification(Enum):
    """The strictness of a handshake."""

    FULL = auto()
    """As a default client: chain, name, time, strength."""
    CHAIN = auto()
    """Only a chain to a trusted CA; a full verification reports only one of expired and untrusted."""
    NONE = auto()
    """Accepts every certificate."""


_lock = threading.Lock()


def context_for(
    verification: Verification, ca_file: str | None, client_certificate: str | None, *, strict: bool
) -> ssl.SSLContext:
    """
    The context of all handshakes with these settings. Raises ProbeError.

    Loading the system's trust store takes 15 ms; a hundred threads that start at once must not each do it.
    """
    environment = os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")
    strict = strict and verification is Verification.FULL
    with _lock:
        return _context(verification, ca_file, client_certificate, strict, *environment)


@lru_cache(maxsize=64)
def _context(
    verification: Verification,
    ca_file: str | None,
    client_certificate: str | None,
    strict: bool,
    *_environment: str | None,
) -> ssl.SSLContext:
    context = new_trust(ca_file, client_certificate, "the expectation's")
    # Python 3.13 and newer set both by default.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    if strict:
        context.verify_flags |= ssl.VERIFY_X509_STRICT
    if verification is Verification.FULL:
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.hostname_checks_common_name = False
        return context
    context.check_hostname = False
    context.verify_flags |= _ANY_TIME
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.set_ciphers(_EVEN_WEAK)
    context.verify_mode = ssl.CERT_REQUIRED if verification is Verification.CHAIN else ssl.CERT_NONE
    return context


def chains(connection: ssl.SSLSocket) -> tuple[list[bytes], list[bytes]]:
    """
    The certificates that the server sent and those that OpenSSL verified, each from the leaf on, in DER.

    Python 3.13 has them on the socket. Before, they are on the object inside it, under the same names since 3.10;
    pyOpenSSL would be a second TLS library with settings of its own.
    """
    if sys.version_info >= (3, 13):
        return connection.get_unverified_chain(), connection.get_verified_chain()
    inside = connection._sslobj  # type: ignore[attr-defined]  # noqa: SLF001 - see above
    both = inside.get_unverified_chain(), inside.get_verified_chain()
    sent, verified = ([bytes(one.public_bytes(_ENCODING_DER)) for one in chain or ()] for chain in both)
    return sent, verified
