"""Connections by the deadline, with the SQLSTATE of a refusal; `test_contacts` has the reasons."""

import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic

import pytest
import trustme
from psycopg.conninfo import make_conninfo

from opscheck.core.observation import ProbeError, Problem, ProblemKind
from opscheck.systems.postgres.connections import RefusedBy
from opscheck.systems.postgres.probe.libpq import TooManyConnections, connect
from opscheck.transport.connect import tls_socket
from opscheck.transport.processes import free_port

Serve = Callable[[socket.socket], None]


@contextmanager
def listening(serve: Serve) -> Iterator[str]:
    """A server of one client, which `serve` speaks to; gives its DSN."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            with server.accept()[0] as client:
                client.settimeout(10)
                serve(client)

        thread = threading.Thread(target=accept)
        thread.start()
        yield f"postgresql://someone:hunter22@127.0.0.1:{server.getsockname()[1]}/shop?sslmode=disable"
        thread.join(10)


def fatal(sqlstate: str, message: str, routine: str = "InitPostgres") -> Serve:
    """A server that reads the start-up packet and refuses, as PostgreSQL's protocol has it."""
    fields = {"S": "FATAL", "V": "FATAL", "C": sqlstate, "M": message, "F": "postinit.c", "L": "1", "R": routine}
    body = b"".join(name.encode() + text.encode() + b"\0" for name, text in fields.items()) + b"\0"

    def serve(client: socket.socket) -> None:
        client.recv(4096)
        client.sendall(b"E" + struct.pack("!I", len(body) + 4) + body)

    return serve


def until_the_client_leaves(client: socket.socket) -> None:
    while client.recv(4096):
        pass


def problem_of(dsn: str, within: float = 10) -> Problem:
    with pytest.raises(ProbeError) as raised:
        connect(dsn, monotonic() + within)
    return raised.value.problem


def test_connection_is_in_autocommit_mode(server):
    with connect(server.dsn(), monotonic() + 10) as connection:
        assert connection.autocommit
        assert ("opscheck",) == connection.execute("SELECT current_user::text").fetchone()


def test_untrusted_certificate_is_unreachable(tmp_path):
    trusted = tmp_path / "ca.pem"
    trustme.CA().cert_pem.write_to_path(trusted)
    context = trustme_context("127.0.0.1")

    def serve(client: socket.socket) -> None:
        client.recv(8)  # the request for TLS
        client.sendall(b"S")
        with pytest.raises(OSError, match=r"."), tls_socket(client, context, server_side=True) as secured:
            secured.recv(1)

    with listening(serve) as dsn:
        problem = problem_of(make_conninfo(dsn, sslmode="verify-full", sslrootcert=str(trusted)))

    assert ProblemKind.UNREACHABLE == problem.kind
    assert "certificate verify failed" in problem.text


def trustme_context(host: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert(host).configure_cert(context)
    return context


def test_server_other_than_postgresql_is_unreachable():
    def serve(client: socket.socket) -> None:
        client.recv(4096)
        client.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with listening(serve) as dsn:
        problem = problem_of(dsn)

    assert (ProblemKind.UNREACHABLE, True) == (problem.kind, problem.target_down)


def test_silent_server_is_late_by_the_deadline():
    with listening(until_the_client_leaves) as dsn:
        began = monotonic()
        with pytest.raises(TimeoutError):
            connect(dsn, began + 0.3)

        assert monotonic() - began < 5


def test_second_host_is_tried_when_the_first_refuses(server):
    hosts = make_conninfo(server.dsn(), host="127.0.0.1,127.0.0.1", port=f"{free_port()},{server.port}")

    connect(hosts, monotonic() + 10).close()


@pytest.mark.parametrize(
    ("routine", "by"),
    [
        ("InitProcess", RefusedBy.SERVER),
        ("InitPostgres", RefusedBy.SERVER),
        ("InitializeSessionUserId", RefusedBy.ROLE),
        ("CheckMyDatabase", RefusedBy.DATABASE),
    ],
)
def test_full_server_is_detected_in_every_language(routine, by):
    german = fatal("53300", "tut mir leid, schon zu viele Verbindungen", routine)
    with listening(german) as dsn, pytest.raises(TooManyConnections) as raised:
        connect(dsn, monotonic() + 10)

    refusal = raised.value.refusal
    assert ("tut mir leid, schon zu viele Verbindungen", by) == (refusal.text, refusal.by)
    assert ("someone", "shop") == (refusal.role, refusal.database)


@pytest.mark.parametrize("dsn", ["postgres//u:hunter22@h/db", "postgresql://u:hunter%zz@h/db", "hunter22"])
def test_invalid_dsn_is_not_shown(dsn):
    problem = problem_of(dsn)

    assert (ProblemKind.UNSUPPORTED, True) == (problem.kind, problem.target_down)
    assert "hunter" not in problem.text + problem.advice


def test_errors_do_not_contain_the_password():
    with listening(fatal("28P01", "nein")) as dsn:
        assert "hunter22" not in str(problem_of(dsn))
