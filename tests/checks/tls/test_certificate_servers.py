"""tls.certificate against servers in every state: severities, subjects, protocols and commands."""

import re
import socket
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from cryptography import x509

from opscheck import Severity
from opscheck.core.observation import ProblemKind
from opscheck.systems.tls.probe.session import open_session
from opscheck.transport.processes import free_port
from tests.checks.tls.judging import commands, expectation_of, judged, unknown
from tests.servers.tls import (
    DAY,
    HOST,
    Chain,
    Listener,
    issued,
    limit_to,
    server_context,
    speaking,
    tls_server,
)

pytestmark = pytest.mark.usefixtures("resolved")

OLDEST = ssl.TLSVersion.MINIMUM_SUPPORTED


def speaking_up_to(chain: Chain, newest: ssl.TLSVersion, **leaf) -> Listener:
    context = server_context(chain.leaf(**leaf), chain.middle, even_weak=True)
    return Listener(speaking(limit_to(context, OLDEST, newest)))


# Severities


def test_remaining_lifetime_is_graded_by_duration(chain, ca_file):
    with tls_server(chain.leaf(ends=5 * DAY), chain.middle) as port:
        (finding,) = judged(port, ca_file=ca_file, remaining={"P3": "30d", "P1": "7d", "P0": "1d"}).violations

    assert (Severity.P1, ">= 7d left") == (finding.severity, finding.expected)
    assert f"{HOST}:{port}" == finding.subject


@pytest.mark.parametrize(
    ("left", "severity"), [(25, None), (22, Severity.P3), (12, Severity.P3), (11, Severity.P1), (0, Severity.P0)]
)
def test_without_a_limit_it_is_a_quarter_an_eighth_and_the_end(chain, ca_file, left, severity):
    with tls_server(chain.leaf(begins=-30 * DAY, ends=60 * DAY), chain.middle) as port:
        now = datetime.now(UTC) + timedelta(days=60 - left, minutes=1)
        findings = judged(port, ca_file=ca_file, now=now)

    assert [severity] * (severity is not None) == [finding.severity for finding in findings.violations]


def test_remaining_hours_are_not_zero_days(chain, ca_file):
    with tls_server(chain.leaf(ends=timedelta(hours=23)), chain.middle) as port:
        findings = judged(port, ca_file=ca_file, remaining={"P0": "22h"})
        (finding,) = judged(port, ca_file=ca_file, remaining={"P0": "24h"}).violations

    assert [] == findings.violations
    assert "ends in 22h" in finding.observed


def test_an_expired_certificate_is_violated_since_it_has_ended(chain, ca_file):
    leaf = chain.leaf(ends=-DAY)
    with tls_server(leaf, chain.middle) as port:
        (finding,) = judged(port, ca_file=ca_file, remaining={"P3": "30d", "P1": "7d"}).violations

    assert leaf.certificate.not_valid_after_utc == finding.since
    assert Severity.P1 is finding.severity


def test_lifetime_of_a_ca_is_not_the_limit(chain, ca_file):
    """It has 900 days left of 10,000, and the leaf has 60 of 90."""
    old = issued("Test Issuing", chain.root, authority=True, key=chain.middle.key, begins=-9100 * DAY, ends=900 * DAY)
    with tls_server(chain.leaf(), old) as port:
        assert [] == judged(port, ca_file=ca_file).violations


def test_ungraded_finding_has_the_expectations_severity(chain):
    with tls_server(chain.leaf(), chain.middle) as port:
        (finding,) = judged(port, severity="P2").violations

    assert Severity.P2 is finding.severity
    assert "a chain to a CA in the trust store of this system" == finding.expected


def test_the_system_s_authorities_are_trusted(chain, monkeypatch, ca_file):
    monkeypatch.setenv("SSL_CERT_FILE", ca_file)
    with tls_server(chain.leaf(), chain.middle) as port:
        assert [] == judged(port).violations


def test_an_issuing_authority_may_be_trusted_without_its_root(chain, tmp_path):
    path = chain.middle.write(tmp_path / "issuing.pem", key=False)
    with tls_server(chain.leaf()) as port:
        assert [] == judged(port, ca_file=str(path)).violations


def test_a_self_signed_certificate_may_be_pinned(tmp_path):
    leaf = issued(HOST)
    path = leaf.write(tmp_path / "pinned.pem", key=False)
    with tls_server(leaf) as port:
        assert [] == judged(port, ca_file=str(path)).violations


# Names


