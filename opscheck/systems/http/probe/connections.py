"""HTTP connections with one deadline per thread, even with a server that sends slowly or forever."""

import select
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpcore

from opscheck.transport.connect import Clock, dial, secure

_KEEP_IDLE_S = 2.0  # servers close idle connections after some seconds; a request must not meet that moment


class RequestClock(Clock):
    """The progress of the request that this thread is making."""

    dialled: bool = False
    """True when it opened a connection."""

    def restart(self, *, dialled: bool) -> None:
        """Start the next attempt of a request, with the same deadline."""
        self.dialled, self.received = dialled, False


class _Stream(httpcore.NetworkStream):
    """One connection; every wait ends at the deadline of the waiting thread."""

    def __init__(self, connection: socket.socket, clock: RequestClock) -> None:
        self._connection = connection
        self._clock = clock

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002 - the clock has the deadline
        """The next bytes; empty at the end. Raises OSError."""
        self._clock.limit(self._connection)
        received = self._connection.recv(max_bytes)
        self._clock.received |= bool(received)
        return received

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002 - the clock has the deadline
        """
        Send all of it. Raises httpcore.WriteError.

        httpcore then still reads a response: a server may refuse a request before it has read it.
        """
        try:
            self._clock.limit(self._connection)
            self._connection.sendall(buffer)
        except OSError as error:
            raise httpcore.WriteError(str(error)) from error

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def get_extra_info(self, info: str) -> Any:
        """`is_readable` only: an idle connection with data to read was closed by the server."""
        if info != "is_readable":
            return None
        poll = select.poll()  # select() fails for the thousandth open file
        poll.register(self._connection, select.POLLIN)
        return bool(poll.poll(0))


class Connections:
    """
    Reusable connections to any number of origins; each belongs to one thread while in use.

    In httpcore's own pool a thread can close a connection on which another has just sent its request
    (encode/httpcore#1110): with twenty threads one response in a few hundred is lost.
    """

    def __init__(self, clock: RequestClock, context_of: Callable[[httpcore.Origin], ssl.SSLContext]) -> None:
        self._clock = clock
        self._context_of = context_of
        self._idle: dict[str, list[httpcore.HTTP11Connection]] = {}
        self._lock = threading.Lock()

    @contextmanager
    def answer_to(self, request: httpcore.Request) -> Iterator[httpcore.Response]:
        """The head of the response; read its body inside the context. Raises httpcore's errors, and OSError."""
        connection, response = self._send(request)
        try:
            yield response
        finally:
            response.close()
            if connection.is_idle():
                with self._lock:
                    self._idle.setdefault(str(request.url.origin), []).append(connection)

    def close(self) -> None:
        """Close the idle ones."""
        with self._lock:
            idle = [connection for connections in self._idle.values() for connection in connections]
            self._idle.clear()
        for connection in idle:
            connection.close()

    def _send(self, request: httpcore.Request) -> tuple[httpcore.HTTP11Connection, httpcore.Response]:
        while (connection := self._take(request.url.origin)) is not None:
            # A server may close an idle connection just when it is reused. The request is then repeated; reading twice
            # changes nothing.
            self._clock.restart(dialled=False)
            try:
                return connection, connection.handle_request(request)
            except (httpcore.RemoteProtocolError, ConnectionError):
                if self._clock.received:
                    raise
        self._clock.restart(dialled=True)
        connection = self._open(request.url.origin)
        return connection, connection.handle_request(request)

    def _take(self, origin: httpcore.Origin) -> httpcore.HTTP11Connection | None:
        while True:
            with self._lock:
                idle = self._idle.get(str(origin))
                if not idle:
                    return None
                connection = idle.pop()
            if not connection.has_expired():
                return connection
            connection.close()

    def _open(self, origin: httpcore.Origin) -> httpcore.HTTP11Connection:
        host, deadline = origin.host.decode(), self._clock.deadline
        connection = dial(host, origin.port, deadline)
        if origin.scheme == b"https":
            connection = secure(connection, self._context_of(origin), host, deadline)
        return httpcore.HTTP11Connection(origin, _Stream(connection, self._clock), keepalive_expiry=_KEEP_IDLE_S)
