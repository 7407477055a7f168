"""STARTTLS with real servers from wheels, and with scripted servers."""

import socket
import ssl
import threading
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP
from hypothesis import given
from hypothesis import strategies as st

from opscheck.core.observation import ProblemKind
from opscheck.systems.tls.handshake import ShakeHands, StartTls
from opscheck.systems.tls.probe.handshake import Peer
from opscheck.systems.tls.probe.starttls import _result_code
from opscheck.transport.connect import Address
from opscheck.transport.processes import free_port
from tests.servers.tls import Listener, server_context, speaking
from tests.systems.tls.probe.sessions import ask_one, problem_of

SSL_REQUEST = bytes.fromhex("0000000804d2162f")
LDAP_REQUEST = b"0\x1d\x02\x01\x01w\x18\x80\x161.3.6.1.4.1.1466.20037"
LDAP_SUCCESS = bytes.fromhex("300c02010178070a010004000400")


def changing_over(context: ssl.SSLContext, talk: Callable[[socket.socket], None]) -> Listener:
    """A server that talks first, and then shakes hands."""

    def serve(connection: socket.socket) -> None:
        talk(connection)
        speaking(context)(connection)

    return Listener(serve)


def talking(*lines: tuple[bytes, bytes]) -> Callable[[socket.socket], None]:
    """Hear each first part, and say each second."""

    def talk(connection: socket.socket) -> None:
        for wanted, said in lines:
            heard = b""
            while len(heard) < len(wanted):
                heard += connection.recv(len(wanted) - len(heard))
            connection.sendall(said if heard == wanted else b"")

    return talk


CONVERSATIONS = {
    StartTls.POSTGRES: ((SSL_REQUEST, b"S"),),
    StartTls.LDAP: ((LDAP_REQUEST, LDAP_SUCCESS),),
    StartTls.IMAP: (
        (b"", b"* OK [CAPABILITY IMAP4rev1 STARTTLS] ready\r\n"),
        (b"a1 STARTTLS\r\n", b"* CAPABILITY IMAP4rev1\r\na1 OK Begin TLS negotiation now.\r\n"),
    ),
    StartTls.POP3: ((b"", b"+OK ready\r\n"), (b"STLS\r\n", b"+OK Begin TLS negotiation now.\r\n")),
    StartTls.SMTP: (
        (b"", b"220-mail.test\r\n220 ESMTP\r\n"),
        (b"EHLO opscheck.invalid\r\n", b"250-mail.test\r\n250-SIZE 1000\r\n250-starttls\r\n250 HELP\r\n"),
        (b"STARTTLS\r\n", b"220 2.0.0 Ready to start TLS\r\n"),
    ),
}


@pytest.mark.parametrize("protocol", StartTls)
def test_each_protocol_changes_over_to_tls(protocol, chain, leaf, ca_file):
    context = server_context(leaf, chain.middle)
    with changing_over(context, talking(*CONVERSATIONS[protocol])) as server:
        handshake = ask_one(server.port, starttls=protocol, ca_file=ca_file)

    assert ("TLSv1.3", "", 3) == (handshake.protocol, handshake.failure, len(handshake.chain))
    assert (None, "") == (handshake.older.accepted, handshake.older.unknown)


def test_active_directory_writes_lengths_in_four_bytes(chain, leaf, ca_file):
    answer = bytes.fromhex("308400000010 020101 788400000007 0a010004000400")
    with changing_over(server_context(leaf, chain.middle), talking((LDAP_REQUEST, answer))) as server:
        assert "TLSv1.3" == ask_one(server.port, starttls="ldap", ca_file=ca_file).protocol


