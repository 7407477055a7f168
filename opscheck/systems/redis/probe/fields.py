"""Reads lines of `name:value`, of which every version and every service has others."""

import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any, get_args, get_type_hints

import msgspec

_WHOLE = re.compile(r"-?[0-9]{1,18}")
_DECIMAL = re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,18})?")
_LONGEST = 200


def text_of(reply: object) -> str | None:
    """A reply as text; None where it is something else."""
    return reply.decode("utf-8", "replace") if isinstance(reply, bytes) else None


def fields(text: str) -> dict[str, str]:
    """Every line that has a name and a value."""
    return dict(_fields(text))


def _fields(text: str) -> Iterator[tuple[str, str]]:
    for line in text.split("\n"):  # names and values may hold what Python takes for ends of lines, too
        name, colon, value = line.partition(":")
        if colon and not line.startswith("#"):
            yield name.strip(), value.strip()[:_LONGEST]


def read_fields(kind: type[msgspec.Struct], said: Mapping[str, str]) -> dict[str, Any]:
    """The plain fields of `kind` by name, read by their types; a value of another type is left out."""
    read = ((name, reader(said.get(name))) for name, reader in _readers(kind).items())
    return {name: value for name, value in read if value is not None}


def whole(value: str | None) -> int | None:
    """A whole number; None for everything else, and never 0 for it."""
    return int(value) if value is not None and _WHOLE.fullmatch(value) else None


def _decimal(value: str | None) -> float | None:
    return float(value) if value is not None and _DECIMAL.fullmatch(value) else None


def _flag(value: str | None) -> bool | None:
    return {"0": False, "1": True}.get(value or "")


def _word(value: str | None) -> str | None:
    return value or None


@cache
def _readers(kind: type[msgspec.Struct]) -> dict[str, Callable[[str | None], Any]]:
    kinds = {name: get_args(hint)[0] for name, hint in get_type_hints(kind).items() if get_args(hint)}
    return {name: _BY_TYPE[one] for name, one in kinds.items() if one in _BY_TYPE}


_BY_TYPE: Mapping[type, Callable[[str | None], Any]] = {int: whole, float: _decimal, bool: _flag, str: _word}
