"""Real servers that change over to TLS: OpenLDAP, and GNU Mailutils for IMAP and POP3, of Debian's packages."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from opscheck.transport.processes import ServerProcess, accepts, folder, free_port
from tests.servers.cache import NotThere
from tests.servers.debian import CHANGING_OVER, find_debian
from tests.servers.fetching import cannot
from tests.servers.tls import Issued

_SLAPD = """\
TLSCertificateFile {certificate}
TLSCertificateKeyFile {key}
pidfile {home}/slapd.pid
"""
_MAILUTILS = """\
mode daemon;
foreground yes;
pidfile {home}/{program}.pid;
tls-file-checks {{ key-file none; cert-file none; }}
tls {{ ssl-certificate-file {certificate}; ssl-key-file {key}; }}
logging {{ syslog no; }}
server 127.0.0.1:{port} {{ tls-mode ondemand; }}
"""


@pytest.fixture(scope="session")
def changing_over_programs() -> Path:
    """The folder with slapd, imap4d and pop3d; the test is skipped, or fails where it must not be, without."""
    try:
        return find_debian(*CHANGING_OVER) / "bin"
    except NotThere as why:
        cannot(str(why))


@contextmanager
def ldap_server(programs: Path, leaf: Issued, *chain: Issued) -> Iterator[int]:
    """OpenLDAP, which Debian has built with GnuTLS: another TLS than our own."""
    port = free_port()
    with _home(leaf, chain) as home:
        configuration = _write(home, "slapd.conf", _SLAPD)
        command = [programs / "slapd", "-f", configuration, "-h", f"ldap://127.0.0.1:{port}", "-d", "0"]
        with _running("slapd", command, home, port):
            yield port


@contextmanager
def mail_server(programs: Path, program: str, leaf: Issued, *chain: Issued) -> Iterator[int]:
    """`imap4d` or `pop3d`."""
    port = free_port()
    with _home(leaf, chain) as home:
        configuration = _write(home, f"{program}.conf", _MAILUTILS, program=program, port=port)
        with _running(program, [programs / program, f"--config-file={configuration}"], home, port):
            yield port


@contextmanager
def _home(leaf: Issued, chain: tuple[Issued, ...]) -> Iterator[Path]:
    with folder() as name:
        home = Path(name)
        leaf.write(home / "certificate.pem", *chain, key=False)
        (home / "key.pem").write_bytes(leaf.key_pem)
        (home / "key.pem").chmod(0o600)
        yield home


def _write(home: Path, name: str, text: str, **words: object) -> Path:
    path = home / name
    files = {"home": home, "certificate": home / "certificate.pem", "key": home / "key.pem"}
    path.write_text(text.format(**files, **words))
    return path


@contextmanager
def _running(name: str, command: list[str | Path], home: Path, port: int) -> Iterator[None]:
    process = ServerProcess(name, command, home / "log")
    with ExitStack() as stack:
        stack.callback(process.stop)
        process.wait_until(lambda: accepts(port))
        yield
