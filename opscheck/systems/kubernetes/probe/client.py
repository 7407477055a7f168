"""Read-only requests to an API server: limited in time and bytes, and repeated when the server requests it."""

import http.client
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar
from urllib.parse import urlencode

import urllib3

from opscheck.core.observation import ProbeError, ProblemKind
from opscheck.systems.kubernetes.lists import KubernetesRule
from opscheck.systems.kubernetes.probe.access import Access
from opscheck.systems.kubernetes.probe.errors import refusal, retry_after
from opscheck.transport.concurrency import completed
from opscheck.transport.connect import host_and_port, late, unreachable
from opscheck.transport.timed_http import innermost, send, timed

MOST_BYTES = 64 * 2**20
"""Of one answer. A page of 500 pods has 3 to 5 MB."""

_CHUNK = 2**16

_SHORTEST_PAUSE = 0.2

_USABLE = 0.97  # of the timeout; the problem must be reported before the gatherer abandons the query

_OK, _TOO_MANY, _SERVER_ERROR = 200, 429, 500

_AT_ONCE = 8

T = TypeVar("T")
R = TypeVar("R")
Sink = Callable[[bytes], object]


@dataclass(frozen=True)
class Deadline:
    """The time by which a query must be answered, and its timeout."""

    timeout_s: float
    started: float = field(default_factory=time.monotonic)

    @property
    def at(self) -> float:
        """On the monotonic clock."""
        return self.started + self.timeout_s * _USABLE

    @property
    def left(self) -> float:
        """Seconds until then; negative afterwards."""
        return self.at - time.monotonic()


@dataclass(frozen=True)
class Request:
    """One request and its permission. `rule` is None if every client may send it."""

    path: str
    rule: KubernetesRule | None = None
    parameters: Mapping[str, str | int] | None = None
    name: str | None = None
    """The object of the request, if it has one."""
    accept: str | None = None
    """The media type of the answer, if it is not plain JSON."""
    review: bytes | None = None
    """The body of a review, which is posted; the server answers it and stores nothing."""

    @property
    def method(self) -> str:
        """GET, or POST for a review."""
        return "GET" if self.review is None else "POST"

    @property
    def text(self) -> str:
        """For people: the request without its paging."""
        return f"{self.method} {self.path}"


