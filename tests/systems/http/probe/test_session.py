"""The HTTP probe against real servers, good and hostile ones."""

import gzip
import threading
import time
import zlib
from itertools import count

import pytest

from opscheck import __version__
from opscheck.core.observation import ProblemKind
from opscheck.demo.serving import Exchange, Response
from opscheck.systems.http.request import HttpRequest
from tests.servers.web import OK, problem_of

# Requests


def test_request_has_a_user_agent(serve, session):
    server = serve(lambda exchange: exchange.send(OK))
    session(server).ask(HttpRequest("api", path="/v1/health"), 5)

    request = server.requests[0]

    assert ("GET", "/v1/health") == (request.method, request.path)
    assert f"opscheck/{__version__}" == request.headers["user-agent"]
    assert f"127.0.0.1:{server.port}" == request.headers["host"]


def test_paths_start_at_the_base_url(serve, session):
    server = serve(lambda exchange: exchange.send(OK))
    session(f"{server.url}/api/").ask(HttpRequest("api", path="/v1/jobs?state=a%20b&name=ü"), 5)

    request = server.requests[0]

    assert "/api/v1/jobs" == request.path
    assert {"state": "a b", "name": "ü"} == request.query


def test_credentials_come_from_headers_or_url(serve, session):
    server = serve(lambda exchange: exchange.send(OK))
    session(server, headers={"Authorization": "Bearer geheim\n"}).ask(HttpRequest("api"), 5)
    session(f"http://ops:p%40ss@127.0.0.1:{server.port}").ask(HttpRequest("api"), 5)

    sent = [request.headers["authorization"] for request in server.requests]

    assert ["Bearer geheim", "Basic b3BzOnBAc3M="] == sent


def test_the_environment_changes_no_request(serve, session, monkeypatch, tmp_path):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    server = serve(lambda exchange: exchange.send(OK))

    answer = session(server).ask(HttpRequest("api"), 5)

    assert 200 == answer.status
    assert "authorization" not in server.requests[0].headers


def test_connections_are_used_again(serve, session):
    peers = []

    def answer(exchange: Exchange) -> None:
        peers.append(exchange._handler.client_address)
        exchange.send(OK)

    one = session(serve(answer))
    cold = [one.ask(HttpRequest("api", path=f"/{n}"), 5).samples[0].cold for n in range(3)]

    assert [True, False, False] == cold
    assert 1 == len(set(peers))


def test_threads_share_one_session(serve, session):
    server = serve(lambda exchange: exchange.send(Response(body=exchange.request.path.encode())))
    one = session(server, concurrency=4)
    bodies: list[str] = []
    threads = [
        threading.Thread(target=lambda n=n: bodies.append(one.ask(HttpRequest("api", path=f"/{n}"), 5).body))
        for n in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)

    assert {f"/{n}" for n in range(20)} == set(bodies)


def test_closed_idle_connection_is_replaced(serve, session):
    """A server may close an idle connection at the very moment when it is used again."""
    times = count()

    def answer(exchange: Exchange) -> None:
        if next(times) == 1:
            exchange.drop()  # the second request arrives, on the first one's connection, and gets nothing
        else:
            exchange.send(OK)

    one = session(serve(answer))
    one.ask(HttpRequest("api"), 5)

    assert 200 == one.ask(HttpRequest("api"), 5).status


# Responses


def test_an_answer_is_whole(serve, session):
    server = serve(lambda exchange: exchange.send(OK))

    answer = session(server).ask(HttpRequest("api", path="/v1/health"), 5)

    assert (200, '{"status": "ok"}', 16, False) == (answer.status, answer.body, answer.size, answer.truncated)
    assert f"{server.url}/v1/health" == answer.url == answer.final_url
    assert "HTTP/1.1" == answer.http_version
    assert "application/json" == answer.headers["content-type"]
    assert 0 < answer.samples[0].seconds < 5


@pytest.mark.parametrize("status", [204, 301, 404, 500, 503, 599])
def test_any_status_is_an_answer(serve, session, status):
    server = serve(lambda exchange: exchange.send(Response(status=status)))

    assert status == session(server).ask(HttpRequest("api"), 5).status


