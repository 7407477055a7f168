"""
Handshakes with one address, which find every fault of its certificates.

OpenSSL reports only one error: for an expired certificate of an unknown CA, the unknown CA. So there are up to three
handshakes: with full verification, with verification of the chain only, and without verification. The certificates
themselves then show all errors.
"""

import errno
import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from msgspec.structs import replace

from opscheck.core.observation import ProbeError, ProblemKind
from opscheck.core.units import format_duration
from opscheck.systems.tls.handshake import Handshake, LegacyOffer, Protocol, ShakeHands, StartTls
from opscheck.systems.tls.probe.contexts import Verification, chains, context_for
from opscheck.systems.tls.probe.legacy_protocols import newest_before, offer
from opscheck.systems.tls.probe.parsing import certificate_in_der
from opscheck.systems.tls.probe.starttls import NoStartTls, start_tls
from opscheck.systems.tls.x509 import Certificate, address_in
from opscheck.transport.connect import Address, dial_one, explained, late, seconds_left, secure, unreachable

_MIN_WAIT_S, _MAX_WAIT_S = 0.1, 1.0
_HANDSHAKES = 2
"""Wait for a refusal as long as this many handshakes took; a server may query another service first."""

# Other alerts report a connection closed without a close_notify.
_ABOUT_CERTIFICATE = ("CERTIFICATE", "UNKNOWN_CA", "ACCESS_DENIED", "DECRYPT_ERROR", "HANDSHAKE_FAILURE")

_NO_TLS = {"WRONG_VERSION_NUMBER", "HTTP_REQUEST"}
# Errors of connections to IPv6 addresses on a machine without IPv6.
_NO_ROUTE = {errno.ENETUNREACH, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}

# Ports whose protocol usually starts without TLS.
_STARTTLS_PORTS: Mapping[int, StartTls] = {
    25: StartTls.SMTP,
    110: StartTls.POP3,
    143: StartTls.IMAP,
    389: StartTls.LDAP,
    587: StartTls.SMTP,
    5432: StartTls.POSTGRES,
}


class NoHandshakeError(Exception):
    """The handshake with a reachable address failed."""

    def __init__(self, failure: str, advice: str = "", reason: str = "", code: int = 0) -> None:
        super().__init__(failure)
        self.failure = failure
        self.advice = advice
        self.reason = reason or failure
        """OpenSSL's message, for its errors."""
        self.code = code
        """X509_V_ERR_…, for errors of the certificate."""


