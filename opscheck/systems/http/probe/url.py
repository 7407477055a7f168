"""URLs of requests, and the headers for each origin."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Self
from urllib.parse import quote, unquote, urljoin, urlsplit

import httpcore

from opscheck import __version__
from opscheck.core.observation import ProbeError, ProblemKind
from opscheck.systems.http.probe.content import readable_url
from opscheck.systems.http.target import HttpTarget

_PORTS = {"http": 80, "https": 443}
_AS_WRITTEN = "/?&=%:@!$'()*+,;~-._[]"
OWN_HEADERS = {"user-agent": f"opscheck/{__version__}", "accept": "*/*", "accept-encoding": "gzip, deflate"}
"""Headers for every origin."""


@dataclass(frozen=True)
class Url:
    """A parsed URL. Its credentials never show."""

    scheme: str
    host: str
    port: int
    path: str = ""
    """Including the query, as it is sent."""
    authorization: str = field(default="", repr=False)

    @classmethod
    def of(cls, url: str) -> Self:
        """Parse `url`. Raises ValueError when it is malformed or has another scheme."""
        parts = urlsplit(url)
        if parts.scheme not in _PORTS or not parts.hostname:
            raise ValueError(url)
        host = parts.hostname if parts.hostname.isascii() else parts.hostname.encode("idna").decode()
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        user = None if parts.username is None else f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        authorization = "" if user is None else f"Basic {base64.b64encode(user.encode()).decode()}"
        return cls(parts.scheme, host, parts.port or _PORTS[parts.scheme], quote(path, _AS_WRITTEN), authorization)

    @classmethod
    def of_base_url(cls, url: str) -> Self:
        """Parse the base URL of a target, to which paths are appended. Raises ProbeError."""
        if not url.lower().startswith(("http://", "https://")):
            raise _unusable("does not start with http:// or https://")
        try:
            base = cls.of(url)
        except ValueError as error:
            raise _unusable("is malformed") from error
        if "?" in base.path or "#" in url:
            raise _unusable("contains a query or a fragment, so no path can follow")
        return replace(base, path=base.path.rstrip("/"))

    def below(self, path: str) -> Self:
        """The URL of `path` below this base."""
        return replace(self, path=self.path + quote(path, _AS_WRITTEN))

    def joined(self, location: str) -> Self:
        """The URL of a redirect from here to `location`. Raises ValueError."""
        return self.of(urljoin(f"{self.origin}{self.path or '/'}", location))

    def __str__(self) -> str:
        return f"{self.bracketed}:{self.port}"

    @property
    def bracketed(self) -> str:
        """The host, an IPv6 address in brackets."""
        return f"[{self.host}]" if ":" in self.host else self.host

    @property
    def authority(self) -> str:
        """Host and port as in the Host header."""
        return self.bracketed if self.port == _PORTS[self.scheme] else str(self)

    @property
    def origin(self) -> str:
        """Scheme, host and port: the scope of credentials."""
        return f"{self.scheme}://{self.authority}"

    @cached_property
    def readable(self) -> str:
        """The URL without secrets."""
        return readable_url(f"{self.origin}{self.path}")

    def request(self, method: str, headers: Mapping[str, str]) -> httpcore.Request:
        """A request to this URL, with the Host header first."""
        url = httpcore.URL(
            scheme=self.scheme.encode(), host=self.host.encode(), port=self.port, target=(self.path or "/").encode()
        )
        named = {"host": self.authority, **headers}
        encoded = [(name.encode(), value.encode()) for name, value in named.items()]
        return httpcore.Request(method, url, headers=encoded)


def target_headers(target: HttpTarget, base: Url) -> dict[str, str]:
    """Headers for the target's own origin, including its credentials. Raises ProbeError."""
    headers = OWN_HEADERS | ({"authorization": base.authorization} if base.authorization else {})
    for name, secret in target.headers.items():
        # A value from a file or from `$(…)` often ends with a line break.
        value = secret.get_secret_value().strip()
        if not name.isascii() or not value.isprintable():
            raise ProbeError(
                ProblemKind.UNSUPPORTED,
                f"the target's header {name} contains invalid characters",
                "remove line breaks and tabs from its value",
                target_down=True,
            )
        headers[name.lower()] = value
    return headers


def _unusable(fault: str) -> ProbeError:
    # Without the value: any part of a malformed URL may be the password.
    return ProbeError(
        ProblemKind.UNSUPPORTED,
        f"the target's base_url {fault}",
        "write https://api.example.com; special characters in a user or password are percent-encoded",
        target_down=True,
    )
