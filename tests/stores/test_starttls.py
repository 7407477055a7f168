"""Handshakes with real servers of every protocol that changes over to TLS, and what is judged of them."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from opscheck.demo.postgres import PostgreSQL
from opscheck.systems.tls.handshake import Handshake, ShakeHands
from opscheck.systems.tls.probe.session import open_session
from opscheck.systems.tls.target import Endpoint
from opscheck.transport.processes import give, unprivileged_user
from tests.servers.clients import superuser
from tests.servers.tls import DAY, Chain, Issued
from tests.servers.tls_services import ldap_server, mail_server


@pytest.fixture(name="chain", scope="module")
def _chain() -> Chain:
    return Chain.made()


@pytest.fixture(name="ca_file", scope="module")
def _ca_file(chain, tmp_path_factory) -> str:
    return str(chain.root.write(tmp_path_factory.mktemp("ca") / "ca.pem", key=False))


@pytest.fixture(name="ended", scope="module")
def _ended(chain) -> Issued:
    return chain.leaf("127.0.0.1", ends=-DAY)


def shake(port: int, starttls: str, ca_file: str | None) -> Handshake:
    endpoint = Endpoint.parse(f"127.0.0.1:{port}")
    query = ShakeHands(endpoint.name, starttls=starttls, ca_file=ca_file)
    (handshake,) = open_session(endpoint, 20).ask(query, 20).addresses
    return handshake


def hold(port: int, starttls: str, ca_file: str, ended: Issued) -> None:
    """What is seen of a server with a certificate that has ended: all of it, with and without its authority."""
    seen, untrusted = shake(port, starttls, ca_file), shake(port, starttls, None)

    assert ("", 10, 3) == (seen.failure, seen.refused_code, len(seen.chain))
    assert ended.certificate.not_valid_after_utc == seen.leaf.not_after
    assert seen.protocol in {"TLSv1.2", "TLSv1.3"}
    assert "" == seen.older.unknown
    assert (20, seen.leaf) == (untrusted.untrusted_code, untrusted.leaf)


@pytest.fixture(name="postgres")
def _postgres(postgres_tls: Path, chain: Chain, ended: Issued) -> Iterator[PostgreSQL]:
    with PostgreSQL(programs=postgres_tls) as server, superuser(server) as admin:
        assert admin.execute("SHOW ssl_library").fetchone()[0]
        for name, content in (("server.crt", ended.pem + chain.middle.pem), ("server.key", ended.key_pem)):
            path = server.data / name
            path.touch(mode=0o600)
            path.write_bytes(content)
            give(path, unprivileged_user())
        admin.execute("ALTER SYSTEM SET ssl = on")
        admin.execute("SELECT pg_reload_conf()")
        yield server


def test_postgresql(postgres, ca_file, ended):
    hold(urlsplit(postgres.dsn("opscheck", "postgres")).port, "postgres", ca_file, ended)


def test_openldap(changing_over_programs, chain, ca_file, ended):
    with ldap_server(changing_over_programs, ended, chain.middle) as port:
        hold(port, "ldap", ca_file, ended)


@pytest.fixture(name="mail", params=[("imap4d", "imap"), ("pop3d", "pop3")], ids=lambda one: one[1])
def _mail(request, changing_over_programs, chain, ended) -> Iterator[tuple[int, str]]:
    program, protocol = request.param
    with mail_server(changing_over_programs, program, ended, chain.middle) as port:
        yield port, protocol


def test_mailutils(mail, ca_file, ended):
    hold(*mail, ca_file, ended)
