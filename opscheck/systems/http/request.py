"""Requests to an HTTP API: the query, its answer, and the base of expectations that are judged by one."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import msgspec
from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

from opscheck.core.expectation import Expectation
from opscheck.core.query import Query
from opscheck.core.units import ByteSize
from opscheck.systems.http.target import HttpTarget

DEFAULT_MAX_BODY = 2**20
"""Bytes of a body that are read by default."""


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """Time and outcome of one request of a series."""

    seconds: float
    """From the start of the request, including the connection, to the last byte read of its body."""
    status: int | None = None
    """The status of the answer; None without a complete one."""
    cold: bool = False
    """True when it had to open a connection."""
    error: str = ""
    """Why there is no complete answer."""


class HttpAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to the first request of a series, and how long each of them took."""

    url: str
    """The requested URL, without credentials."""
    final_url: str
    """The URL of this answer; it differs from `url` when redirects were followed."""
    redirects: tuple[str, ...] = ()
    """The URLs of followed redirects, in their order."""
    status: int
    http_version: str = "HTTP/1.1"
    headers: dict[str, str]
    """By lower-case name. Values of headers that carry secrets, such as cookies, are masked."""
    body: str = ""
    """As text in the charset of the answer, at most `max_body` bytes of it."""
    size: int = 0
    """How many bytes of the body were read, after decompression."""
    truncated: bool = False
    """True when there was more than that."""
    samples: tuple[Sample, ...]
    """In the order in which they were taken; fewer than asked for when the time was over."""


@dataclass(frozen=True)
class HttpRequest(Query[HttpAnswer], name="http.request"):
    """
    One request, which only reads. It contains no limits, so that expectations on one path share it.

    `path` is appended to the target's base URL and may hold a query. An empty one requests that URL itself. `headers`
    are sent with the target's own, which hold the credentials. The first `max_body` bytes of the body are read.
    """

    path: str = "/"
    method: Literal["GET", "HEAD"] = "GET"
    headers: tuple[tuple[str, str], ...] = ()
    follow_redirects: bool = False
    max_body: int = DEFAULT_MAX_BODY
    samples: int = 1

    def __post_init__(self) -> None:
        """Normalise the request, so that equivalent ones are equal."""
        headers = tuple(sorted((name.lower(), value) for name, value in self.headers))
        # A frozen dataclass has no other way.
        object.__setattr__(self, "headers", headers)
        object.__setattr__(self, "path", self.path and "/" + self.path.removeprefix("/"))

    def text(self) -> str:
        """The first line of the request."""
        times = f", {self.samples} times" if self.samples > 1 else ""
        return f"{self.method} {self.path or 'the base URL'}{times}"


def _path(value: str) -> str:
    if "://" in value.partition("?")[0] or value.startswith("//"):
        raise PydanticCustomError("http_path", "a path such as /v1/health; the host comes from the target")
    if re.search(r"[\s#\x00-\x1f\x7f]", value):
        raise PydanticCustomError("http_path", "a path such as /v1/health, without spaces and without a `#` part")
    return value and "/" + value.removeprefix("/")


RequestPath = Annotated[str, AfterValidator(_path)]


class HttpExpectation(Expectation):
    """Base of expectations of an HTTP API: its target and path."""

    target: HttpTarget
    """The API."""
    path: RequestPath = "/"
    """The requested path below the target's base URL. An empty text requests the base URL itself."""
    max_body: ByteSize | None = None
    """How large the body may be; 1MiB of it is read where nothing is said."""

    @property
    def subject(self) -> str:
        """The request as a person would write it, for findings."""
        return f"{self.request().method} {self.target.address.rstrip('/')}{self.path}"

    def request(self) -> HttpRequest:
        """The query that it is judged by."""
        # A smaller bound is judged from the size, so that expectations on one path still share one request.
        max_body = max(DEFAULT_MAX_BODY, int(self.max_body or 0))
        return HttpRequest(self.target.name, path=self.path, max_body=max_body)

    def queries(self) -> Iterable[Query[Any]]:
        """One request."""
        return (self.request(),)
