"""The demo's certificate authority, the certificates of its servers, and the bundle to trust."""

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme

from opscheck.demo.serving import Tls

LIFETIME = timedelta(days=90)
_USED = timedelta(days=12)
_ORGANIZATION = "opscheck demo"
_NAMES = ("127.0.0.1", "localhost")


class Authority:
    """A new certificate authority, which signs for 127.0.0.1 and localhost."""

    def __init__(self) -> None:
        self._authority = trustme.CA(organization_name=_ORGANIZATION, organization_unit_name="authority")

    @property
    def certificate(self) -> bytes:
        """The CA certificate that clients have to trust, as PEM."""
        return self._authority.cert_pem.bytes()

    def tls(self) -> Tls:
        """The server's side of TLS, with a certificate that has most of its lifetime left."""
        made = Tls(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), self.certificate)
        self.renew(made)
        return made

    def renew(self, tls: Tls, *, left: timedelta = LIFETIME - _USED) -> None:
        """Serve another certificate from the next handshake on. It expires after `left`."""
        ends = datetime.now(UTC) + left
        made = self._authority.issue_cert(
            *_NAMES,
            organization_name=_ORGANIZATION,
            organization_unit_name="server",
            not_before=ends - LIFETIME,
            not_after=ends,
        )
        made.configure_cert(tls.context)


def issue() -> Tls:
    """A server certificate for 127.0.0.1 and localhost, and the new authority that signed it."""
    return Authority().tls()


def write_bundle(path: Path, authority: bytes) -> Path:
    """Write the file for SSL_CERT_FILE: the CAs that this system trusts, and the demo's."""
    known = ssl.get_default_verify_paths()
    files = [Path(found) for found in (known.cafile, known.openssl_cafile) if found and Path(found).is_file()]
    system = files[0].read_bytes() if files else b""
    path.write_bytes(system.rstrip() + b"\n" + authority if system else authority)
    return path