def test_another_name_may_be_requested(chain, ca_file):
    with tls_server(chain.leaf("other.test"), chain.middle) as port:
        assert [] == judged(port, ca_file=ca_file, server_name="Other.test").violations
        (finding,) = judged(port, ca_file=ca_file, server_name="third.test").violations

    assert (f"{HOST}:{port} as third.test", "for other.test", "for third.test") == (
        finding.subject,
        finding.observed,
        finding.expected,
    )


def test_sni_selects_the_certificate(chain, ca_file):
    context, other = (server_context(chain.leaf(name), chain.middle) for name in ("first.test", "second.test"))

    def choose(connection, name, _):
        if name == "second.test":
            connection.context = other

    context.sni_callback = choose
    with Listener(speaking(context)) as listener:
        for name in ("first.test", "second.test"):
            assert [] == judged(listener.port, ca_file=ca_file, server_name=name).violations


@pytest.mark.parametrize(("names", "problems"), [(["127.0.0.1"], 0), (["127.0.0.2"], 1), ([], 1)])
def test_ip_address_must_be_in_the_certificate_as_an_address(chain, ca_file, names, problems):
    with tls_server(chain.leaf(names=names), chain.middle) as port:
        found = judged(port, host="127.0.0.1", ca_file=ca_file).violations

    assert problems == len(found)


def test_ip_address_written_as_a_dns_name_does_not_match(chain, ca_file):
    """OpenSSL rejects it, although the text is the same."""
    with tls_server(chain.leaf(names=[x509.DNSName("127.0.0.1")]), chain.middle) as port:
        (finding,) = judged(port, host="127.0.0.1", ca_file=ca_file).violations

    assert finding.observed.startswith("rejected by clients with default settings: IP address mismatch")


# Protocols


def test_server_that_also_accepts_an_old_protocol(chain, ca_file):
    with speaking_up_to(chain, ssl.TLSVersion.TLSv1_3) as listener:
        (finding,) = judged(listener.port, ca_file=ca_file).violations
        assert [] == judged(listener.port, ca_file=ca_file, min_version="1.0").violations

    assert (Severity.P2, "accepts TLSv1.1", "TLSv1.2 or newer only") == (
        finding.severity,
        finding.observed,
        finding.expected,
    )


def test_server_with_only_old_protocols_excludes_clients(chain, ca_file):
    with speaking_up_to(chain, ssl.TLSVersion.TLSv1_1, ends=-DAY) as listener:
        old, ended = judged(listener.port, ca_file=ca_file).violations
        allowed = judged(listener.port, ca_file=ca_file, min_version=1.0).violations

    assert (Severity.P0, "newest protocol is TLSv1.1") == (old.severity, old.observed)
    assert "ended 1d" in ended.observed
    assert [ended.observed] == [one.observed for one in allowed]


def test_a_floor_above_the_usual_one(chain, ca_file):
    with speaking_up_to(chain, ssl.TLSVersion.TLSv1_2) as listener:
        (finding,) = judged(listener.port, ca_file=ca_file, min_version="1.3", weak="P3").violations
    with tls_server(chain.leaf(), chain.middle) as port:
        (agrees,) = judged(port, ca_file=ca_file, min_version="1.3").violations

    assert (Severity.P3, "newest protocol is TLSv1.2") == (finding.severity, finding.observed)
    assert "accepts TLSv1.2" == agrees.observed


def test_unanswered_offer_leaves_old_protocols_unknown(chain, ca_file):
    """A firewall drops old protocols; the server's answer stays unknown."""
    context = server_context(chain.leaf(), chain.middle)

    def drop_old(connection: socket.socket) -> None:
        # TLS 1.3 lists its versions in an extension that old versions do not have.
        if b"\x00\x2b" in connection.recv(4096, socket.MSG_PEEK):
            speaking(context)(connection)
        else:
            connection.recv(4096)
            connection.recv(1)

    with Listener(drop_old) as listener:
        found, missing = unknown(listener.port, ca_file=ca_file, wait_s=1)

    assert [] == found
    assert f"support of 127.0.0.1:{listener.port} for protocols older than TLSv1.2 is unknown" in missing.problem.text
    assert "no answer to an offer of TLSv1.1" in missing.problem.text


# Servers that do not shake hands


@pytest.mark.parametrize(
    ("says", "observed"),
    [
        (b"220 mail.test ESMTP\r\n", "answers, but not with TLS"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "answers, but not with TLS"),
        (b"", "closed the connection"),
    ],
    ids=["smtp", "http", "hangs-up"],
)
def test_a_server_without_tls_is_violated(says, observed):
    def serve(connection: socket.socket) -> None:
        connection.sendall(says)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(4096):
            pass

    with Listener(serve) as listener:
        (finding,) = judged(listener.port, severity="P1").violations

    assert (Severity.P1, "a TLS handshake") == (finding.severity, finding.expected)
    assert observed in finding.observed
    assert finding.evidence == ("is this a port without TLS?",)


