"""Handshakes with an endpoint, and with misbehaving servers, each within its deadline."""

import socket
import ssl
import threading
import time
from contextlib import ExitStack

import msgspec
import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from opscheck.core.observation import ProblemKind
from opscheck.systems.tls.handshake import Handshakes, Protocol, ShakeHands
from opscheck.systems.tls.probe.contexts import Verification, context_for
from opscheck.systems.tls.probe.parsing import certificate_in_der
from opscheck.transport.processes import free_port
from tests.servers.tls import DAY, Issued, Listener, issued, resolve, server_context, speaking, tls_server
from tests.systems.tls.probe.sessions import ask, ask_one, problem_of


def fingerprint(one: Issued) -> str:
    return certificate_in_der(one.certificate.public_bytes(Encoding.DER)).fingerprint


def test_sent_and_verified_chains_are_distinguished(chain, leaf, ca_file):
    unused = issued("unused.test")
    with tls_server(leaf, chain.middle, unused) as port:
        seen = ask_one(port, ca_file=ca_file)

    assert [fingerprint(one) for one in (leaf, chain.middle, unused)] == [one.fingerprint for one in seen.sent]
    assert [fingerprint(one) for one in (leaf, chain.middle, chain.root)] == [one.fingerprint for one in seen.chain]
    assert fingerprint(leaf) == seen.leaf.fingerprint
    assert ("TLSv1.3", "", "", "") == (seen.protocol, seen.refused, seen.untrusted, seen.failure)


def test_expired_certificate_has_its_chain(chain, ca_file):
    with tls_server(chain.leaf("127.0.0.1", ends=-DAY), chain.middle) as port:
        seen = ask_one(port, ca_file=ca_file)

    assert (10, "certificate has expired", 0, 3) == (
        seen.refused_code,
        seen.refused,
        seen.untrusted_code,
        len(seen.chain),
    )


def test_untrusted_certificate_is_read():
    """Without verification Python's getpeercert() is empty, and would hide the end."""
    with tls_server(issued("127.0.0.1", ends=-DAY)) as port:
        seen = ask_one(port)

    assert (18, (), 1) == (seen.untrusted_code, seen.chain, len(seen.sent))
    assert -1 == (seen.leaf.not_after - seen.leaf.not_before).days - 30


def test_connections_per_server_are_bounded(chain, leaf, ca_file):
    counted: list[int] = []

    def counting(context):
        def serve(connection: socket.socket) -> None:
            counted.append(1)
            speaking(context)(connection)

        return serve

    with Listener(counting(server_context(leaf, chain.middle))) as server:
        ask_one(server.port, ca_file=ca_file)
    healthy = len(counted)
    with Listener(counting(server_context(issued("other.test", ends=-DAY)))) as server:
        ask_one(server.port, ca_file=ca_file)

    assert 1 + 2 == healthy  # the first is the first contact
    assert 1 + 4 == len(counted) - healthy


def test_an_answer_is_read_back_as_it_was_written(chain, leaf, ca_file):
    with tls_server(leaf, chain.middle) as port:
        answer = ask(port, ca_file=ca_file)

    assert answer == msgspec.json.decode(msgspec.json.encode(answer), type=Handshakes)


def test_equal_queries_are_one():
    one, other = (ShakeHands("tls://a:443", min_version=Protocol.TLSV1_2) for _ in range(2))

    assert 1 == len({one, other})
    assert "TLS handshakes with every address of a:443" == one.text()
    text = ShakeHands("tls://a:25", server_name="b", starttls="smtp", addresses="ipv4").text()
    assert "TLS handshakes for b with every ipv4 address of a:25 after STARTTLS of smtp" == text


def test_settings_are_the_same_on_every_python():
    ordinary = context_for(Verification.FULL, None, None, strict=False)
    strict = context_for(Verification.FULL, None, None, strict=True)

    assert not ordinary.verify_flags & ssl.VERIFY_X509_STRICT
    assert ordinary.verify_flags & ssl.VERIFY_X509_PARTIAL_CHAIN
    assert strict.verify_flags & ssl.VERIFY_X509_STRICT
    assert ordinary is context_for(Verification.FULL, None, None, strict=False)


