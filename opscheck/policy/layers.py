"""Layering: a policy and the files it extends, read and merged into one document."""

import hashlib
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from opscheck.bundle import bundled
from opscheck.policy.document import Document, read_document
from opscheck.policy.errors import Issue, PolicyError
from opscheck.policy.files import STANDARD_INPUT, CannotOpenError
from opscheck.policy.nodes import Mapping, Node, Scalar, Sequence, text_of
from opscheck.policy.variables import Expanded, Variables, public_names

BUNDLED = "opscheck:"
ROOT = BUNDLED + "base.yaml"
VERSION = 1
MAX_LAYERS = 50

_BY_ID = frozenset({"expectations", "waivers"})

Expand = Callable[[list[str]], Variables]
"""Creates the variables for one file's `extends`, given the file's public variables."""


@dataclass(frozen=True)
class Layers:
    """A policy with all files that it extends."""

    root: Mapping
    sha256: str
    """Of the policy file and, in order, of all files that it extends."""
    issues: tuple[Issue, ...]


def read_layers(path: Path, expand: Expand, below: Iterable[Path] = ()) -> Layers:
    """
    Read a policy and the files that it extends, and merge them: mappings key by key, lists replaced.

    It extends the files `below` too, in this order, without naming them.
    The entries of `expectations` and `waivers` merge by id. Each file is merged once, after all that it extends;
    the shipped base comes before everything. Raises PolicyError when a file cannot be read.
    """
    reading = _Reading(expand)
    reading.start([*below, path])
    if reading.incomplete:
        # The content of a missing layer is unknown: nothing else can be validated.
        raise PolicyError(reading.issues)
    content = b"".join(document.content for document in reading.named.values())
    return Layers(_merge_all(reading.merged), hashlib.sha256(content).hexdigest(), tuple(reading.issues))


@dataclass
class _Reading:
    expand: Expand
    merged: list[Document] = field(default_factory=list)
    named: dict[str, Document] = field(default_factory=dict)
    issues: list[Issue] = field(default_factory=list)
    incomplete: bool = False
    _documents: dict[str, Document] = field(default_factory=dict)
    _open: dict[str, str] = field(default_factory=dict)

    def start(self, paths: list[Path]) -> None:
        root = _bundled_path(ROOT)
        if os.path.realpath(root) not in map(os.path.realpath, paths):
            self.merged.append(self._read(root, ROOT))
        for path in paths:
            shown = "<stdin>" if path == STANDARD_INPUT else str(path)
            try:
                self._visit(path, shown)
            except CannotOpenError as error:
                raise PolicyError([Issue(shown, 0, 0, "", str(error))]) from None
            except PolicyError as error:
                raise PolicyError([*self.issues, *error.issues]) from None

    def _visit(self, path: Path, shown: str) -> None:
        real = os.path.realpath(path)
        known = self._documents.get(real)
        document = known or self._read(path, shown)
        self.named[real] = document
        self._open[real] = shown
        for mention in _mentions(document.root):
            self._extend(mention, document.root, path, shown)
        del self._open[real]
        if known is None:
            self.merged.append(document)

    def _read(self, path: Path, shown: str) -> Document:
        document = read_document(path, shown)
        self._documents[os.path.realpath(path)] = document
        self.issues += [*document.issues, *_version_issues(document.root)]
        return document

    def _extend(self, mention: Node, root: Mapping, path: Path, shown: str) -> None:
        name = self._name(mention, root)
        if name is None:
            return
        target, target_shown = path.parent / name.value, str(Path(shown).parent / name.written)
        if name.value.startswith(BUNDLED):
            target, target_shown = _bundled_path(name.value), name.written
        real = os.path.realpath(target)
        if real in self._open:
            circle = [*list(self._open.values())[list(self._open).index(real) :], self._open[real]]
            self._refuse(mention, f"expected files that do not extend each other in a cycle: {' -> '.join(circle)}")
        elif len(self._open) == MAX_LAYERS:
            self._refuse(mention, f"expected at most {MAX_LAYERS} files that extend each other")
        elif real not in self.named:
            try:
                self._visit(target, target_shown)
            except CannotOpenError as error:
                self._refuse(mention, f"{name.written}: {error}")

    def _name(self, mention: Node, root: Mapping) -> Expanded | None:
        """The file that `extends` names; None after an error."""
        name = self.expand(public_names(root)).expand(text_of(mention) or "")
        if name.faults:
            rule, hint = name.faults[0]
            self._refuse(mention, rule, hint=hint)
        elif name.unset:
            self._refuse(mention, f"the variable {name.unset[0]} is not set")
        elif not name.value or "\0" in name.value:
            self._refuse(mention, "expected the name of a file", mention.shown)
        else:
            return name
        return None

    def _refuse(self, mention: Node, rule: str, value: str | None = None, hint: str | None = None) -> None:
        self.incomplete = True
        self.issues.append(Issue(*mention.place, "extends", rule, value, hint))


