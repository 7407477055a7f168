"""The address of a server, parsed from a target's URL, and the connection to it."""

import socket
import ssl
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import unquote, urlsplit

from opscheck.core.observation import ProbeError, ProblemKind
from opscheck.transport.connect import dial, seconds_left, secure

PORT, SENTINEL_PORT = 6379, 26379
_TCP, _TLS, _UNIX = {"redis", "valkey"}, {"rediss", "valkeys"}, {"unix", "redis+unix"}


@dataclass(frozen=True)
class Address:
    """A parsed URL of a server. Its credentials never show."""

    host: str
    port: int
    tls: bool = False
    path: str = ""
    """The path of a Unix socket."""
    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)

    @classmethod
    def of(cls, url: str, port: int = PORT) -> Self:
        """Parse a target's URL; its database number is ignored. Raises ProbeError."""
        try:
            parts = urlsplit(url)
            port, host = parts.port or port, unquote(parts.hostname or "")
        except ValueError as error:
            raise _unusable("is malformed") from error
        if parts.scheme not in _TCP | _TLS | _UNIX:
            raise _unusable("does not start with redis://, rediss:// or unix://")
        path = unquote(parts.path) if parts.scheme in _UNIX else ""
        if not (path or host):
            raise _unusable("has no host")
        return cls(host, port, parts.scheme in _TLS, path, unquote(parts.username or ""), unquote(parts.password or ""))

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return self.path or f"{host}:{self.port}"


def addresses(url: str, port: int = PORT) -> list[Address]:
    """The servers of a target's URL, separated by commas, each once. Raises ProbeError."""
    scheme, mark, rest = url.partition("://")
    authority, slash, path = rest.partition("/")
    userinfo, at, hosts = authority.rpartition("@")
    urls = (scheme + mark + userinfo + at + host + slash + path for host in hosts.split(","))
    return list(dict.fromkeys(Address.of(one, port) for one in urls))


class NoHandshake(TimeoutError):  # noqa: N818 - a property of the server
    """It accepted the connection, and sent no TLS: a server without TLS waits for the end of a line."""


def connect(address: Address, context: ssl.SSLContext | None, deadline: float) -> socket.socket:
    """
    Connect to the server, with TLS where there is a context. Raises OSError.

    redis-py would give each address of a name the whole timeout, and trust the system's CAs in addition to `ca_file`.
    """
    if address.path:
        return _connect_to_path(address.path, deadline)
    connection = dial(address.host, address.port, deadline)
    if context is None:
        return connection
    try:
        return secure(connection, context, address.host, deadline)
    except TimeoutError as error:
        raise NoHandshake from error


def _connect_to_path(path: str, deadline: float) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.settimeout(seconds_left(deadline))
        connection.connect(path)
    except OSError:
        connection.close()
        raise
    return connection


def _unusable(fault: str) -> ProbeError:
    # Without the value: any part of a malformed URL may be the password.
    return ProbeError(
        ProblemKind.UNSUPPORTED,
        f"the target's url {fault}",
        "write redis://user:password@host:6379, rediss:// for TLS, or unix:///path; "
        "special characters in a password are percent-encoded",
        target_down=True,
    )