@dataclass(frozen=True)
class Peer:
    """One address of an endpoint, and the query about it."""

    address: Address
    server_name: str
    """In ASCII."""
    query: ShakeHands

    @property
    def sni(self) -> str:
        """The name; empty for an address, which is never sent."""
        return "" if address_in(self.server_name) is not None else self.server_name

    def look(self, deadline: float) -> Handshake:
        """The certificates that it serves, or the failure. Raises ProbeError for unusable files."""
        self._context(Verification.FULL)
        try:
            return self._shake(Verification.FULL, deadline)
        except ProbeError as error:
            missing = isinstance(error.__cause__, OSError) and error.__cause__.errno in _NO_ROUTE
            no_route = missing and self.address.family == socket.AF_INET6
            return Handshake(address=str(self.address), problem=error.problem, no_route=no_route)
        except NoHandshakeError as error:
            refused = error
        try:
            seen = self._look_leniently(deadline)
        except ProbeError:
            return self._refusing(refused)
        except NoHandshakeError as error:
            return self._refusing(refused, error)
        return replace(seen, refused=refused.reason, refused_code=refused.code)

    def offer_legacy(self, deadline: float) -> LegacyOffer:
        """Offer only versions older than the minimum."""
        newest = newest_before(self.query.min_version)
        try:
            with self._reached(deadline) as connection:
                return offer(connection, newest, self.sni, deadline)
        except (ProbeError, NoHandshakeError) as error:
            return LegacyOffer(unknown=f"{newest} could not be offered: {error}")

    def _look_leniently(self, deadline: float) -> Handshake:
        """The certificates that it serves to lenient clients. Raises ProbeError and NoHandshakeError."""
        try:
            return self._shake(Verification.CHAIN, deadline)
        except NoHandshakeError as untrusted:
            code, reason = untrusted.code, untrusted.reason
            if not code:
                raise
        seen = self._shake(Verification.NONE, deadline)
        return replace(seen, chain=(), untrusted=reason, untrusted_code=code)

    def _refusing(self, *errors: NoHandshakeError) -> Handshake:
        """A failure with all reasons, such as a request for a client certificate."""
        failures = dict.fromkeys(one.failure for one in errors)
        advice = dict.fromkeys(one.advice for one in errors if one.advice)
        return Handshake(address=str(self.address), failure="; and ".join(failures), advice="; ".join(advice))

    def _context(self, verification: Verification) -> ssl.SSLContext:
        query = self.query
        return context_for(verification, query.ca_file, query.client_certificate, strict=query.strict)

    def _shake(self, verification: Verification, deadline: float) -> Handshake:
        """Raises ProbeError and NoHandshakeError."""
        address, started, failure, advice = str(self.address), time.monotonic(), "", ""
        with (
            self._reached(deadline) as plain,
            self._translated_errors(),
            secure(plain, self._context(verification), self.server_name, deadline) as connection,
        ):
            took_s = time.monotonic() - started
            sent, chain = chains(connection)
            protocol = connection.version() or ""
            if self.query.client_certificate is not None and protocol == Protocol.TLSV1_3:
                failure, advice = _refusal(connection, address, took_s, deadline)
        return Handshake(
            address=address,
            protocol=protocol,
            sent=self._parse(sent),
            chain=self._parse(chain) if verification is not Verification.NONE else (),
            failure=failure,
            advice=advice,
        )

    @contextmanager
    def _reached(self, deadline: float) -> Iterator[socket.socket]:
        """A connection that is ready for TLS. Raises ProbeError and NoHandshakeError."""
        address, started = str(self.address), time.monotonic()
        try:
            connection = dial_one(self.address, deadline)
        except TimeoutError as error:
            waited = time.monotonic() - started
            raise late(f"no connection to {address} in {format_duration(waited)}", waited) from error
        except OSError as error:
            raise unreachable(error, address) from error
        with connection:
            if self.query.starttls is not None:
                with self._translated_errors():
                    start_tls(connection, self.query.starttls, deadline)
            yield connection

    @contextmanager
    def _translated_errors(self) -> Iterator[None]:
        """Convert errors of connections to ProbeError and NoHandshakeError."""
        address, started = str(self.address), time.monotonic()
        try:
            yield
        except TimeoutError as error:
            waited = time.monotonic() - started
            silence = late(f"no TLS handshake with {address} in {format_duration(waited)}", waited)
            silence.problem = replace(silence.problem, advice=self._starttls_advice)
            raise silence from error
        except NoStartTls as error:
            raise NoHandshakeError(f"{address} {error.text}", error.advice) from error
        except ssl.SSLCertVerificationError as error:
            raise NoHandshakeError(*explained(error, address), error.verify_message, error.verify_code) from error
        except OSError as error:
            failure, advice = explained(error, address)
            reason = getattr(error, "reason", None) or failure
            raise NoHandshakeError(failure, self._hint(error) or advice, reason) from error

    def _parse(self, chain: list[bytes]) -> tuple[Certificate, ...]:
        try:
            return tuple(certificate_in_der(one) for one in chain)
        except ValueError as error:
            text = f"a certificate of {self.address} cannot be parsed: {error}"
            raise ProbeError(ProblemKind.UNREADABLE, text) from error

    def _hint(self, error: OSError) -> str:
        """Advice for a closed connection or an answer without TLS: it may need STARTTLS."""
        other = isinstance(error, ConnectionError | ssl.SSLEOFError) or getattr(error, "reason", "") in _NO_TLS
        return self._starttls_advice if other and self.query.starttls is None else ""

    @property
    def _starttls_advice(self) -> str:
        usual = _STARTTLS_PORTS.get(self.address.sockaddr[1])
        if usual is None or self.query.starttls is not None:
            return "is this a port without TLS?"
        return f"this port usually needs STARTTLS: set `starttls: {usual}`"


def _refusal(connection: ssl.SSLSocket, address: str, took_s: float, deadline: float) -> tuple[str, str]:
    """
    The server's refusal of the client certificate, and advice; empty without one.

    In TLS 1.3 it comes after the handshake, and an accepting server sends nothing: it waits for a request. In older
    versions the handshake fails.
    """
    try:
        _receive(connection, max(_MIN_WAIT_S, _HANDSHAKES * took_s), deadline)
        # A server that is still busy sends its refusal before it closes the connection.
        socket.socket.shutdown(connection, socket.SHUT_WR)
    except ssl.SSLError as error:
        return explained(error, address)
    except OSError:
        return f"{address} closed the connection after the client certificate", "see its log for the reason"
    try:
        _receive(connection, _MAX_WAIT_S, deadline)
    except ssl.SSLError as error:
        if any(word in (error.reason or "") for word in _ABOUT_CERTIFICATE):
            return explained(error, address)
    except OSError:
        pass  # it closes the connection
    return "", ""


def _receive(connection: ssl.SSLSocket, timeout_s: float, deadline: float) -> None:
    """Wait for data. Raises OSError where the server refuses instead."""
    try:
        connection.settimeout(min(timeout_s, seconds_left(deadline)))
        if not connection.recv(1):
            raise ConnectionResetError
    except TimeoutError:
        return
