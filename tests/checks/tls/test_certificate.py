"""
tls.certificate against real handshakes: every fault of the served certificate.

The table also has the one error that Python's own ssl reports for each server.
"""

import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from opscheck.core.record import Finding
from tests.checks.tls.judging import judged
from tests.servers.tls import DAY, HOST, Chain, Issued, issued, rsa_key, signed_with_sha1, tls_server

pytestmark = pytest.mark.usefixtures("resolved")


def by_ssl(port: int, ca_file: str) -> int:
    """The X509_V_ERR_… of Python's default context; 0 for success."""
    context = ssl.create_default_context(cafile=ca_file)
    with socket.create_connection(("127.0.0.1", port), 5) as plain:
        try:
            context.wrap_socket(plain, server_hostname=HOST).close()
        except ssl.SSLCertVerificationError as error:
            return error.verify_code
    return 0


# The table of traps, row by row


@dataclass(frozen=True)
class Row:
    """One state of a server, and the expected findings."""

    serves: Callable[["World"], tuple[Issued, ...]]
    by_ssl: int
    """What Python's ssl says; 0 is a pass."""
    problems: tuple[str, ...] = ()
    """The beginning of each thing observed; none is a pass."""
    even_weak: bool = False


@dataclass(frozen=True)
class World:
    chain: Chain
    stranger: Chain
    rsa: Chain


def renewed_middle(world: World, **fields: Any) -> Issued:
    """Another certificate of the same authority."""
    return issued("Test Issuing", world.chain.root, authority=True, key=world.chain.middle.key, **fields)


ROWS = {
    "good": Row(lambda w: (w.chain.leaf(), w.chain.middle), 0),
    "expired": Row(lambda w: (w.chain.leaf(ends=-DAY), w.chain.middle), 10, ("ended 1d",)),
    "expired-and-untrusted": Row(
        lambda w: (w.stranger.leaf(ends=-DAY), w.stranger.middle), 20, ("unknown CA: CN=", "ended 1d")
    ),
    "expired-and-wrong-host": Row(
        lambda w: (w.chain.leaf("other.test", ends=-DAY), w.chain.middle), 62, ("for other.test", "ended 1d")
    ),
    "self-signed-and-expired": Row(lambda w: (issued(ends=-DAY),), 18, ("self-signed", "ended 1d")),
    "expired-untrusted-and-wrong-host": Row(
        lambda w: (issued("other.test", ends=-DAY),), 18, ("self-signed", "for other.test", "ended 1d")
    ),
    "missing-intermediate": Row(
        lambda w: (w.chain.leaf(),),
        20,
        ("certificate of its issuer CN=Test Issuing is neither sent nor in the trust store",),
    ),
    "missing-intermediate-that-browsers-fetch": Row(
        lambda w: (w.chain.leaf(issuer_url="http://ca.test/issuing.der"),),
        20,
        ("incomplete chain: certificate of its issuer",),
    ),
    "unknown-authority-that-is-sent-along": Row(
        lambda w: (w.stranger.leaf(), w.stranger.middle, w.stranger.root), 19, ("unknown CA: CN=",)
    ),
    "expired-intermediate": Row(
        lambda w: (w.chain.leaf(), renewed_middle(w, ends=-DAY)), 10, ("intermediate CN=Test Issuing ended 1d",)
    ),
    "intermediate-that-ends-first": Row(
        lambda w: (w.chain.leaf(), renewed_middle(w, ends=5 * DAY)), 0, ("intermediate CN=Test Issuing ends in 4d",)
    ),
    "not-yet-valid": Row(lambda w: (w.chain.leaf(begins=2 * DAY), w.chain.middle), 9, ("not valid before",)),
    "cn-alone": Row(
        lambda w: (w.chain.leaf(names=[]), w.chain.middle),
        0,
        ("no subjectAltName, only the subject CN=api.example.test",),
    ),
    "unused-short-lived-one-sent-along": Row(
        lambda w: (w.chain.leaf(), w.chain.middle, w.stranger.leaf("unused.test", ends=DAY)), 0
    ),
    "six-days-and-fresh": Row(lambda w: (w.chain.leaf(begins=-DAY, ends=5 * DAY), w.chain.middle), 0),
    "six-days-and-not-renewed": Row(
        lambda w: (w.chain.leaf(begins=-5 * DAY, ends=DAY), w.chain.middle), 0, ("ends in 23h",)
    ),
    "rsa-1024": Row(
        lambda w: (w.chain.leaf(key=rsa_key(1024)), w.chain.middle), 66, ("RSA key of 1024 bits",), even_weak=True
    ),
    "sha-1": Row(
        lambda w: (signed_with_sha1(w.rsa.leaf(), w.rsa.middle), w.rsa.middle),
        68,
        ("signed with SHA1",),
        even_weak=True,
    ),
    "sha-1-and-expired-and-wrong-host": Row(
        lambda w: (signed_with_sha1(w.rsa.leaf("other.test", ends=-DAY), w.rsa.middle), w.rsa.middle),
        68,
        ("for other.test", "signed with SHA1", "ended 1d"),
        even_weak=True,
    ),
}


def told(finding: Finding) -> str:
    """The observed text, without the certificate before it."""
    _, about, certificate = finding.subject.partition(": ")
    return f"{certificate} {finding.observed}" if about else finding.observed


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_each_row_reports_all_its_problems(row, chain, stranger, rsa, ca_file):
    serves = row.serves(World(chain, stranger, rsa))
    with tls_server(*serves, even_weak=row.even_weak) as port:
        findings = judged(port, ca_file=ca_file)
        masked = by_ssl(port, ca_file)

    observed = [told(finding) for finding in findings.violations]
    assert len(row.problems) == len(observed), observed
    assert [] == [(wanted, seen) for wanted, seen in zip(row.problems, observed, strict=True) if wanted not in seen]
    assert all(finding.expected for finding in findings.violations)
    assert {"remaining", "remaining share"} == {one.name for one in findings.measurements}
    assert row.by_ssl == masked
