"""An HTTP/1.1 server on a free loopback port, in a thread, whose every byte the caller decides."""

import contextlib
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from opscheck.demo.closing import Closing
from opscheck.transport.connect import tls_socket

CLOSING_TAKES_AT_MOST = 5.0


@dataclass(frozen=True)
class Request:
    """One request as it arrived. `headers` has its names in lower case; repeated ones are joined by ", "."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes = b""

    @property
    def token(self) -> str | None:
        """The bearer token, or None when there is none."""
        scheme, _, token = self.headers.get("authorization", "").partition(" ")
        return token.strip() if scheme.lower() == "bearer" else None


@dataclass(frozen=True)
class Response:
    """One response of the server."""

    status: int = 200
    body: bytes = b""
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    chunked: bool = False

    def head(self) -> bytes:
        """The status line and the headers, with the empty line that ends them."""
        length = {"Transfer-Encoding": "chunked"} if self.chunked else {"Content-Length": str(len(self.body))}
        kind = {"Content-Type": self.content_type} if self.content_type else {}
        headers = {**kind, **length, **self.headers}
        lines = [f"HTTP/1.1 {self.status} {_phrase(self.status)}", *(f"{k}: {v}" for k, v in headers.items())]
        return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"

    def payload(self) -> bytes:
        """The body as it goes over the wire."""
        if not self.chunked:
            return self.body
        chunk = b"%x\r\n%b\r\n" % (len(self.body), self.body) if self.body else b""
        return chunk + b"0\r\n\r\n"


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"


@dataclass(frozen=True)
class Tls:
    """The server's side of TLS, and the certificate authority its clients have to trust (PEM)."""

    context: ssl.SSLContext
    authority: bytes


class Exchange:
    """One request and the connection that waits for its answer."""

    def __init__(self, request: Request, handler: "_Handler") -> None:
        self.request = request
        self._handler = handler

    def send(self, response: Response) -> None:
        """Send a whole answer."""
        body = b"" if self.request.method == "HEAD" else response.payload()
        self.write(response.head() + body)

    def write(self, raw: bytes) -> None:
        """Send these bytes as they are."""
        self._handler.connection.sendall(raw)

    def pause(self, seconds: float | None = None) -> None:
        """Wait; without seconds until the server closes. Raises ConnectionAbortedError when it closes."""
        if self._handler.server.closing.wait(seconds):
            message = "the server closes"
            raise ConnectionAbortedError(message)

    def drop(self) -> None:
        """Close the connection once the answering function returns."""
        self._handler.close_connection = True


Answer = Callable[[Exchange], None]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: "_Server"

    def handle_one_request(self) -> None:
        self.raw_requestline = self.rfile.readline(65537)
        if not self.raw_requestline:
            self.close_connection = True
        elif self.parse_request():
            self.server.answer(Exchange(self._request(), self))

    def _request(self) -> Request:
        url = urlsplit(self.path)
        headers: dict[str, str] = {}
        for name, value in self.headers.items():
            key = name.lower()
            headers[key] = f"{headers[key]}, {value}" if key in headers else value
        body = self.rfile.read(int(headers.get("content-length", "0")))
        query = dict(parse_qsl(url.query, keep_blank_values=True))
        return Request(self.command, unquote(url.path), query, headers, body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 -- the standard library's own name
        """Say nothing: the caller has the list of requests."""


class _Server(ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = True  # a thread that hangs must not keep the process alive

    def __init__(self, answer: Answer, tls: ssl.SSLContext | None) -> None:
        self.answer = answer
        self.closing = threading.Event()
        self._tls = tls
        self._open: dict[socket.socket, threading.Thread] = {}
        self._guard = threading.Lock()
        super().__init__(("127.0.0.1", 0), _Handler)

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        if self._tls is not None:
            # The handshake happens at the first read, in the connection's own thread: a client that
            # never finishes it must not keep others waiting.
            connection = tls_socket(connection, self._tls, server_side=True, do_handshake_on_connect=False)
        return connection, address

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        with self._guard:
            self._open[request] = threading.current_thread()
        try:
            super().process_request_thread(request, client_address)
        finally:
            with self._guard:
                del self._open[request]

    def handle_error(self, request: Any, client_address: Any) -> None:
        # A client that goes away, or does not trust our certificate, is not an error of this server.
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)

    def hang_up(self) -> None:
        """Wake every connection's thread and wait until they have ended."""
        self.closing.set()
        with self._guard:
            still_open = dict(self._open)
        for connection in still_open:
            with contextlib.suppress(OSError):  # the client was faster
                socket.socket.shutdown(connection, socket.SHUT_RDWR)
        deadline = time.monotonic() + CLOSING_TAKES_AT_MOST
        for thread in still_open.values():
            thread.join(max(0.0, deadline - time.monotonic()))


class LoopbackServer(Closing):
    """
    Answers HTTP (with `tls` HTTPS) on 127.0.0.1 and a free port, from the moment it is made until `close`.

    `answer` is called once per request, in the connection's own thread.
    """

    def __init__(self, answer: Answer, *, tls: Tls | None = None) -> None:
        self._requests: list[Request] = []
        self._lock = threading.Lock()
        self._answer = answer
        self.tls = tls
        self._server = _Server(self._record_and_answer, tls.context if tls else None)
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Where it listens, without a slash at the end."""
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    @property
    def requests(self) -> tuple[Request, ...]:
        """Every request so far, in order of arrival."""
        with self._lock:
            return tuple(self._requests)

    def forget_requests(self) -> None:
        """Start counting again."""
        with self._lock:
            self._requests.clear()

    def close(self) -> None:
        """Stop listening and end every connection. May be called twice."""
        self._server.closing.set()
        self._server.shutdown()
        self._thread.join(CLOSING_TAKES_AT_MOST)
        self._server.server_close()
        self._server.hang_up()

    def _record_and_answer(self, exchange: Exchange) -> None:
        with self._lock:
            self._requests.append(exchange.request)
        self._answer(exchange)
