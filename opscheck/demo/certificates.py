"""A certificate authority of the demo's own, and the trust in it."""

import ssl
from pathlib import Path

import trustme

from opscheck.demo.serving import Tls


def issue() -> Tls:
    """A server certificate for 127.0.0.1 and localhost, and the new authority that signed it."""
    authority = trustme.CA(organization_name="opscheck demo")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", "localhost").configure_cert(context)
    return Tls(context, authority.cert_pem.bytes())


def write_bundle(path: Path, authority: bytes) -> Path:
    """Write what SSL_CERT_FILE names: the authorities this system trusts, and the demo's."""
    known = ssl.get_default_verify_paths()
    files = [Path(found) for found in (known.cafile, known.openssl_cafile) if found and Path(found).is_file()]
    system = files[0].read_bytes() if files else b""
    path.write_bytes(system.rstrip() + b"\n" + authority if system else authority)
    return path
