"""
Inserting entries into the text of a policy, without changing any other byte of it.

A YAML library that reads a file and writes it again moves comments and spaces. So the parser only says where a section
ends, and the new lines are put there.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

import yaml
from yaml.events import (
    AliasEvent,
    CollectionEndEvent,
    CollectionStartEvent,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
)
from yamlcore import CoreLoader

from opscheck.core.exit_codes import UserError
from opscheck.discovery.yaml_text import Lines, indented

_BOM = "\ufeff"
_LINE = re.compile(r"[^\r\n]*(\r\n|\r|\n|$)")
_INDENT = 2


class CannotInsertError(UserError):
    """The file is written in a way that does not allow it; the text says which, and what to do."""


@dataclass
class _Section:
    """A key of the root mapping, and what is known of its value."""

    key: str
    line: int
    value: Any
    """The event that begins it."""
    end: int
    """Where its last value ends; of one that is empty, where its key ends."""

    @property
    def column(self) -> int:
        column: int = self.value.start_mark.column
        return column


def inserted(text: str, sections: Mapping[str, Sequence[Lines]], shown: str) -> str:
    """
    `text` with more entries in sections such as `expectations`, a list, or `targets`, a mapping.

    A section that is missing is added at the end. `shown` names the file in errors. Raises CannotInsertError.
    """
    start = len(_BOM) if text.startswith(_BOM) else 0
    body = text[start:]
    root = _root(body, shown)
    known = {section.key: section for section in root}
    added: list[tuple[int, Lines]] = []
    for key, entries in sections.items():
        if key in known and entries:
            added.append(_into(body, known[key], entries, shown))
    end = _end_of(body, max(section.end for section in root), 1)
    added += [(end, _new_section(key, entries)) for key, entries in sections.items() if entries and key not in known]
    return text[:start] + _with(body, added)


def _root(text: str, shown: str) -> list[_Section]:
    """The keys of the document's root. Raises CannotInsertError."""
    events: Iterator[Any] = iter(yaml.parse(text, Loader=CoreLoader))
    root = next((event for event in events if isinstance(event, NodeEvent)), None)
    if not isinstance(root, MappingStartEvent) or root.flow_style:
        raise CannotInsertError(f"{shown}: not a mapping with a key per line; add the entries by hand")
    sections = []
    while isinstance(next_event := next(events), ScalarEvent):
        key: Any = next_event
        value = next(events)
        end = max([_end(key) + 1, _end(value), *_ends(value, events)])
        sections.append(_Section(key.value, key.start_mark.line + 1, value, end))
    if not sections:
        raise CannotInsertError(f"{shown}: an empty file; name another one")
    return sections


def _end(event: Any) -> int:
    index: int = event.end_mark.index
    return index


def _ends(value: Any, events: Iterator[Any]) -> Iterator[int]:
    """Where the scalars, aliases and flow collections inside a value end; consumes its events."""
    open_ones = [value] if isinstance(value, CollectionStartEvent) else []
    while open_ones:
        event = next(events)
        if isinstance(event, CollectionStartEvent):
            open_ones.append(event)
        elif isinstance(event, CollectionEndEvent):
            # That of a block is at the next token, behind comments.
            if open_ones.pop().flow_style:
                yield _end(event)
        elif isinstance(event, ScalarEvent | AliasEvent):
            yield _end(event)


def _into(text: str, section: _Section, entries: Sequence[Lines], shown: str) -> tuple[int, Lines]:
    value = section.value
    place = f"{shown}:{section.line}: `{section.key}`"
    if isinstance(value, ScalarEvent) and not value.value and value.implicit[0]:
        return _end_of(text, section.end, _INDENT), _apart(section.key, entries, _INDENT)
    if isinstance(value, ScalarEvent | AliasEvent):
        raise CannotInsertError(f"{place} is a single value; write its entries below it, one per line")
    if value.flow_style:
        written = "[…]" if not isinstance(value, MappingStartEvent) else "{…}"
        raise CannotInsertError(f"{place} is written as {written} on one line; write one entry per line first")
    if value.anchor or value.tag:
        raise CannotInsertError(f"{place} has an anchor or a tag; add the entries by hand")
    end = _end_of(text, section.end, max(1, section.column))
    return end, _apart(section.key, entries, section.column)


def _apart(key: str, entries: Sequence[Lines], indent: int) -> Lines:
    """The lines of entries; those of lists with an empty line above each."""
    above = [] if key == "targets" else [""]
    return [line for one in entries for line in (*above, *indented(one, indent))]


def _new_section(key: str, entries: Sequence[Lines]) -> Lines:
    lines = _apart(key, entries, _INDENT)
    return ["", f"{key}:", *(lines[1:] if not lines[0] else lines)]


def _end_of(text: str, index: int, column: int) -> int:
    """The first line behind `index`, and behind comments there that are as far to the right as `column`."""
    if index == 0 or text[index - 1] not in "\r\n":
        index = _next_line(text, index)
    else:  # a block of text, whose empty lines may belong to it
        while index < len(text) and not _line(text, index).strip():
            index = _next_line(text, index)
    while (line := _line(text, index)).lstrip(" ").startswith("#") and len(line) - len(line.lstrip(" ")) >= column:
        index = _next_line(text, index)
    return index


def _line(text: str, index: int) -> str:
    found = _LINE.match(text, index)
    return found.group() if found else ""


def _next_line(text: str, index: int) -> int:
    return index + len(_line(text, index))


def _with(text: str, added: list[tuple[int, Lines]]) -> str:
    newline = "\r\n" if "\r\n" in text else "\n"
    # From the end, so that places stay right; of one place the later text goes in first.
    ordered = sorted(added, key=itemgetter(0))
    for index, lines in reversed(ordered):
        block = "".join(f"{line}{newline}" for line in lines)
        if index and text[index - 1] not in "\r\n":
            block = newline + block.removesuffix(newline)
        text = text[:index] + block + text[index:]
    return text