REFUSALS = [
    ("postgres", ((SSL_REQUEST, b"N"),), "has no TLS (ssl = off)"),
    ("postgres", ((SSL_REQUEST, b"E"),), "answered an SSLRequest with 'E'"),
    ("postgres", ((SSL_REQUEST, b""),), "closed the connection"),
    ("smtp", ((b"", b"220 x\r\n"), (b"EHLO", b"250-x\r\n250 SIZE\r\n")), "does not offer STARTTLS"),
    ("smtp", ((b"", b"554 go away\r\n"),), "answered a new connection with '554 go away'"),
    (
        "smtp",
        ((b"", b"220 x\r\n"), (b"EHLO", b"250 STARTTLS\r\n"), (b"", b"250 STARTTLS\r\n")),
        "answered STARTTLS with '250 STARTTLS'",
    ),
    ("imap", ((b"", b"* BYE too many\r\n"),), "answered a new connection with '* BYE too many'"),
    ("imap", ((b"", b"* OK x\r\n"), (b"a1", b"a1 BAD unknown\r\n")), "answered STARTTLS with 'a1 BAD unknown'"),
    ("pop3", ((b"", b"+OK\r\n"), (b"STLS", b"-ERR no\r\n")), "answered STLS with '-ERR no'"),
    ("ldap", ((LDAP_REQUEST, bytes.fromhex("300c02010178070a010234000400")),), "refuses StartTLS (LDAP result 2)"),
    ("ldap", ((LDAP_REQUEST, bytes.fromhex("300c02010161070a010004000400")),), "does not speak LDAP"),
    ("ldap", ((LDAP_REQUEST, bytes.fromhex("3084ffffffff")),), "does not speak LDAP"),
    ("ldap", ((LDAP_REQUEST, bytes.fromhex("3003020101")),), "does not speak LDAP"),
    ("ldap", ((LDAP_REQUEST, b"HTTP/1.1 400"),), "does not speak LDAP"),
    ("pop3", ((b"", b"x" * 20_000),), "sent an endless line"),
]


@pytest.mark.parametrize(("protocol", "lines", "failure"), REFUSALS)
def test_refused_starttls_quotes_the_server(protocol, lines, failure):
    def serve(connection: socket.socket) -> None:
        talking(*lines)(connection)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(4096):
            pass

    with Listener(serve) as server:
        handshake = ask_one(server.port, starttls=StartTls(protocol))

    assert failure in handshake.failure
    assert f"127.0.0.1:{server.port}" in handshake.failure


@pytest.mark.parametrize("protocol", StartTls)
def test_silent_server_is_late(protocol):
    with socket.create_server(("127.0.0.1", 0)) as server:
        problem = problem_of(server.getsockname()[1], starttls=protocol, timeout_s=0.2)

    assert ProblemKind.LATE is problem.kind
    assert problem.target_down


@pytest.mark.parametrize("protocol", [one for one in StartTls if one is not StartTls.POSTGRES])
def test_dripping_server_is_late(protocol):
    ended = threading.Event()

    def drip(connection: socket.socket) -> None:
        while not ended.wait(0.02):
            connection.sendall(b"0")

    with Listener(drip) as server:
        problem = problem_of(server.port, starttls=protocol, timeout_s=0.3)
        ended.set()

    assert ProblemKind.LATE is problem.kind


def test_plaintext_before_tls_is_not_read_as_tls(chain, leaf, ca_file):
    """Data behind the answer is not consumed: TLS then fails, as it must."""
    injected = talking((b"", b"+OK\r\n"), (b"STLS\r\n", b"+OK\r\n+OK injected\r\n"))
    with changing_over(server_context(leaf, chain.middle), injected) as server:
        handshake = ask_one(server.port, starttls=StartTls.POP3, ca_file=ca_file)

    assert "answers, but not with TLS" in handshake.failure


@given(st.binary(max_size=40))
def test_any_ldap_response_is_handled(message):
    code = _result_code(message)

    assert code is None or code >= 0


# Real servers


@pytest.fixture(name="smtp")
def _smtp(chain, leaf):
    context = server_context(leaf, chain.middle)

    class WithTls(Controller):
        def factory(self) -> SMTP:
            return SMTP(self.handler, tls_context=context, hostname="mail.test")

    controller = WithTls(object(), hostname="127.0.0.1", port=free_port(), ready_timeout=20)
    controller.start()
    yield controller.port
    controller.stop()


def test_a_real_smtp_server(smtp, ca_file):
    handshake = ask_one(smtp, starttls=StartTls.SMTP, ca_file=ca_file)

    assert ("TLSv1.3", "", "127.0.0.1") == (handshake.protocol, handshake.failure, handshake.leaf.names[0])
    assert "" == handshake.older.unknown


def test_smtp_without_starttls_fails(smtp):
    assert "answers, but not with TLS" in ask_one(smtp).failure


def test_a_real_postgresql_without_tls(cluster):
    port = urlsplit(cluster.dsn("opscheck", "postgres")).port

    assert f"127.0.0.1:{port} has no TLS (ssl = off)" == ask_one(port, starttls=StartTls.POSTGRES).failure


@pytest.mark.parametrize(("port", "word"), [(5432, "postgres"), (587, "smtp"), (389, "ldap"), (143, "imap")])
def test_usual_starttls_port_has_advice(port, word, leaf):
    peer = Peer(Address(socket.AF_INET, socket.SOCK_STREAM, 0, ("127.0.0.1", port)), "127.0.0.1", ShakeHands("tls://x"))

    assert f"set `starttls: {word}`" in peer._starttls_advice
