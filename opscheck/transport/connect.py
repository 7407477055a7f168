"""Connecting to servers over TCP and TLS under a deadline, and explaining each failure with advice."""

import errno
import os
import socket
import ssl
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

import msgspec

from opscheck.core.observation import ProbeError, ProblemKind

GRACE_S = 0.25
"""
Time that a probe waits for a silent server beyond its time limit.

The gatherer abandons a silent query first, because it can see if the whole target was silent.
"""


class Clock(threading.local):
    """
    The deadline of the request that this thread is making, and whether a byte of its answer has arrived.

    The timeouts of HTTP clients are per read, so that one byte per second would hold a thread forever.
    """

    deadline: float = 0.0
    """On the monotonic clock."""
    received: bool = False

    def limit(self, connection: socket.socket) -> None:
        """End the next wait of `connection` at the deadline. Raises TimeoutError when it is over."""
        connection.settimeout(seconds_left(self.deadline))


def seconds_left(deadline: float) -> float:
    """Seconds until `deadline` on the monotonic clock. Raises TimeoutError when it is over."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def read_exactly(connection: socket.socket, count: int, deadline: float) -> bytes:
    """Exactly `count` bytes. Raises OSError."""
    data = b""
    while len(data) < count:
        connection.settimeout(seconds_left(deadline))
        more = connection.recv(count - len(data))
        if not more:
            raise ConnectionResetError
        data += more
    return data


def dial(host: str, port: int, deadline: float) -> socket.socket:
    """Connect to the first address of `host` that accepts. Raises OSError."""
    return dial_first(resolved(host, port), deadline)


@dataclass(frozen=True)
class Address:
    """One resolved address of a name, with a port."""

    family: int
    kind: int
    protocol: int
    sockaddr: tuple[Any, ...]
    """As sockets expect it."""

    def __str__(self) -> str:
        host, port = self.sockaddr[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def resolved(host: str, port: int) -> tuple[Address, ...]:
    """The addresses of `host`, each once. Raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return tuple(
        dict.fromkeys(Address(int(family), kind, protocol, sockaddr) for family, kind, protocol, _, sockaddr in found)
    )


def dial_first(addresses: Sequence[Address], deadline: float) -> socket.socket:
    """Connect to the first of these that accepts. Raises OSError."""
    failure: OSError = TimeoutError()
    for tried, address in enumerate(addresses):
        try:
            # An address that drops packets must leave time for the others.
            now = time.monotonic()
            return dial_one(address, now + seconds_left(deadline) / (len(addresses) - tried))
        except OSError as error:
            failure = error
    raise failure


def dial_one(address: Address, deadline: float) -> socket.socket:
    """Connect to this one. Raises OSError."""
    connection = socket.socket(address.family, address.kind, address.protocol)
    try:
        connection.settimeout(seconds_left(deadline))
        connection.connect(address.sockaddr)
    except BaseException:
        connection.close()
        raise
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def secure(connection: socket.socket, context: ssl.SSLContext, host: str, deadline: float) -> ssl.SSLSocket:
    """TLS over `connection`, which is closed on failure. Raises OSError, such as ssl.SSLError."""
    try:
        connection.settimeout(seconds_left(deadline))  # one limit for the whole handshake
        return tls_socket(connection, context, server_hostname=host)
    except BaseException:
        connection.close()
        raise


class _ClosingTlsSocket(ssl.SSLSocket):
    def __del__(self) -> None:
        self.close()


def tls_socket(connection: socket.socket, context: ssl.SSLContext, **options: Any) -> ssl.SSLSocket:
    """
    As `context.wrap_socket`, and no socket stays open when it raises OSError.

    Before 3.11.8, CPython leaves it open when the peer has reset the connection before the handshake (gh-113280).
    """
    context.sslsocket_class = _ClosingTlsSocket
    return context.wrap_socket(connection, **options)


def trust(ca_file: str | None, client_certificate: str | None = None) -> ssl.SSLContext:
    """A context that trusts `ca_file`, else the system's trust store or SSL_CERT_FILE. Raises ProbeError."""
    return _trust(ca_file, client_certificate, os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))


@lru_cache(maxsize=32)  # reading the system's authorities takes 15 ms, and a policy may name a hundred servers
def _trust(ca_file: str | None, client_certificate: str | None, *_environment: str | None) -> ssl.SSLContext:
    return new_trust(ca_file, client_certificate)


def new_trust(ca_file: str | None, client_certificate: str | None, whose: str = "the target's") -> ssl.SSLContext:
    """As `trust`, but not shared, so that it may be changed. Raises ProbeError."""
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except OSError as error:
        raise _bad_file(error, "certificates", whose, "ca_file", ca_file) from error
    if client_certificate is not None:
        try:
            # Without a password OpenSSL would prompt for one on the terminal.
            context.load_cert_chain(client_certificate, password="")
        except OSError as error:
            content = "a certificate and its key"
            raise _bad_file(error, content, whose, "client_certificate", client_certificate) from error
    return context


def host_and_port(url: str) -> str:
    """Host and port of `url`, without credentials and path."""
    parts = urlsplit(url if "://" in url else f"//{url}")
    port = parts.port or {"https": 443, "http": 80}.get(parts.scheme)
    host = f"[{parts.hostname}]" if parts.hostname and ":" in parts.hostname else parts.hostname
    return f"{host}:{port}" if port else f"{host}"


def late(text: str, waited_s: float, *, target_down: bool = False) -> ProbeError:
    """The problem of no complete answer in `waited_s` seconds."""
    error = ProbeError(ProblemKind.LATE, text, target_down=target_down)
    error.problem = msgspec.structs.replace(error.problem, waited_s=waited_s)
    return error


