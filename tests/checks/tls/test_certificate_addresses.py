"""tls.certificate with several addresses: each is queried, and differences name the address."""

import socket

import pytest

from tests.checks.tls.judging import commands, expectation_of, judged, unknown
from tests.servers.tls import DAY, HOST, resolve, tls_server

pytestmark = pytest.mark.usefixtures("resolved")


@pytest.fixture(name="two")
def _two(resolved, monkeypatch):
    resolve(monkeypatch, "127.0.0.1", "127.0.0.2")


@pytest.mark.usefixtures("two")
def test_addresses_that_serve_the_same_are_one_finding(chain, ca_file):
    leaf = chain.leaf(ends=-DAY)
    with tls_server(leaf, chain.middle) as port, tls_server(leaf, chain.middle, host="127.0.0.2", port=port):
        (finding,) = judged(port, ca_file=ca_file).violations

    assert f"{HOST}:{port}" == finding.subject


@pytest.mark.usefixtures("two")
def test_address_with_an_old_certificate_is_named(chain, ca_file):
    old = chain.leaf(ends=-DAY)
    with tls_server(chain.leaf(), chain.middle) as port, tls_server(old, chain.middle, host="127.0.0.2", port=port):
        findings = judged(port, ca_file=ca_file)
        expectation = expectation_of(port)

    (finding,) = findings.violations
    assert f"{HOST}:{port} at 127.0.0.2:{port}" == finding.subject
    assert f"openssl s_client -connect 127.0.0.2:{port} -servername {HOST}" in commands(finding, expectation)[0]
    assert 4 == len(findings.measurements)


@pytest.mark.usefixtures("two")
def test_one_unreached_address_is_a_violation(chain, ca_file):
    with tls_server(chain.leaf(), chain.middle) as port:
        (finding,) = judged(port, ca_file=ca_file).violations

    assert (f"{HOST}:{port} at 127.0.0.2:{port}", f"connection refused by 127.0.0.2:{port}") == (
        finding.subject,
        finding.observed,
    )
    assert "every address responds" == finding.expected


@pytest.mark.usefixtures("two")
def test_silent_address_does_not_delay_the_other(chain, ca_file):
    with tls_server(chain.leaf(), chain.middle) as port, socket.create_server(("127.0.0.2", port)):
        (finding,) = judged(port, ca_file=ca_file, wait_s=1).violations

    assert f"{HOST}:{port} at 127.0.0.2:{port}" == finding.subject
    assert f"127.0.0.2:{port} in " in finding.observed


@pytest.mark.usefixtures("two")
def test_findings_of_both_addresses_are_reported(chain, ca_file):
    with tls_server(chain.leaf(ends=-DAY), chain.middle) as port:
        observed = [finding.observed for finding in judged(port, ca_file=ca_file).violations]

    assert 2 == len(observed)
    assert "ended 1d" in observed[0]
    assert "connection refused" in observed[1]


def has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6 on loopback")
def test_address_families_are_selectable(chain, ca_file, monkeypatch):
    resolve(monkeypatch, "127.0.0.1", "::1")
    with (
        tls_server(chain.leaf(), chain.middle) as port,
        tls_server(chain.leaf(ends=-DAY), chain.middle, host="::1", port=port),
    ):
        (finding,) = judged(port, ca_file=ca_file).violations
        assert [] == judged(port, ca_file=ca_file, addresses="ipv4").violations
        assert 1 == len(judged(port, ca_file=ca_file, addresses="ipv6").violations)

    assert f"{HOST}:{port} at [::1]:{port}" == finding.subject


def test_machine_without_ipv6_has_advice(chain, ca_file, monkeypatch):
    """2001:db8:: is for documentation, and not routed; the kernel is bypassed."""
    resolve(monkeypatch, "127.0.0.1", "2001:db8::1")
    connect = socket.socket.connect

    def refuse(self, place):
        if self.family == socket.AF_INET6:
            raise OSError(101, "Network is unreachable")
        connect(self, place)

    monkeypatch.setattr(socket.socket, "connect", refuse)
    with tls_server(chain.leaf(ends=-DAY), chain.middle) as port:
        found, missing = unknown(port, ca_file=ca_file)
        assert 1 == len(judged(port, ca_file=ca_file, addresses="ipv4").violations)

    assert 1 == len(found)
    assert f"no route to [2001:db8::1]:{port}" == missing.problem.text
    assert "without IPv6 on this machine, set `addresses: ipv4`" == missing.problem.advice


def test_a_name_without_an_address_of_the_family_is_unknown(chain, ca_file):
    with tls_server(chain.leaf(), chain.middle) as port:
        _, missing = unknown(port, ca_file=ca_file, addresses="ipv6")

    assert f"{HOST} has no ipv6 address" == missing.problem.text