@dataclass(frozen=True)
class Reply:
    """An answer with any status."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    cut: bool
    """True when the body is longer than the part that was read."""


class Client:
    """One API server. Its methods are called from several threads at once."""

    def __init__(self, access: Access, concurrency: int) -> None:
        self.access = access
        self.place = host_and_port(access.server)
        self._headers = _headers(access)
        self._pool = _open_pool(access, concurrency)
        self._heard = 0.0

    def reply(
        self, request: Request, deadline: Deadline, *, sink: Sink | None = None, limit: int = MOST_BYTES
    ) -> Reply:
        """
        The answer with any status, after the wait that a 429 or 5xx requests. Raises ProbeError.

        With `sink`, the body of a 200 goes there in chunks, at most `limit` bytes, and is not stored.
        """
        while True:
            reply = self._exchange(request, deadline, sink, limit)
            wait = retry_after(reply) if reply.status == _TOO_MANY or reply.status >= _SERVER_ERROR else None
            if wait is None:
                return reply
            if wait >= deadline.left:
                busy = f"the API server requests a wait of {wait:g} s before {request.text} ({reply.status})"
                advice = "raise the target's timeout, or lower its concurrency"
                raise ProbeError(ProblemKind.LATE, f"{busy}; the timeout is {deadline.timeout_s:g} s", advice)
            time.sleep(max(wait, _SHORTEST_PAUSE))

    def refusal(self, request: Request, reply: Reply) -> ProbeError:
        """The problem behind an answer other than 200."""
        return refusal(request, reply, self.access, self.place)

    def close(self) -> None:
        """Close all connections."""
        self._pool.clear()

    def late(self, deadline: Deadline, text: str = "", advice: str = "") -> ProbeError:
        """The timeout as a problem. The target is down if nothing was received from it since the query began."""
        silent = self._heard < deadline.started
        if advice:
            return ProbeError(ProblemKind.LATE, text, advice, target_down=silent)
        return late(text or f"no answer in {deadline.timeout_s:g} s", deadline.timeout_s, target_down=silent)

    def in_parallel(
        self, one: Callable[[T], R], jobs: Sequence[T], deadline: Deadline, *, done: str, advice: str
    ) -> list[R]:
        """
        The results of `one` for all jobs, in their order.

        Raises the first ProbeError; at the deadline, one with the number of `done` jobs, as in `logs were read`.
        """
        results: dict[int, R] = {}
        with closing(completed([partial(one, job) for job in jobs], deadline.at, _AT_ONCE)) as finished:
            for number, result in finished:
                if isinstance(result, ProbeError) and result.problem.kind is ProblemKind.LATE and results:
                    break
                if isinstance(result, BaseException):
                    raise result
                results[number] = result
        if len(results) < len(jobs):
            raise self.late(deadline, f"{len(results)} of {len(jobs)} {done}", advice)
        return [results[number] for number in range(len(jobs))]

    def _exchange(self, request: Request, deadline: Deadline, sink: Sink | None, limit: int) -> Reply:
        response = self._send(request, deadline)
        self._heard = time.monotonic()
        try:
            return _received(response, sink, limit)
        except (TimeoutError, urllib3.exceptions.TimeoutError) as error:
            text = f"the answer to {request.text} ({response.status}) did not end in {deadline.timeout_s:g} s"
            raise self.late(deadline, text) from error
        except (urllib3.exceptions.HTTPError, OSError) as error:
            text = f"the answer to {request.text} broke off: {innermost(error)}"
            raise ProbeError(ProblemKind.UNREADABLE, text, "a proxy in between may limit time or size") from error
        finally:
            response.close()
            response.release_conn()

    def _send(self, request: Request, deadline: Deadline) -> urllib3.BaseHTTPResponse:
        """The head of the answer."""
        query = f"?{urlencode(request.parameters)}" if request.parameters else ""
        url, headers = self.access.server + request.path + query, self._headers.copy()
        if request.accept:
            headers["Accept"] = request.accept
        if request.review is not None:
            headers["Content-Type"] = "application/json"
        try:
            return send(self._pool, request.method, url, deadline.at, body=request.review, headers=headers)
        except TimeoutError as error:
            raise self.late(deadline) from error
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            raise self._failed(error, request) from error

    def _failed(self, error: Exception, request: Request) -> ProbeError:
        cause = innermost(error)
        if isinstance(cause, ValueError) and not isinstance(cause, OSError):  # certificate errors are both
            # Without its text, which would quote a header with a secret.
            text = "a credential of the kubeconfig has characters that are invalid in an HTTP header"
            return ProbeError(ProblemKind.UNSUPPORTED, text, "remove line breaks from the token", target_down=True)
        if isinstance(error, urllib3.exceptions.ProxyError):
            text = f"the proxy {host_and_port(self.access.proxy or '')} does not connect to {self.place}: {cause}"
            advice = "correct the kubeconfig's proxy-url, or HTTPS_PROXY and NO_PROXY"
            return ProbeError(ProblemKind.UNREACHABLE, text, advice, target_down=True)
        if isinstance(error, urllib3.exceptions.ProtocolError):
            return self._no_answer(cause, request)
        if isinstance(cause, OSError):
            problem = unreachable(cause, self.place).problem
            untrusted = "unknown CA" in problem.text
            advice = "add the CA certificate to the kubeconfig as certificate-authority-data"
            return ProbeError(problem.kind, problem.text, advice if untrusted else problem.advice, target_down=True)
        return ProbeError(ProblemKind.UNREACHABLE, f"{self.place} cannot be reached: {cause}", target_down=True)

    def _no_answer(self, cause: BaseException, request: Request) -> ProbeError:
        if isinstance(cause, http.client.HTTPException) and not isinstance(cause, ConnectionError):
            text = f"{self.place} did not answer {request.text} in HTTP: {type(cause).__name__}"
            return ProbeError(ProblemKind.UNREADABLE, text, "check whether the kubeconfig's `server` needs https://")
        text = f"{self.place} closed the connection without answering {request.text}"
        down = not self._heard  # one unanswered request shows little about the others
        return ProbeError(ProblemKind.UNREACHABLE, text, "check that this is the API server's port", target_down=down)


def _headers(access: Access) -> urllib3.HTTPHeaderDict:
    headers = urllib3.HTTPHeaderDict({"Accept": "application/json, */*", "Accept-Encoding": "gzip"})
    headers["User-Agent"] = "opscheck"
    for name, value in access.headers:  # a name may come several times, as Impersonate-Group does
        headers.add(name, value)
    return headers


def _received(response: urllib3.BaseHTTPResponse, sink: Sink | None, limit: int) -> Reply:
    kept = bytearray()
    take = kept.extend if sink is None or response.status != _OK else sink
    left = limit
    for chunk in response.stream(_CHUNK, decode_content=True):
        take(chunk[:left])
        left -= len(chunk)
        if left < 0:
            break
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Reply(response.status, headers, bytes(kept), left < 0)


def _open_pool(access: Access, size: int) -> urllib3.PoolManager:
    """At most `size` connections at once, shared by all threads."""
    tls = {"ssl_context": access.tls, "server_hostname": access.tls_server_name} if access.tls else {}
    options: dict[str, Any] = {"num_pools": 1, "maxsize": size, "block": True, "retries": False, **tls}
    try:
        return timed(urllib3.ProxyManager(access.proxy, **options) if access.proxy else urllib3.PoolManager(**options))
    except (urllib3.exceptions.HTTPError, AssertionError, ValueError) as error:
        text = f"the proxy {host_and_port(access.proxy or '')} cannot be used: {error}"
        advice = "use a proxy-url that starts with http:// or https://"
        raise ProbeError(ProblemKind.UNSUPPORTED, text, advice, target_down=True) from error
