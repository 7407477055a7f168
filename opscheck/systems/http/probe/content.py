"""Content of an HTTP response, bounded and without secrets: its body as text, its headers, its URLs."""

import codecs
import re
import zlib
from collections.abc import Iterable, Mapping
from urllib.parse import quote, urlsplit, urlunsplit

from opscheck.core.redaction import HIDDEN, credentials

RawHeaders = Iterable[tuple[bytes, bytes]]

_SECRET_HEADER = re.compile(r"authorization$|authentication-info$|token|secret|password|api-?key|session|signature")
_COOKIE_VALUE = re.compile(r"=[^;]*")

# Python codecs that are not charsets of texts on the web; some take quadratic time.
_NO_CHARSETS = {"idna", "punycode", "unicode-escape", "raw-unicode-escape", "undefined"}


class UnreadableBodyError(Exception):
    """A body that does not match its Content-Encoding."""


def readable_headers(raw: RawHeaders) -> dict[str, str]:
    """Headers by lower-case name; several of one name are joined, and secret values masked."""
    headers: dict[str, str] = {}
    for name_bytes, value_bytes in raw:
        name = name_bytes.decode("latin-1").lower()
        value = _masked(name, value_bytes.decode("latin-1"))
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def _masked(name: str, value: str) -> str:
    if name == "set-cookie":
        # The attributes after the value may be expected: Secure, HttpOnly, SameSite.
        return _COOKIE_VALUE.sub(f"={HIDDEN}", value, count=1)
    if name in {"location", "content-location", "refresh"}:
        return readable_url(value)
    return HIDDEN if _SECRET_HEADER.search(name) else value


def readable_url(url: str) -> str:
    """`url` without user and password, and with the secrets in its query masked."""
    try:
        parts = urlsplit(url)
        secrets = sorted(credentials(url), key=len, reverse=True)
    except ValueError:
        return url.partition("?")[0]
    query = parts.query
    for secret in secrets:
        for spelling in (secret, quote(secret, safe=""), quote(secret)):
            query = query.replace(f"={spelling}", f"={HIDDEN}") if spelling else query
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, query, ""))


def read_body(chunks: Iterable[bytes], encoding: str, limit: int) -> tuple[bytes, bool]:
    """
    The body after decompression: its first `limit` bytes, and True when it is larger.

    Never decompresses more than that. Raises UnreadableBodyError.
    """
    body = bytearray()
    inflate = _Inflater() if encoding.strip().lower() in {"gzip", "x-gzip", "deflate"} else None
    for chunk in chunks:
        room = limit + 1 - len(body)
        body += inflate.feed(chunk, room) if inflate else chunk[:room]
        if len(body) > limit:
            return bytes(body[:limit]), True
    if inflate and not inflate.complete:
        raise UnreadableBodyError("its compressed body is truncated")
    return bytes(body), False


class _Inflater:
    """Decompresses gzip and deflate, up to a number of bytes."""

    def __init__(self) -> None:
        self._inflate = zlib.decompressobj(zlib.MAX_WBITS | 32)  # 32: gzip or zlib, as the first bytes say
        self._started = False

    @property
    def complete(self) -> bool:
        # A response to HEAD, or a 304, has an encoding and no body.
        return self._inflate.eof or not self._started

    def feed(self, chunk: bytes, room: int) -> bytes:
        if self._inflate.eof:
            return b""
        try:
            made = self._inflate.decompress(chunk, room)
        except zlib.error as error:
            if self._started:
                raise UnreadableBodyError("its body does not match its Content-Encoding") from error
            # "deflate" is a zlib stream by RFC 9110, and a raw one by many servers.
            self._inflate, self._started = zlib.decompressobj(-zlib.MAX_WBITS), True
            return self.feed(chunk, room)
        self._started = True
        return made


def as_text(body: bytes, headers: Mapping[str, str]) -> str:
    """`body` in the charset of the response, UTF-8 by default; undecodable bytes become U+FFFD."""
    try:
        return body.decode(_charset(headers.get("content-type", "")), "replace")
    except (LookupError, ValueError):
        return body.decode("utf-8", "replace")


def _charset(content_type: str) -> str:
    for parameter in content_type.split(";")[1:]:
        name, _, value = parameter.strip().partition("=")
        if name.lower() == "charset":
            codec = codecs.lookup(value.strip("\"' ")).name
            return "utf-8" if codec.replace("_", "-") in _NO_CHARSETS else codec
    return "utf-8"
