"""Texts and advice of failed connections."""

import gc
import selectors
import socket
import ssl
import struct
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from opscheck import HttpTarget
from opscheck.core.observation import ProbeError, Problem, ProblemKind
from opscheck.demo.serving import Exchange, LoopbackServer, Response, Tls
from opscheck.systems.http.probe import open_session
from opscheck.systems.http.request import HttpAnswer, HttpRequest
from opscheck.transport.connect import dial, seconds_left, secure, trust, unreachable

PAST = datetime.now(UTC) - timedelta(days=2)


def answer_ok(exchange: Exchange) -> None:
    exchange.send(Response(body=b"{}"))


@pytest.fixture(name="authority", scope="module")
def _authority() -> trustme.CA:
    return trustme.CA(organization_name="tests")


@pytest.fixture(name="ca_file")
def _ca_file(authority, tmp_path) -> Path:
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(path)
    return path


def serving(authority: trustme.CA, *names: str, clients: trustme.CA | None = None, **certificate) -> LoopbackServer:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*(names or ("127.0.0.1",)), **certificate).configure_cert(context)
    if clients is not None:
        clients.configure_trust(context)
        context.verify_mode = ssl.CERT_REQUIRED
    return LoopbackServer(answer_ok, tls=Tls(context, authority.cert_pem.bytes()))


def ask(url: str, **fields) -> HttpAnswer:
    session = open_session(HttpTarget(kind="http", base_url=url, **fields), 5)
    try:
        return session.ask(HttpRequest("api"), 5)
    finally:
        session.close()


def problem_of(url: str, **fields) -> Problem:
    with pytest.raises(ProbeError) as raised:
        ask(url, **fields)
    return raised.value.problem


