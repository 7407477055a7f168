"""
Interning: equal values in a long list are kept once.

Twenty thousand pods come from some hundred templates: images, labels, quantities and types of conditions repeat, and
the decoder creates each of them again. Interning them reduces the memory to a third.
"""

from dataclasses import dataclass, field
from functools import cache
from typing import Any, TypeVar

import msgspec
from msgspec import inspect
from msgspec.structs import force_setattr

from opscheck.systems.kubernetes.objects import Metadata

T = TypeVar("T", bound=msgspec.Struct)
# Unique to each object: interning would only cost time and memory.
_ITS_OWN: dict[type[msgspec.Struct], tuple[str, ...]] = {Metadata: ("name", "uid")}


@dataclass(frozen=True)
class _Plan:
    """The fields of a class, by the kind of their value."""

    texts: list[str] = field(default_factory=list)
    maps: list[str] = field(default_factory=list)
    parts: list[tuple[str, "_Plan"]] = field(default_factory=list)
    rows: list[tuple[str, "_Plan"]] = field(default_factory=list)


class Interner:
    """Holds the distinct values of one list while it is read."""

    def __init__(self) -> None:
        self._known: dict[Any, Any] = {}

    def intern(self, items: tuple[T, ...]) -> None:
        """
        Replace values in these objects by equal ones of earlier objects.

        They must come straight from the decoder: the structs are frozen, and no other code may have seen them yet.
        """
        for item in items:
            self._intern(item, _plan(type(item)))

    def _intern(self, part: Any, plan: _Plan) -> None:
        # Called some thirty times for each pod: this loop is the cost of a long list.
        keep = self._known.setdefault
        for name in plan.texts:
            text = getattr(part, name)
            if text is not None and (known := keep(text, text)) is not text:
                force_setattr(part, name, known)
        for name in plan.maps:
            found = getattr(part, name)
            if found is not None and (known := keep(tuple(found.items()), found)) is not found:
                force_setattr(part, name, known)
        for name, inner in plan.parts:
            found = getattr(part, name)
            if found is not None:
                self._intern(found, inner)
        for name, inner in plan.rows:
            for found in getattr(part, name) or ():
                self._intern(found, inner)


@cache
def _plan(kind: type[msgspec.Struct]) -> _Plan:
    plan = _Plan()
    described = inspect.type_info(kind)
    assert isinstance(described, inspect.StructType)  # noqa: S101 - for the type checker: it is a struct
    for one in described.fields:
        if one.name not in _ITS_OWN.get(kind, ()):
            _enter(plan, one.name, one.type)
    return plan


def _enter(plan: _Plan, name: str, type_: inspect.Type) -> None:
    match type_:
        case inspect.UnionType(types=types):  # a field that may be null
            for one in types:
                _enter(plan, name, one)
        case inspect.StrType():
            plan.texts.append(name)
        case inspect.DictType(key_type=inspect.StrType(), value_type=inspect.StrType()):
            plan.maps.append(name)
        case inspect.StructType(cls=kind):
            plan.parts.append((name, _plan(kind)))
        case inspect.VarTupleType(item_type=inspect.StructType(cls=kind)):
            plan.rows.append((name, _plan(kind)))