def _mentions(root: Mapping) -> list[Node]:
    extends = root.items.get("extends")
    if extends is None:
        return []
    return extends.items if isinstance(extends, Sequence) and extends.items else [extends]


def _bundled_path(name: str) -> Path:
    return bundled("policies") / name.removeprefix(BUNDLED)


def _version_issues(root: Mapping) -> list[Issue]:
    version = root.items.get("version")
    if version is None:
        rule = "the key `version` is missing"
        return [Issue(*root.place, "", rule, hint=f"write `version: {VERSION}`")]
    if isinstance(version, Scalar) and version.value == VERSION and not isinstance(version.value, bool):
        return []
    rule = f"expected {VERSION}, the version of the policy language of this opscheck"
    return [Issue(*version.place, "version", rule, version.shown)]


# -- merging ---------------------------------------------------------------------------------------------------------


def _merge_all(documents: list[Document]) -> Mapping:
    root = documents[0].root
    for document in documents[1:]:
        root = _merge_documents(root, document.root)
    return msgspec.structs.replace(root, items={key: root.items[key] for key in root.items if key != "extends"})


def _merge_documents(base: Mapping, overlay: Mapping) -> Mapping:
    items = dict(base.items)
    for key, value in overlay.items.items():
        below = items.get(key)
        if key in _BY_ID and isinstance(below, Sequence) and isinstance(value, Sequence):
            items[key] = _merge_by_id(below, value)
        elif below is not None:
            items[key] = _merge(below, value)
        else:
            items[key] = value
    return msgspec.structs.replace(overlay, items=items)


def _merge_by_id(base: Sequence, overlay: Sequence) -> Sequence:
    """An entry of the overlay merges into the base's first entry of its id, at that place."""
    items = list(base.items)
    places = {name: index for index, item in reversed(list(enumerate(items))) if (name := _id(item)) is not None}
    for entry in overlay.items:
        # A second entry of the same id in one file is reported as a duplicate later.
        index = places.pop(_id(entry) or "", None)
        below = None if index is None else items[index]
        if index is None or not isinstance(below, Mapping):
            items.append(entry)
        else:
            merged = _merge(below, entry)
            items[index] = msgspec.structs.replace(merged, source=below.source, at=below.at, key_at=below.key_at)
    return msgspec.structs.replace(overlay, items=items)


def _id(entry: Node) -> str | None:
    return text_of(entry.items.get("id")) if isinstance(entry, Mapping) else None


def _merge(base: Node, overlay: Node) -> Node:
    """`overlay` over `base`. A null in a mapping removes the value of the base."""
    if not isinstance(base, Mapping) or not isinstance(overlay, Mapping):
        return overlay
    items = dict(base.items)
    for key, value in overlay.items.items():
        below = items.get(key)
        if below is None:
            items[key] = value
        elif isinstance(value, Scalar) and value.value is None:
            del items[key]
        else:
            items[key] = _merge(below, value)
    return msgspec.structs.replace(overlay, items=items)
