"""Valid and invalid expectations of certificate files."""

import pytest
from pydantic import ValidationError

from opscheck import HostTarget, Severity
from opscheck.systems.tls.files import ReadCertificateFiles, TlsFiles
from opscheck.systems.tls.handshake import Addresses, ShakeHands, StartTls
from opscheck.testing import expect

HOST = HostTarget(kind="host", uri="local://", keystore_password="s3cret")


def files(*paths, **fields) -> TlsFiles:
    return expect(TlsFiles, HOST, paths=list(paths), **fields)


def test_files_alone_are_one_query():
    assert [ReadCertificateFiles("target", paths=("/a/*.pem", "/b.p12"))] == list(files("/a/*.pem", "/b.p12").queries())


def test_served_certificate_uses_the_shared_query():
    asked = files(
        "/a", served_at="db.example.com:5432", server_name="DB.example.com", starttls="postgres", addresses="ipv4"
    )
    shake = ShakeHands(
        "tls://db.example.com:5432",
        server_name="db.example.com",
        starttls=StartTls.POSTGRES,
        addresses=Addresses.IPV4,
    )

    assert shake == asked.handshakes
    assert [asked.files, shake] == list(asked.queries())
    assert ["target", "tls://db.example.com:5432"] == [system.name for system in asked.systems]
    assert "target" == asked.system.name


def test_query_holds_no_password_and_lists_permissions():
    query = files("/a/*.pem").files

    assert "s3cret" not in repr(query)
    assert "read the certificates in /a/*.pem" == query.text()
    assert ["read /a/*.pem there, and list their folders"] == [one.text() for one in query.permissions()]


@pytest.mark.parametrize("path", ["etc/*.pem", "*.pem", "/a\nb", "/a\0"])
def test_a_path_is_absolute_and_one_line(path):
    with pytest.raises(ValidationError, match="an absolute path"):
        files(path)


def test_there_is_a_path_at_least():
    with pytest.raises(ValidationError, match="at least 1 item"):
        files()


def test_worst_severity_includes_stale():
    assert Severity.P0 == files("/a").worst_severity
    assert Severity.P2 == files("/a", remaining={"P3": "30d"}).worst_severity
    assert Severity.P1 == files("/a", remaining={"P3": "30d"}, stale="P1").worst_severity
