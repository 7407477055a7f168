"""The certificate of a server: the expectation of `tls.certificate`."""

from collections.abc import Iterable
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator

from opscheck.core.query import Query
from opscheck.core.remedy import Former, Remedy
from opscheck.systems.tls.handshake import (
    CLIENT_FACTS,
    FORMER_CLIENT_FACTS,
    Addresses,
    PemFile,
    Protocol,
    ServerName,
    ShakeHands,
    StartTls,
)
from opscheck.systems.tls.lifetime import CertificatesLast
from opscheck.systems.tls.target import Endpoint

_VERSIONS = {"1.0": Protocol.TLSV1, "1.1": Protocol.TLSV1_1, "1.2": Protocol.TLSV1_2, "1.3": Protocol.TLSV1_3}

_COLUMNS = "NAMESPACE:.metadata.namespace,NAME:.metadata.name,ENDS:.status.notAfter,NAMES:.spec.dnsNames"
LOOK = Remedy(
    "Inspect the served certificate",
    "openssl s_client -connect {{ address }} {{ client_options }} </dev/null  # the chain, with its validity",
)
REPLACE = Remedy("Replace the certificate, and reload the server")
RENEW = Remedy(
    "Renew the certificate, and reload the server",
    "certbot certificates --domain {{ name }}  # then: certbot renew --cert-name NAME, and reload the server",
    f"kubectl get certificates -A -o custom-columns={_COLUMNS} | grep {{{{ name }}}}  # cmctl renew NAME",
)
COMPARE_CLOCKS = Remedy(
    "Compare the clocks of the server and of this machine",
    "ssh {{ host }} date -u; date -u  # do the clocks agree?",
)
SERVE_INTERMEDIATE = Remedy(
    "Add the intermediate certificate to the chain that the server sends",
    "curl -sS {{ issuer_url }} | openssl x509 -noout -subject  # append it to the server's certificate file",
)
DISABLE_PROTOCOL = Remedy(
    "Disable the old version of TLS in the server's configuration",
    "openssl s_client -connect {{ peer }} {{ client_options }} -max_protocol {{ protocol }} "
    "-cipher ALL:@SECLEVEL=0 </dev/null",
)


def _as_text(value: object) -> object:
    return str(value) if isinstance(value, float) else value  # YAML reads 1.2 as a number


_Version = Literal["1.0", "1.1", "1.2", "1.3"]
MinVersion = Annotated[_Version, BeforeValidator(_as_text, json_schema_input_type=_Version | float)]


class TlsCertificate(CertificatesLast, check="tls.certificate"):
    """
    Every address serves a trusted, matching certificate with enough lifetime left.

    Every address of the name is checked, and every fault is reported: an expired certificate of an unknown CA is both.
    The remaining lifetime is that of the certificate of the chain that ends first; unneeded certificates do not count.
    Its share refers to the lifetime of the server's own certificate. Only names in the subjectAltName count, not the
    CN. Support of an old protocol has the severity `weak`.
    """

    remedies = (LOOK, REPLACE, RENEW, COMPARE_CLOCKS, SERVE_INTERMEDIATE, DISABLE_PROTOCOL)
    fact_names: ClassVar = {
        **CLIENT_FACTS,
        "host": "the host of the endpoint",
        "issuer_url": "the URL of the missing intermediate certificate, where the certificate has one",
        "protocol": "the accepted old version of TLS",
        "peer": "one address that accepts the protocol, as address:port",
    }
    former_fact_names: ClassVar = {
        **FORMER_CLIENT_FACTS,
        "ending": Former("name", RENEW),
        "early": Former("host", COMPARE_CLOCKS),
        "old_protocol": Former("protocol", DISABLE_PROTOCOL),
        "old_address": Former("peer", DISABLE_PROTOCOL),
    }

    endpoint: Endpoint
    """The server, as host:port such as `api.example.com:443`, or as a URL such as `https://api.example.com`."""
    server_name: ServerName | None = None
    """The requested name (SNI), which the certificate must cover; the endpoint's host by default."""
    starttls: StartTls | None = None
    """The protocol of STARTTLS; none by default."""
    addresses: Addresses = Addresses.ALL
    """The addresses of the name that must serve it; `ipv4` on a machine without IPv6."""
    ca_file: PemFile | None = None
    """PEM file of the CAs to trust instead of the system's trust store."""
    client_certificate: PemFile | None = None
    """PEM file with a client certificate and its key, which the server must accept."""
    min_version: MinVersion = "1.2"
    """The oldest version of TLS that the server may accept."""
    strict: bool = False
    """True when the chain must follow RFC 5280 strictly, as clients in Python 3.13 and newer require."""

    def queries(self) -> Iterable[Query[Any]]:
        """One query for all addresses."""
        return (self.handshakes,)

    @property
    def handshakes(self) -> ShakeHands:
        """The query that it is judged by."""
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
        """The minimum version."""
        return _VERSIONS[self.min_version]