def test_early_hints_are_not_the_answer(serve, session):
    def answer(exchange: Exchange) -> None:
        exchange.write(b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n")
        exchange.send(OK)

    assert 200 == session(serve(answer)).ask(HttpRequest("api"), 5).status


def test_head_has_no_body(serve, session):
    server = serve(lambda exchange: exchange.send(Response(body=b"hello", headers={"Content-Encoding": "gzip"})))

    answer = session(server).ask(HttpRequest("api", method="HEAD"), 5)

    assert (200, "", 0) == (answer.status, answer.body, answer.size)
    assert "HEAD" == server.requests[0].method


@pytest.mark.parametrize(
    ("encoding", "packed"),
    [
        ("gzip", gzip.compress(b"hello")),
        ("deflate", zlib.compress(b"hello")),
        ("deflate", zlib.compress(b"hello")[2:-4]),
        ("identity", b"hello"),
    ],
    ids=["gzip", "deflate", "deflate as many servers do", "identity"],
)
def test_compressed_bodies_are_unpacked(serve, session, encoding, packed):
    server = serve(lambda exchange: exchange.send(Response(body=packed, headers={"Content-Encoding": encoding})))

    assert "hello" == session(server).ask(HttpRequest("api"), 5).body


@pytest.mark.parametrize("packed", [b"no gzip", gzip.compress(b"hello")[:-6]], ids=["garbage", "cut off"])
def test_wrongly_compressed_body_is_unreadable(serve, session, packed):
    server = serve(lambda exchange: exchange.send(Response(body=packed, headers={"Content-Encoding": "gzip"})))
    one = session(server)

    problem = problem_of(lambda: one.ask(HttpRequest("api"), 5))

    assert ProblemKind.UNREADABLE is problem.kind
    assert "responded 200, but its " in problem.text


@pytest.mark.parametrize(
    ("content_type", "raw", "text"),
    [
        ("text/plain; charset=iso-8859-1", b"gr\xfcn", "grün"),
        ("text/plain", b"gr\xfcn", "gr�n"),
        ("text/plain; charset=UTF-16", "grün".encode("utf-16"), "grün"),
        ('text/plain; charset="utf-8"', "grün".encode(), "grün"),
        ("text/plain; charset=klingon", "grün".encode(), "grün"),
        ("text/plain; charset=punycode", "grün".encode(), "grün"),
        ("text/plain; charset=hex", "grün".encode(), "grün"),
        ("text/plain; charset=", "grün".encode(), "grün"),
    ],
)
def test_body_is_decoded_by_its_charset(serve, session, content_type, raw, text):
    server = serve(lambda exchange: exchange.send(Response(body=raw, content_type=content_type)))

    assert text == session(server).ask(HttpRequest("api"), 5).body


def test_headers_that_carry_secrets_are_masked(serve, session):
    headers = {
        "Set-Cookie": "sid=abc123; Path=/; HttpOnly",
        "X-Auth-Token": "abc123",
        "X-API-Key": "abc123",
        "Authorization": "Bearer abc123",
        "Location": "https://user:abc123@other.example/in?token=abc123&page=2",
        "X-Trace": "kept",
    }
    server = serve(lambda exchange: exchange.send(Response(headers=headers)))

    answer = session(server).ask(HttpRequest("api"), 5)

    assert "abc123" not in str(answer)
    assert "sid=***; Path=/; HttpOnly" == answer.headers["set-cookie"]
    assert "https://other.example/in?token=***&page=2" == answer.headers["location"]
    assert "kept" == answer.headers["x-trace"]


def test_the_url_in_an_answer_holds_no_credential(serve, session):
    server = serve(lambda exchange: exchange.send(OK))

    answer = session(f"http://ops:geheim@127.0.0.1:{server.port}").ask(HttpRequest("api", path="/?api_key=abc123"), 5)

    assert "geheim" not in str(answer)
    assert f"{server.url}/?api_key=***" == answer.url


# Bounds


def test_a_body_is_read_up_to_its_bound(serve, session):
    server = serve(lambda exchange: exchange.send(Response(body=b"12345")))
    one = session(server)

    exact = one.ask(HttpRequest("api", max_body=5), 5)
    cut = one.ask(HttpRequest("api", max_body=4), 5)

    assert ("12345", 5, False) == (exact.body, exact.size, exact.truncated)
    assert ("1234", 4, True) == (cut.body, cut.size, cut.truncated)


def test_a_body_of_ten_gigabytes_is_not_read(serve, session):
    sent = []

    def answer(exchange: Exchange) -> None:
        exchange.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10000000000\r\n\r\n")
        for _ in range(10_000):
            exchange.write(b"x" * 1_000_000)
            sent.append(1)

    answer = session(serve(answer)).ask(HttpRequest("api"), 30)

    assert (2**20, True) == (answer.size, answer.truncated)
    assert len(sent) < 100


def test_a_decompression_bomb_does_not_go_off(serve, session):
    bomb = gzip.compress(b"0" * 200_000_000, compresslevel=1)
    server = serve(lambda exchange: exchange.send(Response(body=bomb, headers={"Content-Encoding": "gzip"})))

    answer = session(server).ask(HttpRequest("api", max_body=1000), 30)

    assert (1000, True) == (answer.size, answer.truncated)


def test_an_answer_that_never_comes_is_late(serve, session):
    one = session(serve(lambda exchange: exchange.pause()))

    problem = problem_of(lambda: one.ask(HttpRequest("api", path="/slow"), 0.2))

    assert ProblemKind.LATE is problem.kind
    assert "no response from" in problem.text
    assert problem.waited_s >= 0.2


def test_a_head_that_drips_is_late(serve, session):
    def answer(exchange: Exchange) -> None:
        for byte in b"HTTP/1.1 200 OK\r\n" * 100:
            exchange.write(bytes([byte]))
            exchange.pause(0.02)

    one = session(serve(answer))

    problem = problem_of(lambda: one.ask(HttpRequest("api"), 0.2))

    assert ProblemKind.LATE is problem.kind


def test_dripping_body_is_late_and_names_the_status(serve, session):
    def answer(exchange: Exchange) -> None:
        exchange.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        for _ in range(1000):
            exchange.write(b"x")
            exchange.pause(0.02)

    one = session(serve(answer))

    problem = problem_of(lambda: one.ask(HttpRequest("api"), 0.2))

    assert ProblemKind.LATE is problem.kind
    assert "responded 200, but its body did not end in" in problem.text


def test_threads_end_shortly_after_their_deadline(serve, session):
    one = session(serve(lambda exchange: exchange.pause()))
    started = time.monotonic()

    problem_of(lambda: one.ask(HttpRequest("api"), 0.1))

    assert time.monotonic() - started < 5


# Samples


def test_each_sample_is_a_request(serve, session):
    server = serve(lambda exchange: exchange.send(OK))

    answer = session(server).ask(HttpRequest("api", samples=5), 5)

    assert 5 == len(server.requests)
    assert [True, False, False, False, False] == [sample.cold for sample in answer.samples]
    assert [200] * 5 == [sample.status for sample in answer.samples]


def test_failed_sample_has_its_reason(serve, session):
    """One backend of three is broken: the first answer alone would not show it."""
    statuses = iter([200, 503, 200])

    def answer(exchange: Exchange) -> None:
        if (status := next(statuses, None)) is None:
            exchange.drop()
        else:
            exchange.send(Response(status=status))

    samples = session(serve(answer)).ask(HttpRequest("api", samples=4), 5).samples

    assert [200, 503, 200, None] == [sample.status for sample in samples]
    assert "closed the connection" in samples[3].error


def test_a_sample_that_hangs_counts_as_unanswered(serve, session):
    times = count()

    def answer(exchange: Exchange) -> None:
        if next(times) == 2:
            exchange.pause()
        exchange.send(OK)

    samples = session(serve(answer)).ask(HttpRequest("api", samples=10), 1).samples

    assert [200, 200, None] == [sample.status for sample in samples]
    assert "no response from" in samples[2].error


def test_samples_beyond_the_time_limit_are_missing(serve, session):
    def answer(exchange: Exchange) -> None:
        exchange.pause(0.2)
        exchange.send(OK)

    samples = session(serve(answer)).ask(HttpRequest("api", samples=50), 1).samples

    assert len(samples) < 50
    assert {200} == {sample.status for sample in samples}