def unreachable(error: OSError, address: str, *, target_down: bool = True) -> ProbeError:
    """The problem of a connection to `address`, which is `host:port` or a path, that failed with `error`."""
    text, advice = explained(error, address)
    return ProbeError(ProblemKind.UNREACHABLE, text, advice, target_down=target_down)


def explained(error: OSError, address: str) -> tuple[str, str]:
    """An explanation of `error` as a sentence about `address`, and advice."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _certificate(error, address)
    if isinstance(error, ssl.SSLError):
        return _tls(error, address)
    if isinstance(error, socket.gaierror):
        return _name(error, address)
    for kind, text, advice in _CONNECTION:
        if isinstance(error, kind):
            return text.format(address=address), advice
    if error.errno in {errno.EHOSTUNREACH, errno.ENETUNREACH}:
        return f"no route to {address}", "check the network between here and there"
    return f"{address} cannot be reached: {error.strerror or error}", ""


_CONNECTION = (
    (
        ConnectionRefusedError,
        "connection refused by {address}",
        "no process listens there: check that the server runs, and the port",
    ),
    (FileNotFoundError, "socket {address} not found", "check that the server runs, and the path"),
    (ConnectionError, "{address} closed the connection", "see its log; a proxy or firewall can cause it too"),
    (TimeoutError, "no connection to {address} in time", "check for a firewall that drops packets"),
)


def _name(error: socket.gaierror, address: str) -> tuple[str, str]:
    host = address.rpartition(":")[0]
    if error.errno == socket.EAI_AGAIN:
        return f"the name {host} could not be resolved: no name server answered", "check the DNS of this machine"
    return f"the name {host} does not exist", "check its spelling, and the DNS of this machine"


# Codes of X509_verify_cert in OpenSSL.
_NOT_YET_VALID, _EXPIRED, _REVOKED = 9, 10, 23
_WRONG_HOST = {62, 64}
_UNKNOWN_AUTHORITY = {2, 18, 19, 20, 21}

_TRUST = (
    "for a private CA, name its PEM file in `ca_file` or in SSL_CERT_FILE; "
    "for a public CA, the server may not send its intermediate certificate"
)


def _certificate(error: ssl.SSLCertVerificationError, address: str) -> tuple[str, str]:
    subject = f"the certificate of {address}"
    if error.verify_code == _EXPIRED:
        return f"{subject} has expired", "renew it, and reload the server"
    if error.verify_code == _NOT_YET_VALID:
        return f"{subject} is not valid yet", "compare the clocks of the server and of this machine"
    if error.verify_code == _REVOKED:
        return f"{subject} was revoked", "replace it"
    if error.verify_code in _WRONG_HOST:
        reason = error.verify_message.rstrip(".")
        return (
            f"{subject} is for another name: {reason}",
            "use a name of the certificate, or have one issued for this name",
        )
    if error.verify_code in _UNKNOWN_AUTHORITY:
        return f"{subject} is signed by an unknown CA: {error.verify_message}", _TRUST
    return f"{subject} cannot be trusted: {error.verify_message}", ""


# OpenSSL's reasons, some of which are the other side's alerts.
_TLS_REASONS: Mapping[str, tuple[str, str]] = {
    "WRONG_VERSION_NUMBER": ("answers, but not with TLS", "check that this is a port with TLS"),
    "HTTP_REQUEST": ("answers, but not with TLS", "check that this is a port with TLS"),
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": (
        "requires a client certificate",
        "name one in `client_certificate`",
    ),
    "TLSV1_ALERT_PROTOCOL_VERSION": ("offers no version of TLS that is accepted here", "allow TLS 1.2 or newer there"),
    "UNSUPPORTED_PROTOCOL": ("offers no version of TLS that is accepted here", "allow TLS 1.2 or newer there"),
    "SSLV3_ALERT_HANDSHAKE_FAILURE": (
        "refuses the handshake",
        "no common cipher, or it requires a certificate: name one in `client_certificate`",
    ),
    "TLSV1_UNRECOGNIZED_NAME": ("does not serve this host name", "use a host name that it serves"),
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": ("refuses the client certificate: expired", "renew the client certificate"),
    "SSLV3_ALERT_BAD_CERTIFICATE": ("refuses the client certificate", "see its log"),
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": ("refuses the client certificate", "see its log"),
    "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE": (
        "refuses the client certificate",
        "use a certificate for client authentication",
    ),
    "TLSV1_ALERT_UNKNOWN_CA": (
        "refuses the client certificate",
        "have it signed by a CA that the server trusts",
    ),
}


def _tls(error: ssl.SSLError, address: str) -> tuple[str, str]:
    if isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return f"{address} closed the connection during the TLS handshake", "check that this is a port with TLS"
    reason = getattr(error, "reason", None) or str(error)  # only OpenSSL's own errors have one
    text, advice = _TLS_REASONS.get(reason, (f"fails the TLS handshake: {reason}", ""))
    return f"{address} {text}", advice


def _bad_file(error: OSError, content: str, whose: str, field: str, path: str | None) -> ProbeError:
    if isinstance(error, ssl.SSLError):
        text = f"{whose} {field} {path} does not contain {content} ({error.reason or 'not PEM'})"
    else:
        text = f"{whose} {field} {path} cannot be read: {error.strerror}"
    return ProbeError(ProblemKind.UNSUPPORTED, text, f"{field} is a PEM file with {content}", target_down=True)