# Servers that are not there


def test_a_refused_connection():
    problem = problem_of(port := free_port())

    assert (ProblemKind.UNREACHABLE, True, f"connection refused by 127.0.0.1:{port}") == (
        problem.kind,
        problem.target_down,
        problem.text,
    )


@pytest.mark.parametrize("host", ["nowhere.invalid", "a..b", "x" * 70 + ".test"])
def test_a_name_that_does_not_exist(host):
    problem = problem_of(443, host=host)

    assert (ProblemKind.UNREACHABLE, True) == (problem.kind, problem.target_down)
    assert host in problem.text


def test_server_lost_between_handshakes_keeps_first_failure(monkeypatch):
    """It serves one handshake that is refused, and is gone when it is looked at more closely."""
    context = server_context(issued("127.0.0.1"))
    connections = iter(range(100))

    def serve(connection: socket.socket) -> None:
        if next(connections) < 2:
            speaking(context)(connection)

    with Listener(serve) as server:
        seen = ask_one(server.port)

    assert "" != seen.failure
    assert () == seen.sent


# Hostile servers


def silent(connection: socket.socket) -> None:
    connection.recv(1 << 16)
    connection.recv(1)


def nonsense(connection: socket.socket) -> None:
    connection.sendall(b"\x17\x03\x03\xff\xff" + b"\xff" * 1000)
    silent(connection)


def half_a_hello(connection: socket.socket) -> None:
    connection.recv(1 << 16)
    connection.sendall(bytes.fromhex("16030300 7a 0200"))
    silent(connection)


def hanging_up(connection: socket.socket) -> None:
    connection.recv(1 << 16)


def dripping(ended: threading.Event):
    def serve(connection: socket.socket) -> None:
        hello = bytes.fromhex("160303007a020000760303") + bytes(111)
        for byte in hello * 100:
            connection.sendall(bytes([byte]))
            if ended.wait(0.02):
                return

    return serve


def test_silent_server_hints_at_a_port_without_tls():
    with Listener(silent) as server:
        problem = problem_of(server.port, timeout_s=3)

    assert f"no TLS handshake with 127.0.0.1:{server.port} in " in problem.text
    assert "is this a port without TLS?" == problem.advice


@pytest.mark.parametrize("serve", [silent, half_a_hello], ids=lambda one: one.__name__)
def test_a_server_that_never_ends_a_handshake_is_late(serve):
    started = time.monotonic()
    with Listener(serve) as server:
        problem = problem_of(server.port, timeout_s=0.3)

    assert ProblemKind.LATE is problem.kind
    assert f"127.0.0.1:{server.port} in " in problem.text
    assert problem.target_down
    assert time.monotonic() - started < 10


def test_server_that_drips_bytes_is_late():
    ended = threading.Event()
    with Listener(dripping(ended)) as server:
        problem = problem_of(server.port, timeout_s=0.3)
        ended.set()

    assert ProblemKind.LATE is problem.kind


@pytest.mark.parametrize("serve", [nonsense, hanging_up], ids=lambda one: one.__name__)
def test_a_server_that_answers_something_else_has_failed(serve):
    with Listener(serve) as server:
        seen = ask_one(server.port)

    assert f"127.0.0.1:{server.port}" in seen.failure
    assert () == seen.sent


def test_silent_addresses_cost_one_timeout(chain, ca_file, monkeypatch):
    addresses = [f"127.0.0.{number}" for number in range(2, 22)]
    resolve(monkeypatch, *addresses, host="many.test")
    started = time.monotonic()
    with ExitStack() as stack:
        last = tls_server(chain.leaf("many.test"), chain.middle, host=addresses[-1])
        port = stack.enter_context(last)
        for address in addresses[:-1]:
            stack.enter_context(socket.create_server((address, port)))
        seen = ask(port, host="many.test", ca_file=ca_file, timeout_s=2).addresses

    assert [f"{address}:{port}" for address in addresses] == [one.address for one in seen]
    assert [f"{addresses[-1]}:{port}"] == [one.address for one in seen if one.sent]
    assert {ProblemKind.LATE} == {one.problem.kind for one in seen[:-1]}
    assert time.monotonic() - started < 10
