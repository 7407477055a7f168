"""Requests to an HTTP API: the query, its answer, and the base of its expectations."""

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
"""Maximum number of bytes of a body that are read by default."""


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """Time and outcome of one request of a series."""

    seconds: float
    """From the start of the request, including the connection, to the last byte read of its body."""
    status: int | None = None
    """The status of the response; None without a complete one."""
    cold: bool = False
    """True when it opened a connection."""
    error: str = ""
    """The reason for an incomplete response."""


class HttpAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The response to the first request of a series, and the durations of all."""

    url: str
    """The requested URL, without credentials."""
    final_url: str
    """The URL of this response; it differs from `url` after redirects."""
    redirects: tuple[str, ...] = ()
    """The URLs of followed redirects, in their order."""
    status: int
    http_version: str = "HTTP/1.1"
    headers: dict[str, str]
    """By lower-case name. Values of headers that carry secrets, such as cookies, are masked."""
    body: str = ""
    """As text in the charset of the response, at most `max_body` bytes of it."""
    size: int = 0
    """Number of bytes read of the body, after decompression."""
    truncated: bool = False
    """True when the body is larger."""
    samples: tuple[Sample, ...]
    """In the order of the requests; fewer than requested after a timeout."""


@dataclass(frozen=True)
class HttpRequest(Query[HttpAnswer], name="http.request"):
    """
    One request, which only reads. It contains no limits, so that expectations on one path share it.

    `path` is appended to the target's base URL and may contain a query; an empty one requests that URL itself.
    `headers` are sent with the target's own, which contain the credentials. The first `max_body` bytes are read.
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
        raise PydanticCustomError("http_path", "a path such as /v1/health, without spaces or a fragment")
    return value and "/" + value.removeprefix("/")


RequestPath = Annotated[str, AfterValidator(_path)]


class HttpExpectation(Expectation):
    """Base of expectations of an HTTP API: its target and path."""

    target: HttpTarget
    """The API."""
    path: RequestPath = "/"
    """The requested path below the target's base URL. An empty text requests the base URL itself."""
    max_body: ByteSize | None = None
    """Maximum size of the body. Without it, 1MiB is read and the size is not judged."""

    @property
    def subject(self) -> str:
        """Method and URL of the request, for findings."""
        return f"{self.request().method} {self.target.address.rstrip('/')}{self.path}"

    def request(self) -> HttpRequest:
        """The query that it is judged by."""
        # A smaller limit is judged by the size, so that expectations on one path still share one request.
        max_body = max(DEFAULT_MAX_BODY, int(self.max_body or 0))
        return HttpRequest(self.target.name, path=self.path, max_body=max_body)

    def queries(self) -> Iterable[Query[Any]]:
        """One request."""
        return (self.request(),)
