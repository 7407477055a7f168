"""Lists and counts as text, for findings."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

T = TypeVar("T")

MOST = 5
"""Number of list items that are named by default."""


def some(names: Iterable[str], most: int = MOST, between: str = ", ") -> str:
    """The first names and the number of others: `a, b and 3 more`."""
    every = tuple(names)
    more = f" and {len(every) - most} more" if len(every) > most else ""
    return between.join(every[:most]) + more


def some_with_reasons(reasons: Mapping[str, str]) -> str:
    """`web-1 (terminating), web-2 (Pending) and 3 more`, in the order of their names."""
    return some(f"{name} ({why})" for name, why in sorted(reasons.items()))


def some_lines(things: Sequence[T], text: Callable[[T], str], most: int) -> Iterator[str]:
    """The first of them, each as its text, then `and 3 more`."""
    yield from map(text, things[:most])
    if len(things) > most:
        yield f"and {len(things) - most} more"


def counted(count: int, noun: str) -> str:
    """`1 pod`, `3 pods`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
