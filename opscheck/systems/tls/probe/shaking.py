"""
One address: hands are shaken until it is known what it serves.

OpenSSL tells one thing that is wrong, and no more: of an expired certificate from an unknown authority that the
authority is unknown. So hands are shaken up to three times: as any client does, then whatever the certificate's time,
name and strength are, and at last whatever comes. What is wrong is then told from the certificates themselves.
"""

import errno
import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_address

from msgspec.structs import replace

from opscheck.core.observation import ProbeError, Problem, ProblemKind
from opscheck.core.units import format_duration
from opscheck.systems.tls.probe.accepting import refusal
from opscheck.systems.tls.probe.contexts import Manner, chains, context_for
from opscheck.systems.tls.probe.older import newest_before, offer
from opscheck.systems.tls.probe.starttls import NoStartTls, start_tls
from opscheck.systems.tls.queries.certificates import Certificate
from opscheck.systems.tls.queries.handshake import Handshake, Older, ShakeHands, StartTls
from opscheck.systems.tls.x509 import certificate_in_der
from opscheck.transport.connect import Address, dial_one, explained, late, secure, unreachable

_NO_TLS = {"WRONG_VERSION_NUMBER", "HTTP_REQUEST"}
# A machine without IPv6 says one of these of every such address.
_NO_ROUTE = {errno.ENETUNREACH, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}

# Where a protocol mostly begins without TLS.
_STARTTLS_PORTS: Mapping[int, StartTls] = {
    25: StartTls.SMTP,
    110: StartTls.POP3,
    143: StartTls.IMAP,
    389: StartTls.LDAP,
    587: StartTls.SMTP,
    5432: StartTls.POSTGRES,
}


class NotReachedError(Exception):
    """Nobody knows what the address serves."""

    def __init__(self, problem: Problem, *, no_route: bool = False) -> None:
        super().__init__(problem.text)
        self.problem = problem
        self.no_route = no_route


class NoHandshakeError(Exception):
    """The address was reached, and there was no handshake."""

    def __init__(self, failure: str, advice: str = "", reason: str = "", code: int = 0) -> None:
        super().__init__(failure)
        self.failure = failure
        self.advice = advice
        self.reason = reason or failure
        """In OpenSSL's words, where they are of it."""
        self.code = code
        """X509_V_ERR_…, where the certificate is the reason."""


