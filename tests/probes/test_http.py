"""The HTTP probe against real servers, good and hostile ones."""

import gzip
import socket
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import count

import pytest

from opscheck import HttpTarget, __version__
from opscheck.demo.serving import Answer, Exchange, LoopbackServer, Response
from opscheck.probes.http import HttpSession, open_session
from opscheck.queries.http import HttpRequest
from opscheck.queries.observation import ProbeError, Problem, ProblemKind

Serve = Callable[[Answer], LoopbackServer]
Open = Callable[..., HttpSession]

OK = Response(body=b'{"status": "ok"}')


@pytest.fixture(name="stack")
def _stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture(name="serve")
def _serve(stack) -> Serve:
    return lambda answer: stack.enter_context(LoopbackServer(answer))


@pytest.fixture(name="session")
def _session(stack) -> Open:
    def open_one(server: LoopbackServer | str, timeout_s: float = 5, **fields) -> HttpSession:
        url = server if isinstance(server, str) else server.url
        session = open_session(HttpTarget(kind="http", base_url=url, **fields), timeout_s)
        stack.callback(session.close)
        return session

    return open_one


def problem_of(ask: Callable[[], object]) -> Problem:
    with pytest.raises(ProbeError) as raised:
        ask()
    return raised.value.problem


# What is sent


def test_a_request_says_who_asks(serve, session):
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


def test_credentials_go_along_from_headers_or_from_the_url(serve, session):
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


def test_a_connection_that_the_server_closed_meanwhile_is_no_outage(serve, session):
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


# What comes back


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
def test_a_body_that_is_packed_wrong_is_unreadable(serve, session, packed):
    server = serve(lambda exchange: exchange.send(Response(body=packed, headers={"Content-Encoding": "gzip"})))
    one = session(server)

    problem = problem_of(lambda: one.ask(HttpRequest("api"), 5))

    assert ProblemKind.UNREADABLE is problem.kind
    assert "answered 200, but its " in problem.text


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
def test_a_body_is_text_in_the_charset_that_the_answer_names(serve, session, content_type, raw, text):
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
    assert "no answer from" in problem.text
    assert problem.waited_s >= 0.2


def test_a_head_that_drips_is_late(serve, session):
    def answer(exchange: Exchange) -> None:
        for byte in b"HTTP/1.1 200 OK\r\n" * 100:
            exchange.write(bytes([byte]))
            exchange.pause(0.02)

    one = session(serve(answer))

    problem = problem_of(lambda: one.ask(HttpRequest("api"), 0.2))

    assert ProblemKind.LATE is problem.kind


def test_a_body_that_drips_is_late_and_the_text_tells_how_far_it_came(serve, session):
    def answer(exchange: Exchange) -> None:
        exchange.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        for _ in range(1000):
            exchange.write(b"x")
            exchange.pause(0.02)

    one = session(serve(answer))

    problem = problem_of(lambda: one.ask(HttpRequest("api"), 0.2))

    assert ProblemKind.LATE is problem.kind
    assert "answered 200, but its body did not end in" in problem.text


def test_threads_end_soon_after_their_time(serve, session):
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


def test_a_sample_that_fails_is_kept_with_its_reason(serve, session):
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
    assert "no answer from" in samples[2].error


def test_samples_that_time_does_not_allow_are_missing_and_not_endless(serve, session):
    def answer(exchange: Exchange) -> None:
        exchange.pause(0.2)
        exchange.send(OK)

    samples = session(serve(answer)).ask(HttpRequest("api", samples=50), 1).samples

    assert len(samples) < 50
    assert {200} == {sample.status for sample in samples}


# Redirects


def redirecting(exchange: Exchange, location: str, status: int = 302) -> None:
    exchange.send(Response(status=status, headers={"Location": location}))


