"""
Reading one YAML 1.2 file, bounded in size, depth and alias expansion.

The C parser hands out events, and the document is built here with a stack of its own: nothing recurses, so that a
file of unlimited depth is rejected at the first level that is too deep.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Any, NoReturn

import msgspec
import yaml
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)
from yamlcore import CCoreLoader

from opscheck.policy.errors import Issue, PolicyError
from opscheck.policy.files import read_text
from opscheck.policy.nodes import Mapping, Node, Scalar, Sequence, Source, shown_text, text_of

MAX_DEPTH = 40
MAX_ALIASED = 10_000

_TAG = "tag:yaml.org,2002:"
_LARGEST = 2**63
_MOST_DIGITS = 1000
_SYNTAX_HINTS = {
    "mapping values are not allowed in this context": 'write a text that contains ": " in quotes',
    "found character that cannot start any token": "write a text that begins with it in quotes",
}


@dataclass(frozen=True)
class Document:
    """One file: its values with their places, its bytes, and its issues so far."""

    root: Mapping
    content: bytes
    issues: tuple[Issue, ...]


def read_document(path: Path, shown: str) -> Document:
    """
    Read a policy file. `shown` names it in errors.

    Raises CannotOpenError when it cannot be opened, PolicyError when it is not a YAML mapping within the limits.
    """
    source, content = read_text(path, shown)
    composer = _Composer(source)
    root = composer.compose()
    if not isinstance(root, Mapping):
        raise PolicyError([*composer.issues, _not_a_mapping(root, source)])
    return Document(root, content, tuple(composer.issues))


def _not_a_mapping(root: Node | None, source: Source) -> Issue:
    if root is None or (isinstance(root, Scalar) and root.value is None):
        return Issue(*source.place(0), "", "expected a mapping with `version: 1`", "an empty file")
    return Issue(*root.place, "", "expected a mapping with `version: 1`", root.shown)


@dataclass
class _Open:
    """An open list or mapping."""

    node: Sequence | Mapping
    anchor: str | None
    key: str | None = None
    key_at: int = -1
    size: int = 1
    height: int = 1
    dropped: bool = False
    """True during a value whose key is invalid."""

    @property
    def id(self) -> str | None:
        return text_of(self.node.items.get("id")) if isinstance(self.node, Mapping) else None


@dataclass(frozen=True)
class _Anchored:
    node: Node
    size: int = 1
    height: int = 0


@dataclass
class _Composer:
    source: Source
    issues: list[Issue] = field(default_factory=list)
    root: Node | None = None
    _open: list[_Open] = field(default_factory=list)
    _anchored: dict[str, _Anchored] = field(default_factory=dict)
    _aliased: int = 0
    _values: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._loader = CCoreLoader(self.source.text)

    def compose(self) -> Node | None:
        """The root of the only document; None without one. Raises PolicyError."""
        for event in self._events():
            kind = type(event)
            if kind is ScalarEvent:
                self._scalar(event)
            elif kind is MappingStartEvent or kind is SequenceStartEvent:
                self._start(event)
            elif kind is MappingEndEvent or kind is SequenceEndEvent:
                self._end()
            elif kind is AliasEvent:
                self._alias(event)
            elif kind is DocumentStartEvent and self.root is not None:
                self._refuse(event.start_mark.index, "expected one document; a second one begins here")
        return self.root

    # -- events ------------------------------------------------------------------------------------------------------

    def _events(self) -> Iterator[Any]:
        try:
            while self._loader.check_event():
                yield self._loader.get_event()
        except yaml.MarkedYAMLError as error:
            raise PolicyError([*self.issues, self._syntax(error)]) from None
        except yaml.YAMLError as error:
            raise PolicyError([*self.issues, self._issue(0, f"invalid YAML: {error}")]) from None

    def _syntax(self, error: yaml.MarkedYAMLError) -> Issue:
        mark = error.problem_mark or error.context_mark
        index = 0 if mark is None else mark.index
        if self.source.text[index : index + 1] == "\t":
            return self._issue(index, "expected spaces; YAML does not allow tabs for indentation")
        context = f" {error.context}" if error.context else ""
        if mark and error.context_mark and error.context_mark.line != mark.line:
            context += f" that starts at line {error.context_mark.line + 1}"
        return self._issue(
            index, f"invalid YAML: {error.problem}{context}", hint=_SYNTAX_HINTS.get(error.problem or "")
        )

    def _scalar(self, event: Any) -> None:
        at = event.start_mark.index
        value = self._value(event, at)
        if self._open and self._awaits_key():
            self._key(value, event.value, at)
        else:
            node = Scalar(self.source, at, self._key_at(at), value, event.value)
            if event.anchor:
                self._anchored[event.anchor] = _Anchored(node)
            self._attach(node)

    def _start(self, event: Any) -> None:
        at = event.start_mark.index
        if self._open and self._awaits_key():
            self._refuse(at, "expected text as a key")
        if len(self._open) == MAX_DEPTH:
            self._refuse(at, f"expected at most {MAX_DEPTH} levels of nesting")
        is_mapping = type(event) is MappingStartEvent
        if event.tag not in {None, "!", _TAG + ("map" if is_mapping else "seq")}:
            self.issues.append(self._issue(at, f"expected a value without the tag {_shown_tag(event.tag)}"))
        key_at = self._key_at(at)
        node = Mapping(self.source, at, key_at, {}) if is_mapping else Sequence(self.source, at, key_at, [])
        self._open.append(_Open(node, event.anchor))

    def _end(self) -> None:
        closed = self._open.pop()
        if closed.anchor:
            self._anchored[closed.anchor] = _Anchored(closed.node, closed.size, closed.height)
        self._attach(closed.node, closed.size, closed.height)

    def _alias(self, event: Any) -> None:
        at = event.start_mark.index
        anchored = self._anchored.get(event.anchor)
        if self._open and self._awaits_key():
            self._refuse(at, "expected text as a key", f"an alias (*{event.anchor})")
        if anchored is None:
            self._refuse(at, f"expected the anchor &{event.anchor} to end before this alias of it")
        self._aliased += anchored.size
        if self._aliased > MAX_ALIASED:
            self._refuse(at, f"expected at most {MAX_ALIASED:,} values from aliases")
        if len(self._open) + anchored.height > MAX_DEPTH:
            self._refuse(at, f"expected at most {MAX_DEPTH} levels of nesting")
        node = msgspec.structs.replace(anchored.node, key_at=self._key_at(at))
        self._attach(node, anchored.size, anchored.height)

    # -- the tree ----------------------------------------------------------------------------------------------------

    def _awaits_key(self) -> bool:
        parent = self._open[-1]
        return type(parent.node) is Mapping and parent.key is None

    def _key_at(self, at: int) -> int:
        return self._open[-1].key_at if self._open and self._open[-1].key is not None else at

    def _key(self, value: object, written: str, at: int) -> None:
        parent = self._open[-1]
        parent.key, parent.key_at, parent.dropped = written, at, False
        if not isinstance(value, str):
            hint = f'write it in quotes: "{written}"' if written else None
            shown = written or "nothing"
            self.issues.append(self._issue(at, "expected text as a key", shown, hint))
            parent.dropped = True
        elif written == "<<":
            hint = "write the keys out, or layer files with `extends`"
            self.issues.append(self._issue(at, "YAML 1.2 has no merge key `<<`", hint=hint))
            parent.dropped = True
        elif (first := parent.node.items.get(written)) is not None:  # type: ignore[union-attr]  # it is a mapping
            line = first.key_place.line
            rule = f"expected each key once; {shown_text(written)} is already at line {line}"
            self.issues.append(self._issue(at, rule))
            parent.dropped = True

    def _attach(self, node: Node, size: int = 1, height: int = 0) -> None:
        if not self._open:
            self.root = node
            return
        parent = self._open[-1]
        parent.size += size
        parent.height = max(parent.height, height + 1)
        if isinstance(parent.node, Sequence):
            parent.node.items.append(node)
        elif parent.key is not None and not parent.dropped:
            parent.node.items[parent.key] = node
        parent.key = None

    # -- scalars -----------------------------------------------------------------------------------------------------

    def _value(self, event: Any, at: int) -> Any:
        if event.tag is None and event.implicit[0]:
            return self._plain(event.value, at)
        if event.tag in {None, "!", _TAG + "str"}:
            return event.value
        return self._constructed(event.tag, event.value, at)

    def _plain(self, text: str, at: int) -> Any:
        if text in self._values:
            return self._values[text]
        faults = len(self.issues)
        value = self._constructed(self._loader.resolve(yaml.ScalarNode, text, (True, False)), text, at)
        if len(self.issues) == faults:
            self._values[text] = value
        return value

    def _constructed(self, tag: str, text: str, at: int) -> Any:
        if tag == _TAG + "str":
            return text
        try:
            # Python rejects an integer of more than some thousand digits.
            long = len(text) > _MOST_DIGITS and tag == _TAG + "int"
            value = _LARGEST if long else self._loader.construct_object(yaml.ScalarNode(tag, text))
        except (yaml.YAMLError, ValueError, LookupError):
            rule = f"expected a value without the tag {_shown_tag(tag)}"
            self.issues.append(self._issue(at, rule, shown_text(text)))
            return text
        # A limit that is infinite, or too large for a float, could never be violated.
        if isinstance(value, int | float) and not -_LARGEST < value < _LARGEST:
            self.issues.append(self._issue(at, "expected a finite number below 2^63", shown_text(text).strip('"')))
            return 0
        return value

    # -- issues ------------------------------------------------------------------------------------------------------

    def _issue(self, at: int, rule: str, value: str | None = None, hint: str | None = None) -> Issue:
        return Issue(*self.source.place(at), self._path(), rule, value, hint)

    def _path(self) -> str:
        """The current position of the parser."""
        text = ""
        for one, inner in zip_longest(self._open, self._open[1:]):
            if isinstance(one.node, Sequence):
                text += f"[{(inner and inner.id) or len(one.node.items)}]"
            elif one.key is not None:
                text += f".{one.key}" if text else one.key
        return text

    def _refuse(self, at: int, rule: str, value: str | None = None) -> NoReturn:
        raise PolicyError([*self.issues, Issue(*self.source.place(at), "", rule, value)])


def _shown_tag(tag: str) -> str:
    return "!!" + tag.removeprefix(_TAG) if tag.startswith(_TAG) else tag
