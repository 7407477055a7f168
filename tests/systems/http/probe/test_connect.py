"""The first contact with a web server, and servers that break the rules of HTTP."""

import socket

import pytest
from pydantic import ValidationError

from opscheck.core.observation import ProblemKind
from opscheck.demo.serving import Exchange
from opscheck.systems.http.request import HttpRequest
from opscheck.systems.http.target import HttpTarget
from tests.servers.web import OK, problem_of

# Servers that break the rules


@pytest.mark.parametrize(
    ("bytes_sent", "text"),
    [
        (b"", "closed the connection without a response to"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "sent an invalid HTTP response"),
        (b"x" * 90_000 + b"\r\n\r\n", "sent an invalid HTTP response"),
        (b"\x00" * 100, "sent an invalid HTTP response"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
            "sent an invalid HTTP response: peer closed connection",
        ),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "sent an invalid HTTP response"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"a" * 200_000, "sent an invalid HTTP response"),
    ],
    ids=["nothing", "ssh", "long line", "zeros", "half a body", "bad chunk", "endless header"],
)
def test_invalid_response_is_a_problem(serve, session, bytes_sent, text):
    def answer(exchange: Exchange) -> None:
        exchange.write(bytes_sent)
        exchange.drop()

    one = session(serve(answer))

    problem = problem_of(lambda: one.ask(HttpRequest("api"), 5))

    assert text in problem.text
    assert len(problem.text) < 500
    assert problem.kind in {ProblemKind.UNREADABLE, ProblemKind.UNREACHABLE}
    assert not problem.target_down


# First contact


def test_nothing_listens(session):
    with socket.create_server(("127.0.0.1", 0)) as closing:
        port = closing.getsockname()[1]

    problem = problem_of(lambda: session(f"http://127.0.0.1:{port}"))

    assert ProblemKind.UNREACHABLE is problem.kind
    assert f"connection refused by 127.0.0.1:{port}" == problem.text
    assert problem.target_down


def test_the_name_does_not_exist(session):
    problem = problem_of(lambda: session("http://no-such-host.invalid"))

    assert ProblemKind.UNREACHABLE is problem.kind
    assert "the name no-such-host.invalid " in problem.text
    assert problem.target_down


def test_a_target_that_stops_in_the_middle_of_a_run_is_down(serve, session):
    server = serve(lambda exchange: exchange.send(OK))
    one = session(server)
    server.close()

    problem = problem_of(lambda: one.ask(HttpRequest("api"), 5))

    assert f"connection refused by 127.0.0.1:{server.port}" == problem.text
    assert problem.target_down


@pytest.mark.parametrize(
    "url",
    [
        "api.example.com",
        "ops:geheim@api.example.com",
        "ftp://ops:geheim@api.example.com",
        "http://",
        "http://ops:ge#heim@api.example.com",
        "http://ops:ge/heim@api.example.com",
        "http://api.example.com:99999",
        "http://[::1",
        "http://api.example.com/?key=geheim",
        "http://api.example.com/#geheim",
    ],
)
def test_malformed_base_url_is_refused_without_its_value(url):
    with pytest.raises(ValidationError, match=r"an address such as https://api|paths are appended") as refused:
        HttpTarget(kind="http", base_url=url)

    assert "heim" not in str(refused.value)


def test_invalid_header_is_named_without_its_value(session):
    problem = problem_of(lambda: session("http://127.0.0.1", headers={"X-Key": "ge\nheim"}))

    assert "the target's header X-Key contains invalid characters" == problem.text
    assert "heim" not in problem.advice
