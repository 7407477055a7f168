"""Stand-in servers that misbehave, each on a free loopback port; a probe must survive each of them."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

NONSENSE = b"\xff\x00 this is no protocol at all \r\n\r\n" * 64
HTML = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 22\r\n\r\n<html>sign in</html>\r\n"
_TICK_S = 0.05
_BACKLOG = 64
_PIECE = 65536

Serve = Callable[[socket.socket, threading.Event], object]
"""Serves one connection until the event is set."""


@contextmanager
def refusing() -> Iterator[int]:
    """A port on which no process listens."""
    with socket.socket() as bound:  # bound and not listening: no other process can take the port meanwhile
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


@contextmanager
def silent() -> Iterator[int]:
    """The port of a server that accepts, reads, and never answers."""
    with _serving(lambda _, ends: ends.wait()) as port:
        yield port


@contextmanager
def dripping(content: bytes = b"+", every_s: float = 0.1) -> Iterator[int]:
    """
    The port of a server that sends one byte of `content` at a time, over and over, and never finishes an answer.

    A timeout per read never expires; only a deadline for the whole answer does.
    """

    def drip(connection: socket.socket, ends: threading.Event) -> None:
        place = 0
        while not ends.wait(every_s):
            connection.sendall(content[place : place + 1])
            place = (place + 1) % len(content)

    with _serving(drip) as port:
        yield port


@contextmanager
def answering(content: bytes = NONSENSE) -> Iterator[int]:
    """The port of a server that answers every request with `content` of another protocol, and closes."""

    def answer(connection: socket.socket, ends: threading.Event) -> None:
        connection.settimeout(_TICK_S)
        with contextlib.suppress(TimeoutError):  # a client may wait for the server to begin
            connection.recv(_PIECE)
        connection.sendall(content)
        ends.wait(_TICK_S)

    with _serving(answer) as port:
        yield port


@contextmanager
def _serving(serve: Serve) -> Iterator[int]:
    ends = threading.Event()
    with socket.create_server(("127.0.0.1", 0), backlog=_BACKLOG) as server:
        server.settimeout(_TICK_S)
        accepting = threading.Thread(target=_accept, args=(server, serve, ends), daemon=True)
        accepting.start()
        try:
            yield server.getsockname()[1]
        finally:
            ends.set()
            accepting.join()


def _accept(server: socket.socket, serve: Serve, ends: threading.Event) -> None:
    while not ends.is_set():
        with contextlib.suppress(TimeoutError):
            connection, _ = server.accept()
            threading.Thread(target=_serve, args=(connection, serve, ends), daemon=True).start()


def _serve(connection: socket.socket, serve: Serve, ends: threading.Event) -> None:
    with connection, contextlib.suppress(OSError):  # the client has gone
        serve(connection, ends)
