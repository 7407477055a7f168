"""The HTTP server under the demo's APIs."""

import http.client
import socket

import httpx

from opscheck.demo.serving import Exchange, LoopbackServer, Response


def echo(exchange: Exchange) -> None:
    exchange.send(Response(body=exchange.request.body, content_type="text/plain"))


def test_body_and_repeated_headers_arrive():
    with LoopbackServer(echo) as server, httpx.Client(base_url=server.url) as client:
        answer = client.post("/a%20b?x=1&y=", content=b"hello", headers=[("X-Many", "1"), ("X-Many", "2")])
        (request,) = server.requests

    assert b"hello" == answer.content
    assert ("/a b", {"x": "1", "y": ""}) == (request.path, request.query)
    assert "1, 2" == request.headers["x-many"]


def test_head_request_gets_no_body():
    with LoopbackServer(lambda exchange: exchange.send(Response(body=b"hello"))) as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
        connection.request("HEAD", "/")
        answer = connection.getresponse()
        length, body = answer.headers["Content-Length"], answer.read()
        connection.close()

    assert ("5", b"") == (length, body)


def test_chunked_body_is_whole():
    with LoopbackServer(lambda exchange: exchange.send(Response(body=b"hello", chunked=True))) as server:
        answer = httpx.get(server.url)

    assert b"hello" == answer.content
    assert "chunked" == answer.headers["Transfer-Encoding"]


def test_silent_client_does_not_block_others():
    with LoopbackServer(echo) as server, socket.create_connection(("127.0.0.1", server.port)):
        assert 200 == httpx.get(server.url, timeout=5).status_code
