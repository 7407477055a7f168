"""With which settings hands are shaken: an ordinary client's, and milder ones that show what is behind a refusal."""

import os
import ssl
import sys
import threading
from enum import Enum, auto
from functools import lru_cache

from opscheck.transport.connect import new_trust

# X509_V_FLAG_NO_CHECK_TIME, which Python has no name for.
_ANY_TIME = 0x200000
_EVEN_WEAK = "ALL:!aNULL:@SECLEVEL=0"


class Manner(Enum):
    """How much of what a server says is accepted."""

    ORDINARY = auto()
    """As any client of today does: chain, name, time, strength."""
    ANY_TIME = auto()
    """A chain to a trusted authority, whatever its time, name and strength: without it, expired hides untrusted."""
    ANYTHING = auto()
    """Whatever comes."""


_lock = threading.Lock()


def context_for(manner: Manner, ca_file: str | None, client_certificate: str | None, *, strict: bool) -> ssl.SSLContext:
    """
    Shared by all handshakes of one manner. Raises ProbeError.

    To read the system's authorities takes 15 ms; a hundred threads that begin at once must not each do it.
    """
    environment = os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")
    with _lock:
        return _context(manner, ca_file, client_certificate, strict and manner is Manner.ORDINARY, *environment)


@lru_cache(maxsize=64)
def _context(
    manner: Manner, ca_file: str | None, client_certificate: str | None, strict: bool, *_environment: str | None
) -> ssl.SSLContext:
    context = new_trust(ca_file, client_certificate, "the expectation's")
    # The same on every Python: from 3.13 on both are set by default.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    if strict:
        context.verify_flags |= ssl.VERIFY_X509_STRICT
    if manner is Manner.ORDINARY:
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.hostname_checks_common_name = False
        return context
    context.check_hostname = False
    context.verify_flags |= _ANY_TIME
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.set_ciphers(_EVEN_WEAK)
    context.verify_mode = ssl.CERT_REQUIRED if manner is Manner.ANY_TIME else ssl.CERT_NONE
    return context


def chains(connection: ssl.SSLSocket) -> tuple[list[bytes], list[bytes]]:
    """
    What the server sent and what OpenSSL verified, each from the leaf on, in DER.

    Python 3.13 has them on the socket. Before, they are on the object inside it, under the same names since 3.10; to
    take pyOpenSSL for it would be a second TLS library with settings of its own.
    """
    if sys.version_info >= (3, 13):
        return connection.get_unverified_chain(), connection.get_verified_chain()
    inside = connection._sslobj  # type: ignore[attr-defined]  # noqa: SLF001 - see above
    sent, verified = inside.get_unverified_chain(), inside.get_verified_chain()
    return [_in_der(one) for one in sent or ()], [_in_der(one) for one in verified or ()]


_ENCODING_DER = 2


def _in_der(certificate: "ssl._ssl.Certificate") -> bytes:  # type: ignore[name-defined]  # typeshed does not know it
    return bytes(certificate.public_bytes(_ENCODING_DER))
