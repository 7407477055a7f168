"""Parsing certificates, and errors without their content."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from opscheck.systems.tls.probe.parsing import certificate_in_der, certificates_in_pem
from tests.servers.tls import issued

START = datetime(2026, 1, 1, tzinfo=UTC)


def made(key, *, names=(), days=90, hash_=None) -> bytes:
    """A self-signed certificate in DER."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "shop")])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(255)
        .not_valid_before(START)
        .not_valid_after(START + timedelta(days=days))
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(one) for one in names]), False)
    return builder.sign(key, hash_).public_bytes(Encoding.DER)


def test_subject_issuer_and_validity_are_parsed():
    found = certificate_in_der(made(ec.generate_private_key(ec.SECP256R1()), names=["a", "b"], hash_=hashes.SHA256()))

    assert ("CN=shop", "CN=shop", "FF") == (found.subject, found.issuer, found.serial)
    assert (START, timedelta(days=90)) == (found.not_before, found.lifetime)
    assert ("a", "b") == found.names
    assert found.self_issued
    assert 64 == len(found.fingerprint)


@pytest.mark.parametrize(
    ("key", "hash_", "expected"),
    [
        (lambda: rsa.generate_private_key(65537, 1024), hashes.SHA256(), ("RSA", 1024, "sha256")),  # noqa: S505 - weak on purpose
        (lambda: rsa.generate_private_key(65537, 2048), hashes.SHA512(), ("RSA", 2048, "sha512")),
        (lambda: ec.generate_private_key(ec.SECP384R1()), hashes.SHA384(), ("EC", 384, "sha384")),
        (ed25519.Ed25519PrivateKey.generate, None, ("Ed25519", 0, "")),
    ],
    ids=["weak-rsa", "rsa", "ec", "ed25519"],
)
def test_key_and_signature_hash_are_parsed(key, hash_, expected):
    found = certificate_in_der(made(key(), hash_=hash_))

    assert expected == (found.key, found.key_bits, found.signature_hash)


def test_name_only_in_the_subject_does_not_count():
    assert () == certificate_in_der(made(ec.generate_private_key(ec.SECP256R1()), hash_=hashes.SHA256())).names


def test_addresses_are_names_too():
    issued = trustme.CA().issue_cert("127.0.0.1", "shop.example")

    (found,) = certificates_in_pem(issued.cert_chain_pems[0].bytes())

    assert {"127.0.0.1", "shop.example"} == set(found.names)


def test_key_next_to_a_certificate_is_ignored():
    issued = trustme.CA().issue_cert("shop.example")
    key = issued.private_key_pem.bytes()

    (found,) = certificates_in_pem(key + issued.cert_chain_pems[0].bytes())

    written = msgspec.json.encode(found)
    assert not any(line in written for line in key.splitlines()[1:-1])


@pytest.mark.parametrize("text", [b"", b"-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----\n", b"nonsense"])
def test_invalid_certificate_is_refused(text):
    with pytest.raises(ValueError):  # noqa: PT011 - its text is the library's own
        certificates_in_pem(text)


def test_broken_extensions_leave_the_validity_readable():
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "shop")])
    odd = x509.UnrecognizedExtension(x509.SubjectAlternativeName.oid, b"no names")
    made_odd = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, START, START + timedelta(days=1))
        .add_extension(odd, critical=False)
        .sign(key, hashes.SHA256())
    )
    found = certificate_in_der(made_odd.public_bytes(Encoding.DER))

    assert ((), START + timedelta(days=1)) == (found.names, found.not_after)


def test_forbidden_serial_number_parses_despite_warnings():
    old = made(ec.generate_private_key(ec.SECP256R1()), hash_=hashes.SHA256()).replace(
        b"\x02\x02\x00\xff", b"\x02\x02\xff\x01"
    )

    assert "-FF" == certificate_in_der(old).serial


def test_issuer_url_is_parsed():
    der = issued(issuer_url="http://ca.test/issuing.der").certificate.public_bytes(Encoding.DER)

    assert ("http://ca.test/issuing.der",) == certificate_in_der(der).issuer_urls
    assert () == certificate_in_der(issued().certificate.public_bytes(Encoding.DER)).issuer_urls