def test_the_first_answer_is_the_answer(serve, session):
    server = serve(lambda exchange: redirecting(exchange, "/login"))

    answer = session(server).ask(HttpRequest("api"), 5)

    assert (302, ()) == (answer.status, answer.redirects)
    assert "/login" == answer.headers["location"]


@pytest.mark.parametrize("location", ["/b", "b", "?x=1", "//{authority}/b", "http://{authority}/b"])
def test_redirects_are_followed_when_asked_for_wherever_they_are_relative_to(serve, session, location):
    def answer(exchange: Exchange) -> None:
        if len(server.requests) == 1:
            redirecting(exchange, location.format(authority=f"127.0.0.1:{server.port}"))
        else:
            exchange.send(OK)

    server = serve(answer)
    answer = session(server, headers={"X-Key": "k"}).ask(HttpRequest("api", path="/a", follow_redirects=True), 5)

    assert 200 == answer.status
    assert (answer.final_url,) == answer.redirects
    assert "k" == server.requests[1].headers["x-key"]


def test_credentials_stay_at_the_target(serve, session):
    other = serve(lambda exchange: exchange.send(OK))
    server = serve(lambda exchange: redirecting(exchange, f"{other.url}/in"))
    one = session(server, headers={"Authorization": "Bearer geheim", "X-Api-Key": "geheim"})

    answer = one.ask(HttpRequest("api", headers=(("X-Tenant", "geheim"),), follow_redirects=True), 5)

    assert f"{other.url}/in" == answer.final_url
    assert "geheim" not in str(other.requests[0])


def test_a_redirect_to_another_origin_that_is_down_is_not_this_targets_outage(serve, session):
    server = serve(lambda exchange: redirecting(exchange, "http://127.0.0.1:1/"))
    one = session(server)

    problem = problem_of(lambda: one.ask(HttpRequest("api", follow_redirects=True), 5))

    assert "connection refused by 127.0.0.1:1" == problem.text
    assert not problem.target_down


def test_a_loop_of_redirects_ends(serve, session):
    one = session(serve(lambda exchange: redirecting(exchange, "/again")))

    problem = problem_of(lambda: one.ask(HttpRequest("api", follow_redirects=True), 5))

    assert ProblemKind.UNREADABLE is problem.kind
    assert "redirects more than 10 times" in problem.text


@pytest.mark.parametrize("location", ["ftp://x/", "javascript:alert(1)", "http://[", ""])
def test_a_redirect_to_nowhere_is_the_answer(serve, session, location):
    server = serve(lambda exchange: redirecting(exchange, location or "mailto:x"))

    assert 302 == session(server).ask(HttpRequest("api", follow_redirects=True), 5).status


# Servers that break the rules


@pytest.mark.parametrize(
    ("bytes_sent", "text"),
    [
        (b"", "closed the connection without answering"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "did not answer in whole HTTP"),
        (b"x" * 90_000 + b"\r\n\r\n", "did not answer in whole HTTP"),
        (b"\x00" * 100, "did not answer in whole HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort", "did not answer in whole HTTP: peer closed connection"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "did not answer in whole HTTP"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"a" * 200_000, "did not answer in whole HTTP"),
    ],
    ids=["nothing", "ssh", "long line", "zeros", "half a body", "bad chunk", "endless header"],
)
def test_what_is_no_answer_is_said_to_be_none(serve, session, bytes_sent, text):
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
def test_a_malformed_base_url_is_said_to_be_one_without_showing_it(session, url):
    problem = problem_of(lambda: session(url))

    assert ProblemKind.UNSUPPORTED is problem.kind
    assert "base_url" in problem.text
    assert "heim" not in problem.text + problem.advice
    assert problem.target_down


def test_a_header_that_cannot_be_sent_is_named_and_not_shown(session):
    problem = problem_of(lambda: session("http://127.0.0.1", headers={"X-Key": "ge\nheim"}))

    assert "the target's header X-Key holds characters that no header may hold" == problem.text
    assert "heim" not in problem.advice