def test_endpoint_without_listener_is_unknown():
    found, missing = unknown(free_port())

    assert [] == found
    assert (ProblemKind.UNREACHABLE, True) == (missing.problem.kind, missing.problem.target_down)


def test_an_endpoint_that_is_silent_is_unknown():
    with socket.create_server(("127.0.0.1", 0)) as server:
        found, missing = unknown(server.getsockname()[1], wait_s=0.5)

    assert [] == found
    assert ProblemKind.LATE is missing.problem.kind
    assert "127.0.0.1:" in missing.problem.text


# Client certificates


def asking(chain: Chain, clients: Chain, newest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> Listener:
    context = server_context(chain.leaf(), chain.middle)
    context.maximum_version = newest
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cadata=clients.root.pem.decode())
    return Listener(speaking(context))


@pytest.fixture(name="client")
def _client(stranger, tmp_path) -> str:
    return str(stranger.leaf("opscheck", client=True).write(tmp_path / "client.pem", stranger.middle))


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_client_certificate_is_sent_on_request(chain, stranger, ca_file, client, newest):
    with asking(chain, stranger, newest) as listener:
        assert [] == judged(listener.port, ca_file=ca_file, client_certificate=client).violations


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_client_certificate_that_is_refused_is_a_violation(chain, rsa, ca_file, client, newest):
    with asking(chain, rsa, newest) as listener:
        (finding,) = judged(listener.port, ca_file=ca_file, client_certificate=client).violations

    # Where it hangs up before its last word was read, that word is lost.
    seen = ("refuses the client certificate", "closed the connection after the client certificate")
    assert any(one in finding.observed for one in seen)


def test_missing_client_certificate_has_advice(chain, stranger, ca_file):
    with asking(chain, stranger, ssl.TLSVersion.TLSv1_2) as listener:
        (finding,) = judged(listener.port, ca_file=ca_file).violations

    assert "refuses the handshake" in finding.observed
    assert "name one in `client_certificate`" in finding.evidence[0]


@pytest.mark.parametrize("field", ["ca_file", "client_certificate"])
def test_a_file_that_cannot_be_read_is_unknown_and_named(chain, field):
    with tls_server(chain.leaf(), chain.middle) as port:
        _, missing = unknown(port, **{field: "/nowhere/x.pem"})

    assert f"the expectation's {field} /nowhere/x.pem cannot be read: No such file or directory" == missing.problem.text


# Strict clients


def test_strict_reports_refusals_of_strict_clients(chain, tmp_path):
    root = issued("Lax Root", authority=True, ends=3000 * DAY, begins=-DAY, lax=True)
    path = str(root.write(tmp_path / "lax.pem", key=False))
    with tls_server(issued(HOST, root)) as port:
        assert [] == judged(port, ca_file=path).violations
        (finding,) = judged(port, ca_file=path, strict=True).violations

    assert finding.observed.startswith("rejected by strict clients: ")


# Commands


def test_the_commands_are_those_of_the_state(chain, ca_file):
    with tls_server(chain.leaf(begins=DAY), chain.middle) as port:
        (early,) = judged(port, ca_file=ca_file).violations
    with tls_server(chain.leaf(ends=-DAY), chain.middle) as port:
        (ended,) = judged(port, ca_file=ca_file).violations
        expectation = expectation_of(port, ca_file=ca_file)

    assert [True, False] == ["date -u" in " ".join(commands(one, expectation)) for one in (early, ended)]
    assert [False, True] == ["certbot" in " ".join(commands(one, expectation)) for one in (early, ended)]


def test_a_snapshot_can_be_judged_later_and_holds_no_key(chain, stranger, ca_file, client):
    with asking(chain, stranger) as listener:
        expectation = expectation_of(listener.port, ca_file=ca_file, client_certificate=client)
        answer = open_session(expectation.endpoint, 5).ask(expectation.handshakes, 5)

    written = msgspec.json.encode(answer)
    keys = [Path(client).read_bytes(), chain.root.key_pem, chain.middle.key_pem]
    secrets = [line for key in keys for line in re.findall(rb"[A-Za-z0-9+/=]{40,}", key)]
    assert answer == msgspec.json.decode(written, type=type(answer))
    assert b"PRIVATE" not in written
    assert 3 < len(secrets)
    assert [] == [line for line in secrets if line in written]
