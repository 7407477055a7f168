"""Certificates with whatever fault a test wants, and servers that serve them on loopback."""

import contextlib
import socket
import ssl
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

from opscheck.transport.connect import tls_socket

NOW = datetime.now(UTC)
HOST = "api.example.test"
DAY = timedelta(days=1)


def ec_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def rsa_key(bits: int) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, bits)


@dataclass(frozen=True)
class Issued:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: Any = field(repr=False)

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        kind, encoding = serialization.PrivateFormat.PKCS8, serialization.Encoding.PEM
        return self.key.private_bytes(encoding, kind, serialization.NoEncryption())

    def write(self, path: Path, *chain: "Issued", key: bool = True) -> Path:
        """Certificate, chain and key, in one PEM file."""
        path.write_bytes(b"".join([self.pem, *(one.pem for one in chain), self.key_pem if key else b""]))
        return path


def issued(  # noqa: PLR0913 - what can be wrong with a certificate, by name
    name: str = HOST,
    by: Issued | None = None,
    *,
    names: Sequence[str | x509.GeneralName] | None = None,
    authority: bool = False,
    begins: timedelta = -30 * DAY,
    ends: timedelta = 60 * DAY,
    key: Any = None,
    signed: hashes.HashAlgorithm | None = None,
    issuer_url: str = "",
    client: bool = False,
    lax: bool = False,
) -> Issued:
    """A certificate that begins and ends so long from now; `by` nobody it signs itself; `lax` as old tools do."""
    key = key or ec_key()
    subject = _name(name)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by.certificate.subject if by else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW + begins)
        .not_valid_after(NOW + ends)
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=not lax)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    signer = by.key if by else key
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
    builder = builder.add_extension(identifier, critical=False)
    if authority:
        builder = builder.add_extension(_may_sign(), critical=True)
    else:
        usage = ExtendedKeyUsageOID.CLIENT_AUTH if client else ExtendedKeyUsageOID.SERVER_AUTH
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    listed = ([] if authority else [name]) if names is None else names
    if listed:
        builder = builder.add_extension(x509.SubjectAlternativeName([_general(one) for one in listed]), critical=False)
    if issuer_url:
        place = x509.UniformResourceIdentifier(issuer_url)
        access = x509.AccessDescription(AuthorityInformationAccessOID.CA_ISSUERS, place)
        builder = builder.add_extension(x509.AuthorityInformationAccess([access]), critical=False)
    return Issued(builder.sign(signer, signed or hashes.SHA256()), key)


def _name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _may_sign() -> x509.KeyUsage:
    others = dict.fromkeys(
        (
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "encipher_only",
            "decipher_only",
        ),
        False,
    )
    return x509.KeyUsage(digital_signature=True, key_cert_sign=True, crl_sign=True, **others)


def _general(name: "str | x509.GeneralName") -> x509.GeneralName:
    if isinstance(name, x509.GeneralName):
        return name
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


@dataclass(frozen=True)
class Chain:
    """A root that is trusted, and the authority below it that issues."""

    root: Issued
    middle: Issued

    @classmethod
    def made(cls, **middle: Any) -> Self:
        root = issued("Test Root", authority=True, begins=-3000 * DAY, ends=3000 * DAY)
        given = {"begins": -1000 * DAY, "ends": 1000 * DAY} | middle
        return cls(root, issued("Test Issuing", root, authority=True, **given))

    def leaf(self, name: str = HOST, **fields: Any) -> Issued:
        return issued(name, self.middle, **fields)


def server_context(leaf: Issued, *chain: Issued, even_weak: bool = False) -> ssl.SSLContext:
    """The server's side."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if even_weak:
        context.set_ciphers("ALL:@SECLEVEL=0")
    with tempfile.TemporaryDirectory() as folder:
        context.load_cert_chain(leaf.write(Path(folder) / "server.pem", *chain))
    return context


def limit_to(context: ssl.SSLContext, oldest: ssl.TLSVersion, newest: ssl.TLSVersion) -> ssl.SSLContext:
    """These versions alone; Python warns of those that are old."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version, context.maximum_version = oldest, newest
    return context


Serve = Callable[[socket.socket], None]


class Listener:
    """Accepts connections, and hands each to a function in a thread of its own."""

    def __init__(self, serve: Serve, host: str = "127.0.0.1", port: int = 0) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._serve = serve
        self._socket = socket.create_server((host, port), family=family)
        self._open: set[socket.socket] = set()
        self.port: int = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # wakes who accepts
        self._socket.close()
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._thread.join(5)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self._open.add(connection)
            threading.Thread(target=self._one, args=(connection,), daemon=True).start()

    def _one(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            connection.settimeout(20)
            self._serve(connection)
        self._open.discard(connection)


def speaking(context: ssl.SSLContext) -> Serve:
    """A server that shakes hands and waits until the client goes."""

    def serve(connection: socket.socket) -> None:
        with tls_socket(connection, context, server_side=True) as secured:
            while secured.recv(1024):
                pass

    return serve


@contextmanager
def tls_server(leaf: Issued, *chain: Issued, host: str = "127.0.0.1", port: int = 0, **options: Any) -> Iterator[int]:
    """Serve it on a free port of loopback."""
    with Listener(speaking(server_context(leaf, *chain, **options)), host, port) as listener:
        yield listener.port


def resolve(monkeypatch: Any, *addresses: str, host: str = HOST) -> None:
    """Let a name stand for these addresses, whatever the name servers say."""
    real = socket.getaddrinfo

    def found(name: Any, *words: Any, **options: Any) -> list[Any]:
        places = addresses if name == host else [name]
        return [one for place in places for one in real(place, *words, **options)]

    monkeypatch.setattr(socket, "getaddrinfo", found)


def signed_with_sha1(certificate: Issued, by: Issued) -> Issued:
    """The same, signed anew by an authority with a key of RSA, which cryptography does not do for certificates."""
    old, new = (bytes.fromhex(f"06092a864886f70d0101{last}") for last in ("0b", "05"))
    signed = certificate.certificate.tbs_certificate_bytes.replace(old, new)
    signature = by.key.sign(signed, padding.PKCS1v15(), hashes.SHA1())  # noqa: S303 - weak on purpose
    body = signed + _der(0x30, new + b"\x05\x00") + _der(0x03, b"\0" + signature)
    return Issued(x509.load_der_x509_certificate(_der(0x30, body)), certificate.key)


def _der(kind: int, content: bytes) -> bytes:
    length = len(content)
    if length < 128:
        return bytes([kind, length]) + content
    size = (length.bit_length() + 7) // 8
    return bytes([kind, 0x80 | size]) + length.to_bytes(size, "big") + content
