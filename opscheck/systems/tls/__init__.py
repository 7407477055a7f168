"""TLS endpoints and certificates."""

from opscheck.bundle import bundled
from opscheck.core.system import Kind, System

SYSTEM = System(
    name="tls",
    kinds={
        "tls": Kind(
            target="opscheck.systems.tls.target:Endpoint",
            probe="opscheck.systems.tls.probe.session",
            inline=True,
        ),
    },
    expectations={
        "tls.certificate": "opscheck.systems.tls.certificate:TlsCertificate",
        "tls.files": "opscheck.systems.tls.files:TlsFiles",
    },
    checks=bundled("checks") / "tls",
    discover="opscheck.systems.tls.discovery:discover",
    readers={"host.certificate_files": "opscheck.systems.tls.probe.files:read_certificate_files"},
)
