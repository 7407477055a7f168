"""TLS endpoints, which expectations write inline."""

import re
from typing import Self, cast
from urllib.parse import urlsplit

from pydantic_core import PydanticCustomError

from opscheck.core.target import REFERENCE, InlineTarget

_HOST_AND_PORT = re.compile(r"(?P<host>\[[0-9A-Fa-f:.%]+\]|[^\s:/@\[\]]+):(?P<port>\d{1,5})")
_LAST_PORT = 65535
URL_PORTS = {"https": 443, "ldaps": 636, "rediss": 6379}
"""Schemes of URLs that begin with TLS, with their usual ports."""
_MORE_PORTS = {"imaps": 993, "smtps": 465, "postgresql": 5432}


class Endpoint(InlineTarget):
    """
    A TLS server, as an expectation writes it: `api.example.com:443`.

    A URL such as `https://api.example.com/v1` names its host and port. So one variable names both the API and its
    certificate.
    """

    noun = "host:port, such as api.example.com:443 or [2001:db8::1]:443, or an https:// URL"

    kind: str = "tls"
    host: str
    """A name, or an address without brackets."""
    port: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `host:port`. Raises PydanticCustomError."""
        if REFERENCE.fullmatch(text):  # unset where no target is queried: `explain`, `--from`
            return cast("Self", cls.model_construct(name=f"tls://{text}", host=text, port=0))
        found = _HOST_AND_PORT.fullmatch(_of_url(text.strip()))
        if found is None or not 0 < int(found["port"]) <= _LAST_PORT:
            raise PydanticCustomError("endpoint", cls.noun, {"meant": _meant(text.strip())})
        # Not validated again: a policy writes a text here, and a mapping is rejected.
        name, host = f"tls://{found[0]}", found["host"].strip("[]")
        return cast("Self", cls.model_construct(name=name, host=host, port=int(found["port"])))

    def as_written(self, text: str) -> Self:
        """Named by the policy's text: with a variable in it, a snapshot still matches when the value is unset."""
        return self.named(f"tls://{text}")

    @property
    def address(self) -> str:
        """Host and port."""
        if not self.port:
            return self.host
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def facts(self) -> dict[str, str]:
        """Its `endpoint`, as openssl's `-connect` takes it."""
        return {"endpoint": self.address}


def _of_url(text: str) -> str:
    """The host and port of a URL; any other text as it is."""
    try:
        url = urlsplit(text)
        if url.scheme not in URL_PORTS or not url.hostname:
            return text
        host = f"[{url.hostname}]" if ":" in url.hostname else url.hostname
        return f"{host}:{url.port or URL_PORTS[url.scheme]}"
    except ValueError:
        return text


def _meant(text: str) -> str:
    """The endpoint that another URL, or a name without a port, was probably meant to be; empty where it is unclear."""
    try:
        parts = urlsplit(text if "://" in text else f"//{text}")
        port, host = parts.port or _MORE_PORTS.get(parts.scheme, 443), parts.hostname or ""
    except ValueError:
        return ""
    proposed = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return proposed if _HOST_AND_PORT.fullmatch(proposed) else ""