@pytest.fixture(name="silent_port")
def _silent_port() -> Iterator[int]:
    """The kernel accepts connections, and the server never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.mark.filterwarnings("always::ResourceWarning")
def test_socket_is_closed_when_the_peer_resets_before_tls(recwarn):
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        connection, _ = server.accept()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # close() sends a reset
    with selectors.DefaultSelector() as readable:
        readable.register(connection, selectors.EVENT_READ)
        readable.select(10)
    with pytest.raises(ConnectionResetError):
        secure(connection, ssl.create_default_context(), "127.0.0.1", time.monotonic() + 10)
    gc.collect()

    assert -1 == connection.fileno()
    assert [] == [warning.message for warning in recwarn if warning.category is ResourceWarning]


def test_private_ca_is_trusted_by_ca_file(authority, ca_file):
    with serving(authority) as server:
        assert 200 == ask(server.url, ca_file=str(ca_file)).status


def test_connections_with_tls_are_used_again(authority, ca_file):
    """TLS 1.3 sends tickets after the handshake; they do not mean that the server closed the connection."""
    with serving(authority) as server:
        session = open_session(HttpTarget(kind="http", base_url=server.url, ca_file=str(ca_file)), 5)
        samples = session.ask(HttpRequest("api", samples=3), 5).samples
        session.close()

    assert [True, False, False] == [sample.cold for sample in samples]


def test_private_ca_is_trusted_by_ssl_cert_file(authority, ca_file, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(ca_file))
    with serving(authority) as server:
        assert 200 == ask(server.url).status


def test_unknown_ca_has_advice(authority):
    with serving(authority) as server:
        problem = problem_of(server.url)

    assert ProblemKind.UNREACHABLE is problem.kind
    assert problem.target_down
    assert f"the certificate of 127.0.0.1:{server.port} is signed by an unknown CA" in problem.text
    assert "`ca_file`" in problem.advice
    assert "SSL_CERT_FILE" in problem.advice


def test_expired_certificate_has_advice(authority, ca_file):
    with serving(authority, not_after=PAST) as server:
        problem = problem_of(server.url, ca_file=str(ca_file))

    assert f"the certificate of 127.0.0.1:{server.port} has expired" == problem.text
    assert "renew it" in problem.advice


def test_future_certificate_has_advice(authority, ca_file):
    with serving(authority, not_before=datetime.now(UTC) + timedelta(days=2)) as server:
        problem = problem_of(server.url, ca_file=str(ca_file))

    assert "is not valid yet" in problem.text
    assert "clocks" in problem.advice


def test_certificate_for_another_name_has_advice(authority, ca_file):
    with serving(authority, "other.example") as server:
        problem = problem_of(server.url, ca_file=str(ca_file))

    assert "is for another name: IP address mismatch" in problem.text
    assert "127.0.0.1" in problem.text


def test_https_address_without_tls_has_advice():
    with LoopbackServer(answer_ok) as server:
        problem = problem_of(server.url.replace("http:", "https:"))

    assert ProblemKind.UNREACHABLE is problem.kind
    assert "port with TLS" in problem.advice


def test_http_address_with_tls_has_advice(authority):
    with serving(authority) as server:
        problem = problem_of(server.url.replace("https:", "http:"))

    assert problem.kind in {ProblemKind.UNREADABLE, ProblemKind.UNREACHABLE}


def test_required_client_certificate_is_sent(authority, ca_file, tmp_path):
    clients = trustme.CA()
    certificate = tmp_path / "client.pem"
    clients.issue_cert("opscheck@example.com").private_key_and_cert_chain_pem.write_to_path(certificate)
    with serving(authority, clients=clients) as server:
        refused = problem_of(server.url, ca_file=str(ca_file))

        assert "requires a client certificate" in refused.text
        assert "`client_certificate`" in refused.advice
        assert refused.target_down
        assert 200 == ask(server.url, ca_file=str(ca_file), client_certificate=str(certificate)).status


def test_client_certificate_is_not_sent_to_other_origins(authority, ca_file, tmp_path):
    clients = trustme.CA()
    certificate = tmp_path / "client.pem"
    clients.issue_cert("opscheck@example.com").private_key_and_cert_chain_pem.write_to_path(certificate)
    with serving(authority, clients=clients) as other:

        def redirect(exchange: Exchange) -> None:
            exchange.send(Response(status=302, headers={"Location": other.url}))

        with LoopbackServer(redirect) as server:
            target = HttpTarget(
                kind="http", base_url=server.url, ca_file=str(ca_file), client_certificate=str(certificate)
            )
            session = open_session(target, 5)
            with pytest.raises(ProbeError, match="requires a client certificate"):
                session.ask(HttpRequest("api", follow_redirects=True), 5)
            session.close()


@pytest.mark.parametrize("field", ["ca_file", "client_certificate"])
def test_missing_file_is_reported(authority, field, tmp_path):
    with serving(authority) as server:
        problem = problem_of(server.url, **{field: str(tmp_path / "none.pem")})

    assert ProblemKind.UNSUPPORTED is problem.kind
    assert f"the target's {field} {tmp_path}/none.pem cannot be read: No such file or directory" == problem.text


@pytest.mark.parametrize("field", ["ca_file", "client_certificate"])
def test_file_with_other_content_is_reported(authority, field, tmp_path):
    path = tmp_path / "no.pem"
    path.write_text("hello")
    with serving(authority) as server:
        problem = problem_of(server.url, **{field: str(path)})

    assert f"the target's {field} {path} does not contain" in problem.text
    assert problem.target_down


def test_encrypted_key_never_prompts(tmp_path):
    key = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"geheim"),
    )
    path = tmp_path / "client.pem"
    path.write_bytes(trustme.CA().issue_cert("me@example.com").cert_chain_pems[0].bytes() + key)

    with pytest.raises(ProbeError, match="does not contain a certificate and its key"):
        trust(None, str(path))


def test_endless_handshake_is_late(silent_port):
    started = time.monotonic()

    with pytest.raises(ProbeError) as raised:
        open_session(HttpTarget(kind="http", base_url=f"https://127.0.0.1:{silent_port}"), 0.2)

    assert ProblemKind.LATE is raised.value.problem.kind
    assert raised.value.problem.target_down
    assert time.monotonic() - started < 5


def test_refusing_address_is_followed_by_the_next(monkeypatch, silent_port):
    """`localhost` is two addresses, and a server may listen on one of them."""
    closed = socket.create_server(("127.0.0.1", 0))
    refusing = closed.getsockname()
    closed.close()
    listening = ("127.0.0.1", silent_port)
    found = [(socket.AF_INET, socket.SOCK_STREAM, 0, "", address) for address in (refusing, listening)]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)

    with dial("two.example", 1, time.monotonic() + 5) as connection:
        assert listening == connection.getpeername()


def test_expired_deadline_is_a_timeout():
    with pytest.raises(TimeoutError):
        seconds_left(time.monotonic() - 1)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ConnectionRefusedError(), "connection refused by db:5432"),
        (ConnectionResetError(), "db:5432 closed the connection"),
        (FileNotFoundError(), "socket db:5432 not found"),
        (TimeoutError(), "no connection to db:5432 in time"),
        (socket.gaierror(socket.EAI_NONAME, "x"), "the name db does not exist"),
        (socket.gaierror(socket.EAI_AGAIN, "x"), "the name db could not be resolved: no name server answered"),
        (OSError(113, "No route to host"), "no route to db:5432"),
        (OSError(101, "Network is unreachable"), "no route to db:5432"),
        (PermissionError(13, "Permission denied"), "db:5432 cannot be reached: Permission denied"),
        (ssl.SSLEOFError(8, "EOF"), "db:5432 closed the connection during the TLS handshake"),
        (ssl.SSLError(1, "strange"), "db:5432 fails the TLS handshake: "),
    ],
    ids=lambda value: value if isinstance(value, str) else repr(value),
)
def test_each_failure_has_a_text(error, text):
    problem = unreachable(error, "db:5432").problem

    assert problem.text.startswith(text)
    assert ProblemKind.UNREACHABLE is problem.kind
