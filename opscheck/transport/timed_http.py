"""urllib3 with one deadline per request; its own timeouts are per read."""

import http.client
import io
import socket
import time
from typing import Any

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from opscheck.transport.connect import Clock

_SHORTEST_WAIT = 0.001  # urllib3 refuses a timeout of 0

_clock = Clock()


def start_clock(deadline: float) -> None:
    """End every further read of this thread at `deadline` on the monotonic clock, with TimeoutError."""
    _clock.deadline, _clock.received = deadline, False


def send(pool: urllib3.PoolManager, method: str, url: str, deadline: float, **options: Any) -> urllib3.BaseHTTPResponse:
    """
    Send a request, and return the response with its body unread. Redirects are not followed.

    Raises TimeoutError, and urllib3's errors, OSError and ValueError for other failures.
    """
    for attempt in (1, 2):
        start_clock(deadline)
        left = max(deadline - time.monotonic(), _SHORTEST_WAIT)
        options |= {"preload_content": False, "redirect": False, "timeout": left, "pool_timeout": left}
        try:
            return pool.request(method, url, **options)
        except urllib3.exceptions.NewConnectionError:  # to urllib3 a refusal is a kind of timeout
            raise
        except (urllib3.exceptions.TimeoutError, urllib3.exceptions.EmptyPoolError) as error:
            raise TimeoutError from error
        except urllib3.exceptions.ProtocolError:
            # A server may close an idle connection just when it is used again: retry once on a new one.
            if _clock.received or attempt > 1:
                raise
    raise AssertionError(url)  # pragma: no cover - the second attempt returns or raises


class _TimedReads(io.RawIOBase):
    """The bytes that a socket receives before the deadline."""

    def __init__(self, raw: io.RawIOBase, connection: socket.socket) -> None:
        self._raw = raw
        self._connection = connection

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        _clock.limit(self._connection)
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
        # A configuration may disable verification; urllib3 would warn of that at every connection.
        self.is_verified = True


class _HttpPool(HTTPConnectionPool):
    ConnectionCls = _Http


class _HttpsPool(HTTPSConnectionPool):
    ConnectionCls = _Https


def timed(pool: urllib3.PoolManager) -> urllib3.PoolManager:
    """The same pool, whose reads end at the deadline of the thread that reads."""
    pool.pool_classes_by_scheme = {"http": _HttpPool, "https": _HttpsPool}
    return pool


def innermost(error: BaseException) -> BaseException:
    """The error of the operating system or of http.client that urllib3 wrapped, once or several times."""
    while not isinstance(error, OSError | http.client.HTTPException):
        wrapped = [inner for inner in (error.__cause__, *error.args, error.__context__) if isinstance(inner, Exception)]
        if not wrapped:
            return error
        error = wrapped[0]
    return error
