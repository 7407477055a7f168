"""Parsing certificates in DER and PEM."""

import re
import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import AuthorityInformationAccessOID

from opscheck.systems.tls.x509 import Certificate

# Filters of warnings belong to the whole process, not to a thread.
_LOCK = threading.Lock()

_BEGIN = re.compile(rb"-----BEGIN (X509 )?CERTIFICATE-----")

_KEYS: Mapping[type, str] = {
    rsa.RSAPublicKey: "RSA",
    ec.EllipticCurvePublicKey: "EC",
    dsa.DSAPublicKey: "DSA",
    ed25519.Ed25519PublicKey: "Ed25519",
    ed448.Ed448PublicKey: "Ed448",
}

E = TypeVar("E", bound=x509.ExtensionType)


def certificate_of(certificate: x509.Certificate) -> Certificate:
    """The public part of `certificate`."""
    kind, bits = _key(certificate)
    return Certificate(
        subject=certificate.subject.rfc4514_string(),
        issuer=certificate.issuer.rfc4514_string(),
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        serial=f"{certificate.serial_number:X}",
        fingerprint=certificate.fingerprint(SHA256()).hex(),
        names=_names(certificate),
        key=kind,
        key_bits=bits,
        signature_hash=_signature_hash(certificate),
        self_issued=certificate.subject == certificate.issuer,
        issuer_urls=_issuer_urls(certificate),
    )


def certificates_in_pem(text: bytes) -> tuple[Certificate, ...]:
    """Every certificate in a PEM text, in its order; other content is ignored. Raises ValueError."""
    with quietly():
        found = tuple(map(certificate_of, x509.load_pem_x509_certificates(text)))
    # cryptography ignores a truncated certificate, such as the last of a truncated chain.
    begun = len(_BEGIN.findall(text))
    if len(found) < begun:
        raise ValueError(f"only {len(found)} of {begun} certificates are complete")
    return found


def certificate_in_der(data: bytes) -> Certificate:
    """The certificate in DER. Raises ValueError."""
    with quietly():
        return certificate_of(x509.load_der_x509_certificate(data))


@contextmanager
def quietly() -> Iterator[None]:
    """
    Convert every error about a certificate to a ValueError.

    cryptography warns about obsolete certificates; where warnings are errors, parsing them would fail.
    """
    with _LOCK, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        except (x509.InvalidVersion, TypeError) as error:  # some odd names raise a TypeError
            raise ValueError(str(error)) from error


def _names(certificate: x509.Certificate) -> tuple[str, ...]:
    names = _extension(certificate, x509.SubjectAlternativeName)
    if names is None:
        return ()
    return (*names.get_values_for_type(x509.DNSName), *map(str, names.get_values_for_type(x509.IPAddress)))


def _issuer_urls(certificate: x509.Certificate) -> tuple[str, ...]:
    access = _extension(certificate, x509.AuthorityInformationAccess) or ()
    locations = (one.access_location for one in access if one.access_method == AuthorityInformationAccessOID.CA_ISSUERS)
    return tuple(location.value for location in locations if isinstance(location, x509.UniformResourceIdentifier))


def _extension(certificate: x509.Certificate, kind: type[E]) -> E | None:
    """The value of an extension; None where it is missing, or where one of the extensions cannot be parsed."""
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except (x509.ExtensionNotFound, ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        return None


def _key(certificate: x509.Certificate) -> tuple[str, int]:
    try:
        key = certificate.public_key()
    except (UnsupportedAlgorithm, ValueError):
        return "", 0
    name = next((name for kind, name in _KEYS.items() if isinstance(key, kind)), type(key).__name__)
    return name, getattr(key, "key_size", 0)


def _signature_hash(certificate: x509.Certificate) -> str:
    try:
        algorithm = certificate.signature_hash_algorithm
    except UnsupportedAlgorithm:  # such as MD2; an empty text means a scheme without a hash
        return certificate.signature_algorithm_oid.dotted_string
    return algorithm.name if algorithm is not None else ""
