"""Secrets: what they are, and how they are kept out of everything that opscheck prints or writes."""

import base64
import json
import re
from collections.abc import Callable, Iterable
from dataclasses import fields as fields_of
from dataclasses import is_dataclass, replace
from enum import Enum
from html import escape  # xml.sax.saxutils would import all of urllib and http.client
from typing import TypeVar, cast
from urllib.parse import parse_qsl, quote, unquote, urlsplit

import msgspec

V = TypeVar("V")

HIDDEN = "***"

_SHORTEST = 4  # a shorter text says nothing and would tear every output apart
_ANYWHERE = 8  # from this length on it is hidden inside longer words too
_CUT_OFF = ("…", "...")
_SECRET_WORDS = ("password", "passwd", "pwd", "token", "secret", "key", "auth", "signature", "credential")
_REFERENCE = re.compile(r"\$\{[A-Za-z_][A-Za-z0-9_]*\}")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*(?::|%3A)(?://|%2F%2F)")
_LIBPQ_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_LIBPQ_PASSWORD = re.compile(r"(?:^|\s)(?:password|sslpassword)\s*=\s*('(?:\\.|[^'])*'|\S+)")


class Secrets:
    """
    The secrets of one run, each with its replacement in output.

    A value from the environment shows as the reference it came from (`${API_TOKEN}`), so that a command which
    is copied from a report still works where the variable is set; a credential inside one shows as `***`.
    """

    def __init__(self) -> None:
        self._shown_as: dict[str, str] = {}
        self._stands_for: dict[str, str] = {}
        self._pattern: re.Pattern[str] | None = None
        self._beginnings: set[str] = set()
        self._longest = 0

    def add(self, value: str, shown_as: str = HIDDEN) -> None:
        """Hide `value`, and each credential inside it when it is a URL or a libpq string."""
        for credential in credentials(value):
            self._hide(credential, HIDDEN)
        self._hide(value, shown_as)
        if shown_as != HIDDEN:
            self._stands_for[shown_as] = value

    def clean(self, text: str) -> str:
        """
        `text` with every secret replaced, as written and as quoted by URL, JSON, XML and Python.

        The beginning of one where the text was cut off is replaced too, and its end behind such a place.
        """
        if not self._shown_as:
            return text
        # Nearly no text holds a secret, and thousands are cleaned: to rule that out must cost next to nothing.
        if any(map(text.__contains__, self._shown_as)):
            text = self._compiled().sub(lambda match: self._shown_as[match.group()], text)
        if self._may_be_cut_off(text):
            for word, shown_as in self._shown_as.items():
                if len(word) >= _ANYWHERE:
                    text = _without_parts(text, word, shown_as)
        return text

    def clean_value(self, value: V) -> V:
        """
        A value with every text in it cleaned: lists, mappings with their keys, structs, dataclasses.

        Names of fields, enums and times stay as they are, though a secret may be spelled alike.
        """
        return cast("V", _with_texts(value, self.clean))

    def restore_value(self, value: V) -> V:
        """
        A value that was cleaned in an earlier run, with what its references stand for now.

        A name that came from the environment is then the same name in both; a credential stays hidden.
        """
        return cast("V", _with_texts(value, self._restored)) if self._stands_for else value

    def _restored(self, text: str) -> str:
        return _REFERENCE.sub(lambda match: self._stands_for.get(match.group(), match.group()), text)

    def _hide(self, value: str, shown_as: str) -> None:
        for spelling in _spellings(value):
            if len(spelling) >= _SHORTEST and spelling != shown_as:
                self._shown_as.setdefault(spelling, shown_as)
                self._beginnings.add(spelling[:_ANYWHERE])
                self._longest = max(self._longest, len(spelling))
        self._pattern = None

    def _compiled(self) -> re.Pattern[str]:
        if self._pattern is None:
            words = sorted(self._shown_as, key=len, reverse=True)
            self._pattern = re.compile("|".join(map(_matcher, words)))
        return self._pattern

    def _may_be_cut_off(self, text: str) -> bool:
        """False when no secret can begin before the end of `text` or before a mark where something was left out."""
        if any(map(text.__contains__, _CUT_OFF)):
            return True
        end = text[-self._longest :]
        return any(end[start : start + _ANYWHERE] in self._beginnings for start in range(len(end) - _ANYWHERE + 1))


def _with_texts(value: object, change: Callable[[str], str]) -> object:
    def changed(value: object) -> object:
        return _with_texts(value, change)

    if isinstance(value, str) and not isinstance(value, Enum):
        return change(value)
    if isinstance(value, dict):
        return {changed(key): changed(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)([changed(item) for item in value])
    if isinstance(value, msgspec.Struct):
        fields = {name: changed(getattr(value, name)) for name in value.__struct_fields__}
        return msgspec.structs.replace(value, **fields)
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{field.name: changed(getattr(value, field.name)) for field in fields_of(value)})
    return value


def credentials(value: str) -> Iterable[str]:
    """The passwords and tokens inside a URL or a libpq connection string."""
    for match in _LIBPQ_PASSWORD.findall(value):
        written = match.removeprefix("'").removesuffix("'")
        yield from (written, _LIBPQ_ESCAPE.sub(r"\1", written))
    if "://" not in value:
        return
    try:
        url = urlsplit(value)
        user, password = unquote(url.username or ""), unquote(url.password or "")
    except ValueError:
        return
    if password:
        yield from (password, url.password or "")
        # What an HTTP client sends for user:password@.
        yield base64.b64encode(f"{user}:{password}".encode()).decode()
    elif user and url.scheme in {"http", "https"}:
        # A token alone before the @, as code hosts and error trackers take it.
        yield from (user, url.username or "")
    for name, item in parse_qsl(url.query):
        if any(word in name.lower() for word in _SECRET_WORDS):
            yield item


def _spellings(value: str) -> set[str]:
    python = repr(value)[1:-1]
    return {
        value,
        quote(value),
        quote(value, safe=""),
        json.dumps(value)[1:-1],
        json.dumps(value, ensure_ascii=False)[1:-1],
        escape(value, quote=False),
        escape(value),
        escape(value, quote=False).replace('"', "&#34;").replace("'", "&#39;"),
        python,
        repr(python)[1:-1],
    }


def _without_parts(text: str, word: str, shown_as: str) -> str:
    """`text` without what is left of `word` where it was cut off: a beginning before that place, an end behind it."""
    least = _shortest_part(word)
    text = _without_beginnings(text, word, shown_as, least, also_last=True)
    # An end is a beginning when all is read backwards; the marks read the same.
    return _without_beginnings(text[::-1], word[::-1], shown_as[::-1], least, also_last=False)[::-1]


def _without_beginnings(text: str, word: str, shown_as: str, least: int, *, also_last: bool) -> str:
    start = text.find(word[:least])
    while start >= 0:
        end = start + _alike(word, text[start : start + len(word)])
        if (also_last and end == len(text)) or text.startswith(_CUT_OFF, end):
            text = text[:start] + shown_as + text[end:]
            end = start + len(shown_as)
        start = text.find(word[:least], end)
    return text


def _alike(one: str, other: str) -> int:
    """Length of the common beginning of two texts."""
    return next(
        (place for place, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other))
    )


def _shortest_part(word: str) -> int:
    # `https://` is not a usable part of a secret, and `postgres` is the name of a database.
    scheme = _SCHEME.match(word)
    return _ANYWHERE + (scheme.end() if scheme else 0)


def _matcher(word: str) -> str:
    literal = re.escape(word)
    return literal if len(word) >= _ANYWHERE else rf"(?<![A-Za-z0-9]){literal}(?![A-Za-z0-9])"
