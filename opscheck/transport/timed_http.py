"""urllib3 with one deadline per request. Its own time-outs are per read: one byte per second would hold it for ever."""

import http.client
import io
import socket
import threading
from typing import Any

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from opscheck.transport.connect import seconds_left


class Clock(threading.local):
    """The deadline of the request that this thread is making, and whether a byte of its answer came."""

    deadline: float = 0.0
    received: bool = False


_clock = Clock()


def start_clock(deadline: float) -> Clock:
    """From now on every read of this thread ends at `deadline` on the monotonic clock, with TimeoutError."""
    _clock.deadline, _clock.received = deadline, False
    return _clock


class _TimedReads(io.RawIOBase):
    """The bytes that a socket receives, none of them after the deadline."""

    def __init__(self, raw: io.RawIOBase, connection: socket.socket) -> None:
        self._raw = raw
        self._connection = connection

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._connection.settimeout(seconds_left(_clock.deadline))
        count = self._raw.readinto(buffer)
        _clock.received |= bool(count)
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


class _TimedResponse(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *arguments: Any, **options: Any) -> None:
        super().__init__(sock, *arguments, **options)
        self.fp = io.BufferedReader(_TimedReads(self.fp.detach(), sock))


class _Http(HTTPConnection):
    response_class = _TimedResponse


class _Https(HTTPSConnection):
    response_class = _TimedResponse

    def connect(self) -> None:
        super().connect()
        # A configuration may ask not to verify; urllib3 would warn at every connection of what was asked for.
        self.is_verified = True


class _HttpPool(HTTPConnectionPool):
    ConnectionCls = _Http


class _HttpsPool(HTTPSConnectionPool):
    ConnectionCls = _Https


def timed(pool: urllib3.PoolManager) -> urllib3.PoolManager:
    """The same pool, whose reads keep the clock of the thread that reads."""
    pool.pool_classes_by_scheme = {"http": _HttpPool, "https": _HttpsPool}
    return pool


def innermost(error: BaseException) -> BaseException:
    """What urllib3 wrapped, once or several times: the operating system's own error."""
    while not isinstance(error, OSError | http.client.HTTPException):
        wrapped = [inner for inner in (error.__cause__, *error.args, error.__context__) if isinstance(inner, Exception)]
        if not wrapped:
            return error
        error = wrapped[0]
    return error
