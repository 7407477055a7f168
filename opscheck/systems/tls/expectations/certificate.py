"""What can be expected of the certificate that a server serves."""

import re
from collections.abc import Iterable
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import PydanticCustomError

from opscheck.core.expectation import Remediation
from opscheck.core.query import Query
from opscheck.systems.tls.expectations.lifetimes import CertificatesLast
from opscheck.systems.tls.expectations.looking import SNI, WAYS, commands_to_look, is_address, other_ways
from opscheck.systems.tls.queries.handshake import Addresses, Protocol, ShakeHands, StartTls
from opscheck.systems.tls.target import Endpoint

_VERSIONS = {"1.0": Protocol.TLSV1, "1.1": Protocol.TLSV1_1, "1.2": Protocol.TLSV1_2, "1.3": Protocol.TLSV1_3}
PemFile = Annotated[str, Field(min_length=1)]
_COLUMNS = "NAMESPACE:.metadata.namespace,NAME:.metadata.name,ENDS:.status.notAfter,NAMES:.spec.dnsNames"


def _as_text(value: object) -> object:
    return str(value) if isinstance(value, float) else value  # YAML reads 1.2 as a number


def _host(value: str) -> str:
    name = value if is_address(value) else value.rstrip(".").lower()
    try:
        encoded = name.encode("idna").decode()
    except UnicodeError:
        encoded = ""
    if not is_address(name) and not re.fullmatch(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*", encoded):
        raise PydanticCustomError("server_name", "a host name alone, such as api.example.com")
    return name


ServerName = Annotated[str, AfterValidator(_host)]
_Version = Literal["1.0", "1.1", "1.2", "1.3"]
MinVersion = Annotated[_Version, BeforeValidator(_as_text, json_schema_input_type=_Version | float)]


class TlsCertificate(CertificatesLast, check="tls.certificate"):
    """
    The certificate that a server serves is the right one, is trusted, and lasts long enough.

    Every address of the name is asked. All that is wrong is told: an expired certificate of an unknown authority is
    both. What counts for the time left is the certificate of the chain that ends first, and never one that is sent
    along without need. Its share is one of the lifetime of the server's own certificate. A name stands in the
    subjectAltName; the CN is no name any more. A server that agrees to an old protocol beside newer ones is as
    bad as `weak` says.
    """

    # One name for each state: a command that names a state is left out of findings about another one.
    fact_names: ClassVar = {
        **WAYS,
        **SNI,
        "ending": "the name that is asked for, when the certificate has expired or will soon",
        "early": "the host, when a certificate is not valid yet",
        "issuer_url": "where the authority says that its certificate is, when the server may leave it out",
        "old_protocol": "the version of TLS that it speaks and should not",
        "old_address": "the endpoint, when it speaks a version of TLS that it should not",
    }
    default_remediation = Remediation(
        summary="Look at what is served; renew or replace it, and have the server load the new one",
        commands=(
            *commands_to_look(" # the chain, with its times"),
            "certbot certificates --domain {{ ending }}  # then: certbot renew --cert-name NAME, and reload the server",
            f"kubectl get certificates -A -o custom-columns={_COLUMNS} | grep {{{{ ending }}}}  # cmctl renew NAME",
            "ssh {{ early }} date -u; date -u  # do the clocks agree?",
            "curl -sS {{ issuer_url }} | openssl x509 -noout -subject  # serve it behind the server's own certificate",
            "openssl s_client -connect {{ old_address }} -max_protocol {{ old_protocol }} -cipher ALL:@SECLEVEL=0 <&-",
        ),
    )

    endpoint: Endpoint
    """The server, as host:port: `api.example.com:443`."""
    server_name: ServerName | None = None
    """The name to ask for (SNI), which the certificate must be for; the endpoint's host by default."""
    starttls: StartTls | None = None
    """How TLS begins where it does not begin with the first byte."""
    addresses: Addresses = Addresses.ALL
    """Which addresses of the name must serve it; say `ipv4` where this machine has no IPv6."""
    ca_file: PemFile | None = None
    """PEM file of the authorities to trust instead of the system's."""
    client_certificate: PemFile | None = None
    """PEM file with a client certificate and its key, for a server that asks for one; it must accept it."""
    min_version: MinVersion = "1.2"
    """The oldest version of TLS that the server may agree to."""
    strict: bool = False
    """True when the chain must keep to RFC 5280 in all details, as clients in Python 3.13 and newer demand."""

    def queries(self) -> Iterable[Query[Any]]:
        """One question for all addresses."""
        return (self.handshakes,)

    @property
    def handshakes(self) -> ShakeHands:
        """What is served there."""
        return ShakeHands(
            self.endpoint.name,
            server_name=self.server_name,
            starttls=self.starttls,
            ca_file=self.ca_file,
            client_certificate=self.client_certificate,
            addresses=self.addresses,
            min_version=self.floor,
            strict=self.strict,
        )

    @property
    def floor(self) -> Protocol:
        """The oldest version that is all right."""
        return _VERSIONS[self.min_version]

    @property
    def asked_name(self) -> str:
        """The name that the certificate must be for."""
        return self.server_name or self.endpoint.host

    def facts_ruled_out(self) -> frozenset[str]:
        """The ways to look at other endpoints."""
        return other_ways(self.asked_name, self.starttls)
