"""A YAML document as plain values with their places."""

import re
from bisect import bisect_right
from functools import cached_property
from typing import Any, NamedTuple

import msgspec

from opscheck.core.escaping import visible
from opscheck.core.redaction import HIDDEN, credentials

_LONGEST = 60
_LINE_END = re.compile(r"\r\n|\r|\n")


class Place(NamedTuple):
    """A file as the user named it, with a line and a column, both from 1."""

    file: str
    line: int
    column: int


class Source:
    """The text of one file, and the name that the user gave it."""

    def __init__(self, shown: str, text: str) -> None:
        self.shown = shown
        self.text = text

    def place(self, index: int) -> Place:
        """The place of the character with this index."""
        line = bisect_right(self._line_starts, index)
        return Place(self.shown, line, index - self._line_starts[line - 1] + 1)

    @cached_property
    def _line_starts(self) -> list[int]:
        return [0, *(end.end() for end in _LINE_END.finditer(self.text))]


class _Node(msgspec.Struct, frozen=True, gc=False):
    # No garbage collection: a document is a tree, and a large one is built of hundreds of thousands of these.
    source: Source
    at: int
    """The index of its first character in the source's text."""
    key_at: int
    """That of its key's first character; that of its own where it has no key."""

    @property
    def place(self) -> Place:
        return self.source.place(self.at)

    @property
    def key_place(self) -> Place:
        return self.source.place(self.key_at)


class Scalar(_Node, frozen=True, gc=False):
    """A text, number, boolean, or null."""

    value: Any
    written: str
    """As the file says it, where that may be shown: with `${NAME}` in place of what came from the environment."""
    unset: tuple[str, ...] = ()
    """The variables in it that are not set, where that is allowed."""
    literal: str = ""
    """As the file says it, with each of its references; empty where it has none."""

    @property
    def shown(self) -> str:
        if self.value is None:
            return "nothing"
        return shown_text(self.written) if isinstance(self.value, str) else self.written


class Sequence(_Node, frozen=True, gc=False):
    """A list."""

    items: list["Node"]

    @property
    def shown(self) -> str:
        return "a list" if self.items else "an empty list"


class Mapping(_Node, frozen=True, gc=False):
    """A mapping with text keys."""

    items: dict[str, "Node"]

    @property
    def shown(self) -> str:
        return "a mapping" if self.items else "an empty mapping"


Node = Scalar | Sequence | Mapping

Path = tuple[str | int, ...]
"""Keys and indexes that lead from the root of a document to one value."""


def shown_text(text: str) -> str:
    """A text as an error shows it: quoted, on one line, shortened, and without a password in a URL."""
    for credential in filter(None, credentials(text)):
        text = text.replace(credential, HIDDEN)
    text = visible(text)
    return f'"{text}"' if len(text) <= _LONGEST else f'"{text[:_LONGEST]}..."'


def plain(node: Node) -> Any:
    """The values alone."""
    if isinstance(node, Scalar):
        return node.value
    if isinstance(node, Mapping):
        return {key: plain(item) for key, item in node.items.items()}
    return [plain(item) for item in node.items]


def text_of(node: Node | None) -> str | None:
    """The text of a text scalar, else None."""
    return node.value if isinstance(node, Scalar) and isinstance(node.value, str) else None


def items_of(node: Node | None) -> list[Node]:
    """The items of a list; none of anything else."""
    return node.items if isinstance(node, Sequence) else []


def path_text(root: Node, path: Path) -> str:
    """A path as an error names it, `expectations[database].used.P2`: items of a list by their id."""
    text, node = "", root
    for step in path:
        child = _child(node, step)
        if isinstance(step, int):
            name = child.items.get("id") if isinstance(child, Mapping) else None
            text += f"[{name.written if isinstance(name, Scalar) else step}]"
        else:
            text += f".{step}" if text else step
        if child is None:
            break
        node = child
    return text


def _child(node: Node, step: str | int) -> Node | None:
    if isinstance(node, Mapping) and isinstance(step, str):
        return node.items.get(step)
    if isinstance(node, Sequence) and isinstance(step, int) and step < len(node.items):
        return node.items[step]
    return None


def walk(root: Node, location: Path) -> tuple[Node, Path]:
    """
    The node that a validator's location leads to, and the path to it.

    Elements of the location that are the validator's own, such as the branch of a union, are passed over.
    """
    node = root
    path: Path = ()
    for step in location:
        child = _child(node, step)
        if child is not None:
            node = child
            path = (*path, step)
    return node, path
