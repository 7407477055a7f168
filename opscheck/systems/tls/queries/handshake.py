"""The question what a server serves in TLS handshakes, at each of its addresses."""

from dataclasses import dataclass
from enum import StrEnum

import msgspec

from opscheck.core.observation import Problem
from opscheck.core.query import Query
from opscheck.systems.tls.queries.certificates import Certificate


class StartTls(StrEnum):
    """A protocol that begins without TLS, and how it changes over; the words are those of `openssl s_client`."""

    POSTGRES = "postgres"
    SMTP = "smtp"
    LDAP = "ldap"
    IMAP = "imap"
    POP3 = "pop3"


class Addresses(StrEnum):
    """Which addresses of a name are asked."""

    ALL = "all"
    IPV4 = "ipv4"
    IPV6 = "ipv6"


class Protocol(StrEnum):
    """A version of TLS, as OpenSSL calls it, from the oldest to the newest."""

    SSLV3 = "SSLv3"
    TLSV1 = "TLSv1"
    TLSV1_1 = "TLSv1.1"
    TLSV1_2 = "TLSv1.2"
    TLSV1_3 = "TLSv1.3"

    def is_older_than(self, other: "Protocol") -> bool:
        """True when this version came before `other`."""
        return _AGES[self] < _AGES[other]


_AGES = {protocol: age for age, protocol in enumerate(Protocol)}


class Older(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a server says to an offer of nothing but versions that are too old."""

    accepted: Protocol | None = None
    """The version that it agreed to; None when it refused them all."""
    unknown: str = ""
    """Why it is not known whether it would."""


class Handshake(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """
    What one address serves.

    It was reached and spoke TLS: then `sent` holds the certificates. Or it was reached and did not: `failure` says how.
    Or nothing is known of it: `problem` says why.
    """

    address: str
    """With its port: `192.0.2.1:443`, `[2001:db8::1]:443`."""
    problem: Problem | None = None
    """Why it was not reached, or said nothing in time."""
    no_route: bool = False
    """True when the problem is this machine's: it has no route to any address of this family."""
    failure: str = ""
    """What it did instead of a handshake, as a sentence; or after it, where it refuses the client certificate."""
    advice: str = ""
    """What to do about the failure."""
    protocol: str = ""
    """The version that was agreed on, as OpenSSL calls it: `TLSv1.3`."""
    sent: tuple[Certificate, ...] = ()
    """The certificates that the server sent, in its order; the first is its own, the leaf."""
    chain: tuple[Certificate, ...] = ()
    """
    From the leaf to the authority that is trusted, both included, as OpenSSL put it together.

    Where no such chain is valid now, one that is whole but for its time; empty where there is none at all.
    """
    untrusted: str = ""
    """Why there is no chain, in OpenSSL's words; neither time, name nor strength are a reason."""
    untrusted_code: int = 0
    """The same as a number: X509_V_ERR_…"""
    refused: str = ""
    """Why a client with ordinary settings refuses, in OpenSSL's words; it tells the first reason only."""
    refused_code: int = 0
    """The same as X509_V_ERR_…, where the certificate is the reason."""
    older: Older = Older()
    """Whether it agrees to versions older than the floor."""

    @property
    def leaf(self) -> Certificate | None:
        """The server's own certificate."""
        return self.sent[0] if self.sent else None


class Handshakes(msgspec.Struct, frozen=True, kw_only=True):
    """What each address of an endpoint serves, in the order in which they were resolved."""

    server_name: str
    """The name that was asked for."""
    addresses: tuple[Handshake, ...]


@dataclass(frozen=True)
class ShakeHands(Query[Handshakes], name="tls.handshake"):
    """
    Shake hands with every address of an endpoint, and say nothing more.

    `target` is an endpoint's name. `server_name` is what is sent as SNI, and what the certificate must be for; None is
    the endpoint's host. `ca_file` and `client_certificate` are paths of PEM files.
    """

    server_name: str | None = None
    starttls: StartTls | None = None
    ca_file: str | None = None
    client_certificate: str | None = None
    addresses: Addresses = Addresses.ALL
    min_version: Protocol = Protocol.TLSV1_2
    strict: bool = False

    def text(self) -> str:
        """The question as a person would ask it."""
        named = f" for {self.server_name}" if self.server_name else ""
        how = f" after STARTTLS of {self.starttls}" if self.starttls else ""
        which = "every address" if self.addresses is Addresses.ALL else f"every {self.addresses} address"
        return f"TLS handshakes{named} with {which} of {self.target.removeprefix('tls://')}{how}"
