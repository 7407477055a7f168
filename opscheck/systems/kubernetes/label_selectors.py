"""Label selectors in kubectl's grammar, such as `app=api,tier in (web, api),!canary,generation>3`."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

_NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_PREFIX = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_WORD = r"[^\s=!<>(),]+"
_TOKEN = re.compile(rf"==|!=|[=!<>(),]|{_WORD}")
_INTEGER = r"[+-]?\d+"
_LONGEST_PREFIX = 253


@dataclass(frozen=True)
class Requirement:
    """One requirement of a selector, such as `tier in (web, api)`. All of them must hold."""

    key: str
    operator: str
    """One of `in`, `notin`, `exists`, `!exists`, `>`, `<`; `=` and `!=` are `in` and `notin` with one value."""
    values: frozenset[str] = frozenset()

    def holds(self, labels: Mapping[str, str]) -> bool:
        """True when it holds for `labels`. Without the label `notin`, `!=` and `!exists` hold."""
        value = labels.get(self.key)
        match self.operator:
            case "exists":
                return value is not None
            case "!exists":
                return value is None
            case "in":
                return value in self.values
            case "notin":
                return value not in self.values
        (limit,) = self.values
        if value is None or not re.fullmatch(_INTEGER, value):
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
        """The labels that it names, in their order."""
        return tuple(dict.fromkeys(requirement.key for requirement in self.requirements))


def parse_selector(text: str | None) -> LabelSelector:
    """
    The selector in `text`. None selects everything.

    Raises ValueError with the expected token and its place.
    """
    return LabelSelector() if text is None else LabelSelector(tuple(_Reader(text).requirements()))


class _Reader:
    def __init__(self, text: str) -> None:
        self._tokens: list[str] = [*_TOKEN.findall(text), ""]  # the last one marks the end

    @property
    def _next(self) -> str:
        return self._tokens[0]

    def requirements(self) -> Iterator[Requirement]:
        if not self._next:
            raise ValueError("the selector is empty; leave it out to select everything")
        yield self._requirement()
        while self._next:
            self._take(",")
            yield self._requirement()

    def _requirement(self) -> Requirement:
        if self._next == "!":
            self._take("!")
            return Requirement(self._key(), "!exists")
        key = self._key()
        if self._next in {"", ","}:
            return Requirement(key, "exists")
        operator = self._take("=", "==", "!=", "in", "notin", ">", "<")
        if operator in {"in", "notin"}:
            return Requirement(key, operator, frozenset(self._set()))
        if operator in {">", "<"}:
            return Requirement(key, operator, frozenset({self._word("a whole number", _INTEGER)}))
        return Requirement(key, "notin" if operator == "!=" else "in", frozenset({self._value()}))

    def _set(self) -> Iterator[str]:
        self._take("(")
        yield self._value()
        while self._take(",", ")") == ",":
            yield self._value()

    def _key(self) -> str:
        text = self._word("a label")
        prefix, slash, name = text.rpartition("/")
        if not _NAME.fullmatch(name) or (slash and (len(prefix) > _LONGEST_PREFIX or not _PREFIX.fullmatch(prefix))):
            raise ValueError(f"invalid label `{text}`: write `app` or `example.com/app`, at most 63 characters long")
        return text

    def _value(self) -> str:
        if self._next in {"", ",", ")"}:
            return ""  # `app=` and `in ()` are legal: the label exists and is empty
        text = self._word("a value")
        if not _NAME.fullmatch(text):
            raise ValueError(f"invalid value `{text}` of a label: at most 63 letters, digits, `-`, `_` and `.`")
        return text

    def _take(self, *expected: str) -> str:
        return self._word(" or ".join(f"`{word}`" for word in expected), "|".join(map(re.escape, expected)))

    def _word(self, what: str, pattern: str = _WORD) -> str:
        if not re.fullmatch(pattern, self._next):
            raise ValueError(f"expected {what}, got {f'`{self._next}`' if self._next else 'the end'}")
        return self._tokens.pop(0)
