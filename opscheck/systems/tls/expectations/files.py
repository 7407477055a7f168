"""What can be expected of certificates that lie in files."""

from collections.abc import Iterable
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from opscheck.core.expectation import Remediation
from opscheck.core.query import Query
from opscheck.core.units import Duration, Severity
from opscheck.systems.host.target import HostTarget
from opscheck.systems.tls.expectations.certificate import PemFile, ServerName
from opscheck.systems.tls.expectations.lifetimes import CertificatesLast
from opscheck.systems.tls.expectations.looking import SNI, WAYS, commands_to_look, other_ways
from opscheck.systems.tls.queries.files import ReadCertificateFiles
from opscheck.systems.tls.queries.handshake import Addresses, ShakeHands, StartTls
from opscheck.systems.tls.target import Endpoint


def _pattern(value: str) -> str:
    if not value.startswith("/") or any(character in value for character in "\0\n\r"):
        raise PydanticCustomError("path_not_absolute", "an absolute path, such as /etc/nginx/tls/*.pem")
    return value


Pattern = Annotated[str, AfterValidator(_pattern)]
Patterns = Annotated[tuple[Pattern, ...], Field(min_length=1)]


class TlsFiles(CertificatesLast, check="tls.files"):
    """
    The certificates in files are valid, last long enough, and the newest of them is what is served.

    Files are in PEM, PKCS#12 or DER. Each certificate is judged with what signed it in the same file: what counts is
    the one that ends first, and its share is one of the first one's lifetime. Keys in those files are left alone. A
    file that may not be read makes it unknown; one without a certificate, or with a part of one, violates it.
    """

    fact_names: ClassVar = {
        "pem": "the file, when it is in PEM",
        "keystore": "the file, when it is in PKCS#12",
        "ending": "the file, when what is in it has ended or will soon",
        "broken": "the file, when it holds no certificate, or not all of one",
        "near": "the folder that was looked into, where no file matches",
        "serving": "the endpoint that serves another certificate than the newest",
        **WAYS,
        **SNI,
        "newest": "the file with the newest certificate, when that is not served",
    }
    default_remediation = Remediation(
        summary="On that host: see what is in the file and who renews it; have the server load the newest",
        commands=(
            "openssl x509 -in {{ pem }} -noout -subject -issuer -dates",
            "openssl pkcs12 -in {{ keystore }} -nokeys -info",
            "certbot certificates; systemctl list-timers  # who renews {{ ending }}, and when did it last?",
            "ls -l {{ broken }}; grep -c BEGIN {{ broken }}",
            "ls -la {{ near }}",
            "openssl x509 -in {{ newest }} -noout -dates -serial",
            *commands_to_look("| openssl x509 -noout -dates -serial"),
            "systemctl reload nginx  # or what else serves {{ serving }}",
        ),
    )

    target: HostTarget
    paths: Patterns
    """
    The files, as absolute paths with `*`, `?` and `[…]` as a shell has them: `[/etc/letsencrypt/live/*/fullchain.pem]`.

    Each must match a file at least. Of files with authorities, such as a system's, say how long they must last
    (`remaining: 30d`): a quarter of their lifetime is years.
    """
    served_at: Endpoint | None = None
    """
    Where they are served, as host:port. The certificate that is served must be the newest of those for its names.

    That it was renewed and nobody has told the server is what goes wrong most.
    """
    server_name: ServerName | None = None
    """The name to ask for there (SNI); the endpoint's host by default."""
    starttls: StartTls | None = None
    """How TLS begins there, where it does not begin with the first byte."""
    client_certificate: PemFile | None = None
    """PEM file with a client certificate and its key, here and not on the host, where it asks for one."""
    addresses: Addresses = Addresses.ALL
    """Which addresses of the name must serve it; say `ipv4` where this machine has no IPv6."""
    reload_within: Duration = Duration.parse("1h")
    """How long after a file was written what is served may still be an older one."""

    stale: Severity = Severity.P2
    """How bad it is that another certificate is served than the newest; worse where that one ends too soon."""

    @property
    def worst_severity(self) -> Severity:
        """How bad a violation can be at worst."""
        return min(super().worst_severity, self.stale)

    @property
    def files(self) -> ReadCertificateFiles:
        """What lies there."""
        return ReadCertificateFiles(self.target.name, paths=self.paths)

    @property
    def handshakes(self) -> ShakeHands | None:
        """What is served, where that is to be judged."""
        if self.served_at is None:
            return None
        return ShakeHands(
            self.served_at.name,
            server_name=self.server_name,
            starttls=self.starttls,
            client_certificate=self.client_certificate,
            addresses=self.addresses,
        )

    @property
    def asked_name(self) -> str:
        """The name that is asked for there."""
        return self.server_name or (self.served_at.host if self.served_at else "")

    def queries(self) -> Iterable[Query[Any]]:
        """What lies there, and what is served."""
        return (self.files, self.handshakes) if self.handshakes is not None else (self.files,)

    def facts_ruled_out(self) -> frozenset[str]:
        """All that is about what is served, where that is not judged; else the ways to look at other endpoints."""
        if self.served_at is None:
            return frozenset({"serving", "newest", *WAYS, *SNI})
        return other_ways(self.asked_name, self.starttls)
