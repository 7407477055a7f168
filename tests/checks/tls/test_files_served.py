"""Served certificates compared with files, from given answers."""

from datetime import UTC, datetime, timedelta

import pytest

from checks.tls.test_files import judge_served, stored_in, unread, unserved
from opscheck import Findings, HostTarget
from opscheck.core.observation import Problem, ProblemKind
from opscheck.core.record import Finding
from opscheck.systems.tls.files import CertificateFile, CertificateFiles, Fault, TlsFiles
from opscheck.systems.tls.handshake import Handshake, Handshakes
from opscheck.systems.tls.x509 import Certificate
from opscheck.testing import expect

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
NAMES = ("api.example.com",)
GONE = Problem(kind=ProblemKind.UNREACHABLE, text="no route to [2001:db8::1]:443", advice="check it")


def certificate(age: float = 10, serial: str = "1", **fields) -> Certificate:
    """One of ninety days that is so many days old."""
    said = {"subject": "CN=api", "issuer": "CN=Authority", "serial": serial, "fingerprint": serial, "names": NAMES}
    return Certificate(not_before=NOW - age * DAY, not_after=NOW + (90 - age) * DAY, **(said | fields))


def file(*certificates: Certificate, path: str = "/new.pem", written: float | None = 5) -> CertificateFile:
    """One that was written so many hours ago."""
    modified = None if written is None else NOW - timedelta(hours=written)
    return CertificateFile(path=path, modified=modified, certificates=certificates)


def served(*leaves: Certificate) -> Handshakes:
    found = [Handshake(address=f"192.0.2.{number}:443", sent=(leaf,)) for number, leaf in enumerate(leaves, start=1)]
    return Handshakes(server_name="api.example.com", addresses=tuple(found))


def expectation(**fields) -> TlsFiles:
    return expect(
        TlsFiles, HostTarget(kind="host", uri="local://"), paths=["/*.pem"], **{"served_at": "api:443"} | fields
    )


def told(answer: Handshakes, *files: CertificateFile, all_read: bool = True, **fields) -> list[Finding]:
    wanted = expectation(**fields)
    findings = Findings(wanted)
    judge_served(wanted, stored_in(files), answer, NOW, findings, all_read=all_read)
    return findings.violations


def test_addresses_that_serve_the_same_old_one_are_one_finding():
    old, new = certificate(60, "1"), certificate(2, "2")

    assert ["192.0.2.1:443, 192.0.2.3:443"] == [one.subject for one in told(served(old, new, old), file(new))]


def test_a_file_without_a_time_has_no_grace():
    assert 1 == len(told(served(certificate(60)), file(certificate(2, "2"), written=None)))


def test_a_file_that_was_written_in_the_future_has_no_grace():
    """Copies keep the time of a wrong clock, which could hide a stale certificate for months."""
    assert 0 == len(told(served(certificate(60)), file(certificate(2, "2"), written=-0.5)))
    (finding,) = told(served(certificate(60)), file(certificate(2, "2"), written=-48))
    assert finding.since is None
    assert finding.observed.endswith("; older than /new.pem")


def test_newest_certificate_may_be_in_several_files():
    one = certificate()

    assert [] == told(served(one), file(one, path="/a"), file(one, path="/b"))


def test_two_that_were_issued_in_the_same_second_are_both_the_newest():
    one, other = certificate(10, "1"), certificate(10, "2")

    assert [] == told(served(one), file(other), file(one))


def test_one_for_more_names_than_before_is_for_the_same():
    wider = certificate(2, "2", names=(*NAMES, "www.example.com"))

    assert 1 == len(told(served(certificate(60)), file(wider)))


def test_exact_names_win_over_shared_names():
    old, wildcard = certificate(60), certificate(2, "2", names=("*.example.com", *NAMES))

    assert [] == told(served(old), file(old, path="/api.pem"), file(wildcard, path="/all.pem"))


def test_certificates_without_names_go_by_their_subject():
    old, new = certificate(60, names=()), certificate(2, "2", names=())

    assert 1 == len(told(served(old), file(new)))


@pytest.mark.parametrize(("count", "apart"), [(0, 6.9), (1, 7.1)])
def test_a_pair_with_keys_of_two_kinds_is_renewed_within_a_week(count, apart):
    ec, rsa = certificate(10 + apart, "1", key="EC"), certificate(10, "2", key="RSA")

    assert count == len(told(served(ec), file(ec, path="/ec.pem"), file(rsa, path="/rsa.pem")))


def test_starttls_is_in_the_client_options():
    (finding,) = told(served(certificate(60)), file(certificate(2, "2")), starttls="postgres")

    client = {"address": "api:443", "client_options": "-starttls postgres -servername api", "name": "api"}
    assert client | {"newest": "/new.pem", "file": "/new.pem"} == finding.facts


def test_address_is_requested_without_sni():
    (finding,) = told(served(certificate(60)), file(certificate(2, "2")), served_at="192.0.2.1:443")

    client = {"address": "192.0.2.1:443", "client_options": "-noservername", "name": "192.0.2.1"}
    assert client | {"newest": "/new.pem", "file": "/new.pem"} == finding.facts


def test_unread_files_limit_findings_to_certain_ones():
    old, new, other = certificate(60), certificate(2, "2"), certificate(5, "3", names=("other",))

    assert [] == told(served(old), file(other), all_read=False)
    assert 1 == len(told(served(old), file(new), all_read=False))
    assert 1 == len(told(served(old), file(other), all_read=True))


def test_unreached_address_is_unknown_with_advice():
    silent = Handshake(address="[2001:db8::1]:443", problem=GONE)
    no_route = Handshake(address="[2001:db8::1]:443", problem=GONE, no_route=True)
    plain = Handshake(
        address="192.0.2.1:25", failure="it answered without TLS", advice="say how it begins in `starttls`"
    )

    def problem(one):
        return unserved(Handshakes(server_name="api", addresses=(one,)))

    assert GONE == problem(silent)
    assert "without IPv6 on this machine, set `addresses: ipv4`" == problem(no_route).advice
    assert "192.0.2.1:25 serves no certificate: it answered without TLS" == problem(plain).text
    assert unserved(served(certificate())) is None


def test_many_unread_files_are_summarised_with_all_advice():
    faults = [Fault.FORBIDDEN, Fault.NO_PASSWORD, Fault.TOO_LARGE, Fault.FORBIDDEN]
    files = tuple(CertificateFile(path=f"/{number}", fault=fault) for number, fault in enumerate(faults))
    problem = unread(CertificateFiles(files=files, closed=("/root",), left_out=7))

    assert "/0 has no read permission; /1 has a password; /2 is too large; and 3 more" == problem.text
    assert ProblemKind.DENIED == problem.kind
    for part in ("setfacl", "keystore_password", "add ?sudo=true", "match fewer files in `paths`"):
        assert part in problem.advice


def test_nothing_is_unknown_when_everything_was_read():
    assert unread(CertificateFiles(files=(file(certificate()), CertificateFile(path="/e", fault=Fault.EMPTY)))) is None


def test_authorities_that_sign_each_other_are_each_judged():
    one = certificate(subject="CN=One", issuer="CN=Two", serial="1")
    two = certificate(subject="CN=Two", issuer="CN=One", serial="2")

    assert {"1", "2"} == {found.head.serial for found in stored_in([file(one, two)])}


def test_the_same_certificate_twice_in_a_file_is_one():
    assert 1 == len(stored_in([file(certificate(), certificate())]))
