"""
An HTTP API that answers every request right, and `SECONDS` late: `python slow_http.py 0.1`.

It waits for any number of requests together, in one thread, and so leaves the processor to what is measured.
"""

import asyncio
import socket
import sys
import threading

from control import attend

_BODY = b'{"status":"ok"}'
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(_BODY), _BODY)
_END_OF_HEAD = b"\r\n\r\n"
_BACKLOG = 1024


class _LateAnswers(asyncio.Protocol):
    """One connection, kept alive; requests have no body."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._received = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - it is one for TCP
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        *heads, self._received = (self._received + data).split(_END_OF_HEAD)
        for _ in heads:
            asyncio.get_running_loop().call_later(self._seconds, self._answer)

    def _answer(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(_ANSWER)


async def _serve(listener: socket.socket, seconds: float) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _LateAnswers(seconds), sock=listener, backlog=_BACKLOG)
    await server.serve_forever()


def main(seconds: float) -> None:
    """Serve in a thread until the benchmark lets go."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=_BACKLOG)
    threading.Thread(target=lambda: asyncio.run(_serve(listener, seconds)), daemon=True).start()
    attend({"url": f"http://127.0.0.1:{listener.getsockname()[1]}"})


if __name__ == "__main__":
    main(float(sys.argv[1]))
