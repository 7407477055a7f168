"""TODO."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

_NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_PREFIX = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_TOKEN = re.compile(r"\s*(?P<token>==|!=|=|!|>|<|\(|\)|,|[^\s=!<>(),]+)")
_WORD = re.compile(r"[^\s=!<>(),]+")
_INTEGER = re.compile(r"[+-]?\d+")
_LONGEST_PREFIX = 253


@dataclass(frozen=True)
class Requirement:
    """One part of a selector, such as `tier in (web, api)`. The parts are all to be met."""

    key: str
    operator: str
    """One of `in`, `notin`, `exists`, `!exists`, `>`, `<`; `=` and `!=` are `in` and `notin` with one value."""
    values: frozenset[str] = frozenset()

    def holds(self, labels: Mapping[str, str]) -> bool:
        """True when `labels` meet it. An object without the label meets `notin`, `!=` and `!exists`."""
        present, value = self.key in labels, labels.get(self.key, "")
        match self.operator:
            case "exists" | "!exists":
                return present is (self.operator == "exists")
            case "in":
                return present and value in self.values
            case "notin":
                return not present or value not in self.values
        (limit,) = self.values
        if not _INTEGER.fullmatch(value):
            return False
        return int(value) > int(limit) if self.operator == ">" else int(value) < int(limit)


@dataclass(frozen=True)
class LabelSelector:
    """All requirements of a selector. The empty one selects everything."""

    requirements: tuple[Requirement, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """True when an object with these labels is selected."""
        return all(requirement.holds(labels) for requirement in self.requirements)

    @property
    def keys(self) -> tuple[str, ...]:
        """The labels it looks at, in their order."""
        return tuple(dict.fromkeys(requirement.key for requirement in self.requirements))


EVERYTHING = LabelSelector()


def parse_selector(text: str | None) -> LabelSelector:
    """
    Read `app=api,tier in (web, api),!canary,generation>3`. None is the selector of everything.

    Raises ValueError with what was expected and where.
    """
    return EVERYTHING if text is None else LabelSelector(tuple(_Reader(text).requirements()))


class _Reader:
    def __init__(self, text: str) -> None:
        self._tokens = _tokens(text)
        self._at = 0

    def requirements(self) -> list[Requirement]:
        if not self._tokens:
            raise ValueError("a selector is empty; leave it out to select everything")
        found = [self._requirement()]
        while self._next:
            self._take(",")
            found.append(self._requirement())
        return found

    @property
    def _next(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _take(self, *expected: str) -> str:
        token = self._next
        if token not in expected:
            raise ValueError(f"expected {' or '.join(f'`{word}`' for word in expected)}, got {_shown(token)}")
        self._at += 1
        return token

    def _word(self, what: str) -> str:
        token = self._next
        if not _WORD.fullmatch(token):
            raise ValueError(f"expected {what}, got {_shown(token)}")
        self._at += 1
        return token

    def _requirement(self) -> Requirement:
        if self._next == "!":
            self._take("!")
            return Requirement(_key(self._word("a label")), "!exists")
        key = _key(self._word("a label"))
        if self._next in {"", ","}:
            return Requirement(key, "exists")
        operator = self._take("=", "==", "!=", "in", "notin", ">", "<")
        if operator in {"in", "notin"}:
            return Requirement(key, operator, self._set())
        if operator in {">", "<"}:
            return Requirement(key, operator, frozenset({_integer(self._word("a whole number"))}))
        # `app=` is legal: the label is there and empty.
        value = "" if self._next in {"", ","} else _value(self._word("a value"))
        return Requirement(key, "notin" if operator == "!=" else "in", frozenset({value}))

    def _set(self) -> frozenset[str]:
        self._take("(")  # `in ()` is legal too, and means the empty value
        values = {self._element()}
        while self._take(",", ")") == ",":
            values.add(self._element())
        return frozenset(values)

    def _element(self) -> str:
        return "" if self._next in {",", ")"} else _value(self._word("a value"))


def _tokens(text: str) -> list[str]:
    tokens, at = [], 0
    while match := _TOKEN.match(text, at):
        tokens.append(match["token"])
        at = match.end()
    return tokens


def _key(text: str) -> str:
    prefix, slash, name = text.rpartition("/")
    if not _NAME.fullmatch(name) or (slash and (len(prefix) > _LONGEST_PREFIX or not _PREFIX.fullmatch(prefix))):
        raise ValueError(f"{_shown(text)} is no label; one is `app` or `example.com/app`, its name 63 characters long")
    return text


def _value(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise ValueError(f"{_shown(text)} is no label's value; at most 63 letters, digits, `-`, `_` and `.`")
    return text


def _integer(text: str) -> str:
    if not _INTEGER.fullmatch(text):
        raise ValueError(f"expected a whole number, got {_shown(text)}")
    return text


def _shown(token: str) -> str:
    return f"`{token}`" if token else "the end"
