"""
Sends the requests that botocore has signed: once, with limits of time and bytes.

botocore's own timeouts are per read, and it retries up to five times. A handler of `before-send` may send a request in
its place.
"""

import http.client
import time
from collections.abc import Iterator
from typing import Any

import urllib3
from botocore.awsrequest import AWSPreparedRequest, AWSResponse

from opscheck.core.observation import ProbeError, ProblemKind
from opscheck.transport.connect import host_and_port, late, trust, unreachable
from opscheck.transport.proxies import environment_proxy
from opscheck.transport.timed_http import innermost, send, start_clock, timed

MOST_BYTES = 64 * 2**20
"""The largest response other than an object. A page of 1000 objects has 300 KB."""

_CHUNK = 2**16
_PIECE = 2**20
_CONNECTIONS = 16


class Transport:
    """The connections of one target, shared by its threads."""

    def __init__(self, ca_file: str | None) -> None:
        self._ca_file = ca_file
        self._pools: dict[str | None, urllib3.PoolManager] = {}
        self.heard = 0.0
        """When the last response began, on the monotonic clock."""

    def send(self, request: AWSPreparedRequest, deadline: float) -> AWSResponse:
        """The response to a request, before its body is read. Raises ProbeError."""
        address, began = host_and_port(request.url), time.monotonic()
        headers = {
            name: value.decode("latin-1") if isinstance(value, bytes) else value
            for name, value in request.headers.items()
        }
        try:
            pool = self._pool(request.url)
            response = send(pool, request.method, request.url, deadline, headers=headers, decode_content=False)
        except TimeoutError as error:
            raise late(f"no answer from {address} in time", time.monotonic() - began) from error
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            raise _failed(error, address) from error
        self.heard = time.monotonic()
        body = Body(response, address, began, deadline)
        return AWSResponse(request.url, response.status, dict(response.headers), body)

    def close(self) -> None:
        for pool in self._pools.values():
            pool.clear()

    def _pool(self, url: str) -> urllib3.PoolManager:
        proxy = environment_proxy(url)
        if proxy not in self._pools:
            options: dict[str, Any] = {"maxsize": _CONNECTIONS, "block": True, "retries": False}
            if url.startswith("https:"):
                options["ssl_context"] = trust(self._ca_file)
            pool = urllib3.ProxyManager(proxy, **options) if proxy else urllib3.PoolManager(**options)
            self._pools[proxy] = timed(pool)
        return self._pools[proxy]


class Body:
    """The body of a response for botocore; every read ends at the deadline."""

    def __init__(self, response: urllib3.BaseHTTPResponse, address: str, began: float, deadline: float) -> None:
        self._response = response
        self._address = address
        self._began = began
        self._deadline = deadline

    def stream(self) -> Iterator[bytes]:
        """The whole body of a response other than an object."""
        left = MOST_BYTES
        while piece := self.read(_CHUNK):
            left -= len(piece)
            if left < 0:
                self.close()
                text = f"{self._address} answered more than {MOST_BYTES // 2**20} MiB to a request for its objects"
                raise ProbeError(ProblemKind.UNREADABLE, text, "is this an S3 server?")
            yield piece

    def read(self, amount: int | None = None) -> bytes:
        """The next bytes that arrive, at most `amount`; empty at the end."""
        start_clock(self._deadline)
        try:
            piece = self._response.read1(amount or _PIECE)
        except (TimeoutError, urllib3.exceptions.TimeoutError) as error:
            self.close()
            text = f"{self._address} began an answer, but did not end it in time"
            raise late(text, time.monotonic() - self._began) from error
        except (urllib3.exceptions.HTTPError, http.client.HTTPException, OSError) as error:
            self.close()
            text = f"the answer of {self._address} broke off: {innermost(error)}"
            raise ProbeError(ProblemKind.UNREADABLE, text, "a proxy on the way may limit time or size") from error
        if not piece:
            self._response.release_conn()
        return piece

    def close(self) -> None:
        self._response.close()


def _failed(error: Exception, address: str) -> ProbeError:
    cause = innermost(error)
    if isinstance(error, urllib3.exceptions.ProxyError):
        text = f"the proxy does not let through to {address}: {cause}"
        return ProbeError(ProblemKind.UNREACHABLE, text, "correct HTTPS_PROXY and NO_PROXY", target_down=True)
    if isinstance(cause, http.client.HTTPException) and not isinstance(cause, ConnectionError):
        text = f"{address} does not answer in HTTP: {type(cause).__name__}"
        return ProbeError(ProblemKind.UNREADABLE, text, "does the endpoint_url need https://?", target_down=True)
    if isinstance(cause, OSError):
        return unreachable(cause, address)
    text = f"{address} cannot be reached: {cause}"
    return ProbeError(ProblemKind.UNREACHABLE, text, "check the target's endpoint_url", target_down=True)