@dataclass(frozen=True)
class Door:
    """One address of an endpoint, and what is asked there."""

    address: Address
    server_name: str
    """In ASCII."""
    query: ShakeHands

    @property
    def sni(self) -> str:
        """The name; empty for an address, which is none."""
        try:
            ip_address(self.server_name)
        except ValueError:
            return self.server_name
        return ""

    def look(self, deadline: float) -> Handshake:
        """What it serves, or what stands in the way. Raises ProbeError for files that cannot be used."""
        try:
            return self._shake(Manner.ORDINARY, deadline)
        except NotReachedError as error:
            return Handshake(address=str(self.address), problem=error.problem, no_route=error.no_route)
        except NoHandshakeError as error:
            refused = error
        try:
            behind = self._look_behind(deadline)
        except NotReachedError:
            return self._refusing(refused)
        except NoHandshakeError as error:
            return self._refusing(refused, error)
        return replace(behind, refused=refused.reason, refused_code=refused.code)

    def offer_older(self, deadline: float) -> Older:
        """Whether it agrees to a version older than the floor."""
        newest = newest_before(self.query.min_version)
        try:
            with self._reached(deadline) as connection:
                return offer(connection, newest, self.sni, deadline)
        except (NotReachedError, NoHandshakeError) as error:
            return Older(unknown=f"{newest} could not be offered: {error}")

    def _look_behind(self, deadline: float) -> Handshake:
        """What it serves to clients that accept more. Raises NotReachedError and NoHandshakeError."""
        try:
            return self._shake(Manner.ANY_TIME, deadline)
        except NoHandshakeError as untrusted:
            code, reason = untrusted.code, untrusted.reason
            if not code:
                raise
        seen = self._shake(Manner.ANYTHING, deadline)
        return replace(seen, chain=(), untrusted=reason, untrusted_code=code)

    def _refusing(self, *errors: NoHandshakeError) -> Handshake:
        """That it serves nothing; what is behind the first reason is told too, such as a client certificate it asks."""
        failures = dict.fromkeys(one.failure for one in errors)
        advice = dict.fromkeys(one.advice for one in errors if one.advice)
        return Handshake(address=str(self.address), failure="; and ".join(failures), advice="; ".join(advice))

    def _shake(self, manner: Manner, deadline: float) -> Handshake:
        """Raises NotReachedError, NoHandshakeError, and ProbeError for files that cannot be used."""
        query = self.query
        context = context_for(manner, query.ca_file, query.client_certificate, strict=query.strict)
        place, started, failure, advice = str(self.address), time.monotonic(), "", ""
        with (
            self._reached(deadline) as plain,
            self._telling(),
            secure(plain, context, self.server_name, deadline) as connection,
        ):
            took_s = time.monotonic() - started
            sent, chain = chains(connection)
            protocol = connection.version() or ""
            if query.client_certificate is not None:
                failure, advice = refusal(connection, place, took_s, deadline)
        return Handshake(
            address=place,
            protocol=protocol,
            sent=self._read(sent),
            chain=self._read(chain) if manner is not Manner.ANYTHING else (),
            failure=failure,
            advice=advice,
        )

    @contextmanager
    def _reached(self, deadline: float) -> Iterator[socket.socket]:
        """A connection on which TLS can begin. Raises NotReachedError and NoHandshakeError."""
        place, started = str(self.address), time.monotonic()
        try:
            connection = dial_one(self.address, deadline)
        except TimeoutError as error:
            waited = time.monotonic() - started
            text = f"no connection to {place} in {format_duration(waited)}"
            raise NotReachedError(late(text, waited).problem) from error
        except OSError as error:
            no_route = self.address.family == socket.AF_INET6 and error.errno in _NO_ROUTE
            raise NotReachedError(unreachable(error, place).problem, no_route=no_route) from error
        with connection:
            if self.query.starttls is not None:
                with self._telling():
                    start_tls(connection, self.query.starttls, deadline)
            yield connection

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """Tell what the address did instead of a handshake. Raises NotReachedError and NoHandshakeError."""
        place, started = str(self.address), time.monotonic()
        try:
            yield
        except TimeoutError as error:
            waited = time.monotonic() - started
            problem = late(f"no TLS handshake with {place} in {format_duration(waited)}", waited).problem
            raise NotReachedError(replace(problem, advice=self._begins_otherwise)) from error
        except NoStartTls as error:
            raise NoHandshakeError(f"{place} {error.text}", error.advice) from error
        except ssl.SSLCertVerificationError as error:
            raise NoHandshakeError(*explained(error, place), error.verify_message, error.verify_code) from error
        except OSError as error:
            failure, advice = explained(error, place)
            reason = getattr(error, "reason", None) or failure
            raise NoHandshakeError(failure, self._hint(error) or advice, reason) from error

    def _read(self, chain: list[bytes]) -> tuple[Certificate, ...]:
        try:
            return tuple(certificate_in_der(one) for one in chain)
        except ValueError as error:
            text = f"a certificate of {self.address} cannot be read: {error}"
            raise NotReachedError(ProbeError(ProblemKind.UNREADABLE, text).problem) from error

    def _hint(self, error: OSError) -> str:
        """Where it hangs up on TLS, or answers something else, TLS may begin otherwise."""
        other = isinstance(error, ConnectionError | ssl.SSLEOFError) or getattr(error, "reason", "") in _NO_TLS
        return self._begins_otherwise if other and self.query.starttls is None else ""

    @property
    def _begins_otherwise(self) -> str:
        usual = _STARTTLS_PORTS.get(self.address.place[1])
        if usual is None or self.query.starttls is not None:
            return "is this a port without TLS?"
        return f"on this port TLS mostly begins otherwise: say `starttls: {usual}`"
