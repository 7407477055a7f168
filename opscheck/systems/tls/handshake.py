"""TLS handshakes with every address of an endpoint: the query, its answer, and the fields that expectations share."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

import msgspec
from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from opscheck.core.observation import Problem
from opscheck.core.query import Query
from opscheck.core.remedy import Fact, Former
from opscheck.systems.tls.x509 import Certificate, address_in


class StartTls(StrEnum):
    """A protocol that upgrades to TLS; the values are those of `openssl s_client -starttls`."""

    POSTGRES = "postgres"
    SMTP = "smtp"
    LDAP = "ldap"
    IMAP = "imap"
    POP3 = "pop3"


class Addresses(StrEnum):
    """The addresses of a name that are judged."""

    ALL = "all"
    IPV4 = "ipv4"
    IPV6 = "ipv6"


class Protocol(StrEnum):
    """A version of TLS by OpenSSL's name, from the oldest to the newest."""

    SSLV3 = "SSLv3"
    TLSV1 = "TLSv1"
    TLSV1_1 = "TLSv1.1"
    TLSV1_2 = "TLSv1.2"
    TLSV1_3 = "TLSv1.3"

    def is_older_than(self, other: "Protocol") -> bool:
        """True when this version came before `other`."""
        versions = list(Protocol)
        return versions.index(self) < versions.index(other)


class LegacyOffer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A server's answer to an offer of only old versions."""

    accepted: Protocol | None = None
    """The accepted version; None when it refused all."""
    unknown: str = ""
    """The reason for an unknown answer."""


class Handshake(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """
    The certificates that one address serves.

    After a handshake `sent` has the certificates. Without one `failure` has the reason. For an unreachable address
    `problem` has the reason.
    """

    address: str
    """With its port: `192.0.2.1:443`, `[2001:db8::1]:443`."""
    problem: Problem | None = None
    """The reason for no connection, or for no answer in time."""
    no_route: bool = False
    """True when the problem is this machine's: it has no route to any address of this family."""
    failure: str = ""
    """The failure of the handshake, as a sentence; or after it, the refusal of the client certificate."""
    advice: str = ""
    """The remedy of the failure."""
    protocol: str = ""
    """The negotiated version by OpenSSL's name: `TLSv1.3`."""
    sent: tuple[Certificate, ...] = ()
    """The certificates that the server sent, in its order; the first is its own, the leaf."""
    chain: tuple[Certificate, ...] = ()
    """
    From the leaf to the trusted authority, both included, as OpenSSL built it.

    Where no such chain is valid now, one that is complete but expired; empty where there is none.
    """
    untrusted: str = ""
    """OpenSSL's reason for no chain; time, name and strength do not count."""
    untrusted_code: int = 0
    """The code of that reason, X509_V_ERR_…"""
    refused: str = ""
    """OpenSSL's first reason why a client with default settings refuses."""
    refused_code: int = 0
    """The code of that reason, X509_V_ERR_…, where it is about the certificate."""
    older: LegacyOffer = LegacyOffer()
    """Its answer to an offer of versions older than the minimum."""

    @property
    def leaf(self) -> Certificate | None:
        """The server's own certificate."""
        return self.sent[0] if self.sent else None


class Handshakes(msgspec.Struct, frozen=True, kw_only=True):
    """The handshakes with each address of an endpoint, in the order of name resolution."""

    server_name: str
    """The requested name."""
    addresses: tuple[Handshake, ...]


@dataclass(frozen=True)
class ShakeHands(Query[Handshakes], name="tls.handshake"):
    """
    TLS handshakes with every address of an endpoint, without application data.

    `target` is an endpoint's name. `server_name` is sent as SNI, and the certificate must be for it; None is the
    endpoint's host. `ca_file` and `client_certificate` are paths of PEM files.
    """

    server_name: str | None = None
    starttls: StartTls | None = None
    ca_file: str | None = None
    client_certificate: str | None = None
    addresses: Addresses = Addresses.ALL
    min_version: Protocol = Protocol.TLSV1_2
    strict: bool = False

    def text(self) -> str:
        named = f" for {self.server_name}" if self.server_name else ""
        how = f" after STARTTLS of {self.starttls}" if self.starttls else ""
        which = "every address" if self.addresses is Addresses.ALL else f"every {self.addresses} address"
        return f"TLS handshakes{named} with {which} of {self.target.removeprefix('tls://')}{how}"


CLIENT_FACTS: Mapping[str, str] = {
    "address": "the address that serves the certificate, as host:port",
    "client_options": "the options of openssl s_client for it: STARTTLS, SNI and a client certificate",
    "name": "the requested host name or address",
}
"""The values of findings that `openssl s_client` needs."""
FORMER_CLIENT_FACTS: Mapping[str, Former] = {
    "connect": Former("address", without="starttls"),
    "connect_nameless": Former("address", without="starttls"),
    "connect_starttls": Former("address"),
    "connect_starttls_nameless": Former("address"),
    "sni": Former("name"),
}


def client_facts(
    address: str, name: str, starttls: StartTls | None, client_certificate: str | None = None
) -> dict[str, Fact]:
    """The values that request the certificate for `name` at `address` with `openssl s_client`."""
    # Without -noservername openssl would send the host that it connects to.
    sni = ("-noservername",) if address_in(name) is not None else ("-servername", name)
    options = ("-starttls", str(starttls), *sni) if starttls else sni
    options += ("-cert", client_certificate, "-cert_chain", client_certificate) if client_certificate else ()
    return {"address": address, "client_options": options, "name": name}


def _host(value: str) -> str:
    if address_in(value) is not None:
        return value
    name = value.rstrip(".").lower()
    try:
        encoded = name.encode("idna").decode()
    except UnicodeError:
        encoded = ""
    if not re.fullmatch(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*", encoded):
        raise PydanticCustomError("server_name", "a host name only, such as api.example.com")
    return name


ServerName = Annotated[str, AfterValidator(_host)]
PemFile = Annotated[str, Field(min_length=1)]
