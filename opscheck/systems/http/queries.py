"""What can be asked of an HTTP API: one request, once or several times over."""

from dataclasses import dataclass
from typing import Literal

import msgspec

from opscheck.core.query import Query

DEFAULT_MAX_BODY = 2**20
"""How many bytes of a body are read where nothing else is said."""


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """One request of a series and how it went."""

    seconds: float
    """From the start of the request, connecting included, to the last byte that was read of its body."""
    status: int | None = None
    """The status it was answered with, None when no complete answer came."""
    cold: bool = False
    """True when it had to open a connection."""
    error: str = ""
    """Why there is no complete answer."""


class HttpAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to the first request of a series, and how long each of them took."""

    url: str
    """What was asked for, without credentials."""
    final_url: str
    """Where this answer came from; another one than `url` when redirects were followed."""
    redirects: tuple[str, ...] = ()
    """The URLs that redirects led to, in their order."""
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
    One request, which only reads. Nothing in it is about judging, so expectations on one path share it.

    `path` is appended to the target's base URL and may hold a query. `headers` are sent beside the target's
    own, which is the place for credentials. The first `max_body` bytes of the body are read.
    """

    path: str = "/"
    method: Literal["GET", "HEAD"] = "GET"
    headers: tuple[tuple[str, str], ...] = ()
    follow_redirects: bool = False
    max_body: int = DEFAULT_MAX_BODY
    samples: int = 1

    def __post_init__(self) -> None:
        """Give requests that mean the same one form, so that they are equal."""
        headers = tuple(sorted((name.lower(), value) for name, value in self.headers))
        # A frozen dataclass is set by its own means.
        object.__setattr__(self, "headers", headers)
        object.__setattr__(self, "path", "/" + self.path.removeprefix("/"))

    def text(self) -> str:
        """As the first line of the request, for people."""
        times = f", {self.samples} times" if self.samples > 1 else ""
        return f"{self.method} {self.path}{times}"
