"""Remedies of findings, and the values that their commands name."""

import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Self

Fact = str | int | float | tuple[str, ...]
"""A value that commands may name. A tuple is several words, such as an option and its argument, or none."""


@dataclass(frozen=True, init=False)
class Remedy:
    """
    The remedy of one kind of finding: one sentence and its commands.

    In a command `{{ name }}` is replaced by a quoted value, so write it outside of quotes.
    """

    summary: str
    commands: tuple[str, ...]

    def __init__(self, summary: str, *commands: str) -> None:
        object.__setattr__(self, "summary", summary)
        object.__setattr__(self, "commands", commands)


@dataclass(frozen=True, init=False)
class Former:
    """
    The meaning of a fact name of earlier versions.

    Such names were conditions: a command was shown only where its names had a value. So the name has the value of
    `fact` for findings that bring one of `remedies`, or for all findings without `remedies`. It has no value when
    the fact `without` has one.
    """

    fact: str
    remedies: tuple[Remedy, ...]
    without: str

    def __init__(self, fact: str, *remedies: Remedy, without: str = "") -> None:
        object.__setattr__(self, "fact", fact)
        object.__setattr__(self, "remedies", remedies)
        object.__setattr__(self, "without", without)


class Words(str):
    """Several words of a command as one text; each is quoted separately in a command."""

    __slots__ = ("words",)

    words: tuple[str, ...]

    def __new__(cls, words: Iterable[str]) -> Self:
        """Join `words` as a shell would read them."""
        parts = tuple(words)
        text = super().__new__(cls, shlex.join(parts))
        text.words = parts
        return text


def fact_text(value: object) -> str:
    """A value as a policy would write it; a tuple keeps its words."""
    if isinstance(value, tuple):
        return Words(value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Enum):
        return str(value.value)
    if type(value) is float and value.is_integer():
        return str(int(value))
    return value if isinstance(value, Words) else str(value)
