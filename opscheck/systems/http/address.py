"""Where an HTTP request goes, and which headers may go there."""

import base64
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Self
from urllib.parse import quote, unquote, urljoin, urlsplit

import httpcore

from opscheck import __version__
from opscheck.core.observation import ProbeError, ProblemKind
from opscheck.systems.http.content import readable_url
from opscheck.systems.http.target import HttpTarget

Headers = list[tuple[bytes, bytes]]

_PORTS = {"http": 80, "https": 443}
_AS_WRITTEN = "/?&=%:@!$'()*+,;~-._[]"
_OWN_HEADERS = {"user-agent": f"opscheck/{__version__}", "accept": "*/*", "accept-encoding": "gzip, deflate"}


@dataclass(frozen=True)
class Place:
    """A URL taken apart. Its credentials never show."""

    scheme: str
    host: str
    port: int
    path: str = ""
    """With the query, as it is sent."""
    authorization: str = field(default="", repr=False)

    @classmethod
    def of(cls, url: str) -> Self:
        """Take `url` apart. Raises ValueError when it is malformed or not of HTTP."""
        parts = urlsplit(url)
        if parts.scheme not in _PORTS or not parts.hostname:
            raise ValueError(url)
        host = parts.hostname if parts.hostname.isascii() else parts.hostname.encode("idna").decode()
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        authorization = "" if parts.username is None else _basic(parts.username, parts.password or "")
        return cls(parts.scheme, host, parts.port or _PORTS[parts.scheme], quote(path, _AS_WRITTEN), authorization)

    @classmethod
    def of_base_url(cls, url: str) -> Self:
        """The place that a target's paths are appended to. Raises ProbeError."""
        if not url.lower().startswith(("http://", "https://")):
            raise _unusable("does not start with http:// or https://")
        try:
            place = cls.of(url)
        except ValueError as error:
            raise _unusable("is malformed") from error
        if "?" in place.path or "#" in url:
            raise _unusable("holds a query or a `#` part, so that no path can follow")
        return replace(place, path=place.path.rstrip("/"))

    def below(self, path: str) -> Self:
        """The place that `path` leads to from this base."""
        return replace(self, path=self.path + quote(path, _AS_WRITTEN))

    def joined(self, location: str) -> Self:
        """The place that a redirect from here to `location` leads to. Raises ValueError."""
        return self.of(urljoin(f"{self.origin}{self.path or '/'}", location))

    def __str__(self) -> str:
        return f"{self.bracketed}:{self.port}"

    @property
    def bracketed(self) -> str:
        """The host as URLs write it."""
        return f"[{self.host}]" if ":" in self.host else self.host

    @property
    def authority(self) -> str:
        """Host and port as the Host header names them."""
        return self.bracketed if self.port == _PORTS[self.scheme] else str(self)

    @property
    def origin(self) -> str:
        """Scheme, host and port: what credentials belong to."""
        return f"{self.scheme}://{self.authority}"

    @cached_property
    def readable(self) -> str:
        """The URL for people."""
        return readable_url(f"{self.origin}{self.path}")

    def request(self, method: str, headers: Headers) -> httpcore.Request:
        """A request that goes here."""
        url = httpcore.URL(
            scheme=self.scheme.encode(), host=self.host.encode(), port=self.port, target=(self.path or "/").encode()
        )
        return httpcore.Request(method, url, headers=headers)


def target_headers(target: HttpTarget, base: Place) -> dict[str, str]:
    """What is sent to the target's own origin, its credentials included. Raises ProbeError."""
    headers = _OWN_HEADERS | ({"authorization": base.authorization} if base.authorization else {})
    for name, secret in target.headers.items():
        # A value from a file or from `$(…)` often ends in a line break.
        value = secret.get_secret_value().strip()
        if not name.isascii() or not value.isprintable():
            raise ProbeError(
                ProblemKind.UNSUPPORTED,
                f"the target's header {name} holds characters that no header may hold",
                "look for a line break or a tab in its value",
                target_down=True,
            )
        headers[name.lower()] = value
    return headers


def foreign_headers() -> dict[str, str]:
    """What is sent to any other origin."""
    return dict(_OWN_HEADERS)


def as_sent(place: Place, headers: dict[str, str]) -> Headers:
    """`headers` in bytes, with the Host header first."""
    named = {"host": place.authority} | headers
    return [(name.encode(), value.encode()) for name, value in named.items()]


def _unusable(fault: str) -> ProbeError:
    # Without the value: nobody knows which part of a malformed URL is the password.
    return ProbeError(
        ProblemKind.UNSUPPORTED,
        f"the target's base_url {fault}",
        "write https://api.example.com; special characters in a user or password are percent-encoded",
        target_down=True,
    )


def _basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{unquote(user)}:{unquote(password)}".encode()).decode()
