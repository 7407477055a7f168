"""`${NAME}` and `${NAME:-default}` in policies: replaced from the environment, and kept secret after that."""

import re
from collections.abc import Iterable
from collections.abc import Mapping as Environment
from dataclasses import dataclass, field
from difflib import get_close_matches
from operator import is_

import msgspec

from opscheck.core.redaction import Secrets
from opscheck.policy.errors import Issue
from opscheck.policy.nodes import Mapping, Node, Path, Scalar, Sequence, items_of, path_text, text_of

NAME_PATTERN = r"[A-Za-z_][A-Za-z0-9_]*"

_REFERENCE = re.compile(
    rf"(?P<escaped>\$\$\{{)|\$\{{(?P<name>{NAME_PATTERN})(?::-(?P<default>[^}}]*))?\}}|(?P<malformed>\$\{{)"
)
# A text that is `$NAME`, and in an address also between the marks that separate its parts.
_UNBRACED = re.compile(r"\$(?P<name>[A-Z][A-Z0-9_]*)(?::\d+)?")
_UNBRACED_PART = re.compile(r"(?:^|[/:@=?&,\s])\$(?P<name>[A-Z][A-Z0-9_]*)(?=$|[/:@?&,\s])")
_AS_WRITTEN = frozenset({"version", "public_variables"})


@dataclass
class Expanded:
    """A text with its references replaced."""

    value: str = ""
    written: str = ""
    """The same with `${NAME}` in place of each secret."""
    unset: list[str] = field(default_factory=list)
    faults: list[tuple[str, str]] = field(default_factory=list)
    """The error and a hint for each reference that could not be replaced."""

    def add(self, value: str, written: str | None = None) -> None:
        """Append a piece."""
        self.value += value
        self.written += value if written is None else written


class Variables:
    """
    Replaces references in one policy, and makes each value that comes from the environment known as a secret.

    `public` are the names whose values may be shown. With `keep_unset` a variable that is not set stays as it is
    written; else it is a fault. An empty variable counts as one that is not set: that is what a missing secret
    looks like in most CI systems, and an empty address is a valid one to some clients.
    """

    def __init__(
        self, environ: Environment[str, str], secrets: Secrets, public: Iterable[str], *, keep_unset: bool
    ) -> None:
        self._environ = environ
        self._secrets = secrets
        self._public = frozenset(public)
        self._keep_unset = keep_unset

    def expand(self, text: str) -> Expanded:
        """`text` with its references replaced; their errors are in `faults`."""
        expanded, end = Expanded(), 0
        for reference in _REFERENCE.finditer(text):
            expanded.add(text[end : reference.start()])
            self._replace(reference, expanded)
            end = reference.end()
        expanded.add(text[end:])
        return expanded

    def _replace(self, reference: re.Match[str], expanded: Expanded) -> None:
        name, default = reference["name"], reference["default"]
        if reference["escaped"]:
            expanded.add("${", "$${")
        elif reference["malformed"] or "${" in (default or ""):
            hint = "a `${` that is meant literally is written $${"
            expanded.faults.append(("expected ${NAME} or ${NAME:-default}", hint))
        elif value := self._environ.get(name):
            self._take(name, value, expanded)
        elif default is not None:
            expanded.add(default)
        elif self._keep_unset:
            expanded.unset.append(name)
            expanded.add(reference.group())
        else:
            expanded.faults.append(self._unset(name))

    def _take(self, name: str, value: str, expanded: Expanded) -> None:
        if name in self._public:
            expanded.add(value)
        else:
            self._secrets.add(value, f"${{{name}}}")
            expanded.add(value, f"${{{name}}}")

    def _unset(self, name: str) -> tuple[str, str]:
        if name in self._environ:
            return f"the variable {name} is empty", f"set it, or write ${{{name}:-}} where empty is right"
        near = get_close_matches(name, self._environ, n=1, cutoff=0.8)
        if near:
            return f"the variable {name} is not set", f"did you mean {near[0]}?"
        return f"the variable {name} is not set", f"set it, or give a default: ${{{name}:-...}}"


def public_names(root: Mapping) -> list[str]:
    """The names in a policy's `public_variables`."""
    return [name for item in items_of(root.items.get("public_variables")) if (name := text_of(item)) is not None]


def replaced(root: Mapping, variables: Variables) -> tuple[Mapping, list[Issue]]:
    """`root` with every reference replaced, and what is wrong with them. Remediation is the shell's own text."""
    replacing = _Replacing(root, variables)
    items = {key: item if key in _AS_WRITTEN else replacing.node(item, (key,)) for key, item in root.items.items()}
    return msgspec.structs.replace(root, items=items), replacing.issues


class _Replacing:
    """Replaces the references in a document; parts without any stay the same object."""

    def __init__(self, root: Mapping, variables: Variables) -> None:
        self._root = root
        self._variables = variables
        self.issues: list[Issue] = []

    def node(self, node: Node, path: Path) -> Node:
        if isinstance(node, Scalar):
            if isinstance(node.value, str) and "$" in node.value:
                self._refuse_unbraced(node.value, node, path)
            return self._scalar(node, path) if isinstance(node.value, str) and "${" in node.value else node
        if isinstance(node, Sequence):
            items = [self.node(item, (*path, index)) for index, item in enumerate(node.items)]
            return node if all(map(is_, items, node.items)) else msgspec.structs.replace(node, items=items)
        if path[::2] == ("expectations", "remediation"):  # the shell's own text
            return node
        values = {key: self.node(item, (*path, key)) for key, item in node.items.items()}
        same = all(map(is_, values.values(), node.items.values()))
        return node if same else msgspec.structs.replace(node, items=values)

    def _refuse_unbraced(self, text: str, node: Scalar, path: Path) -> None:
        found = _UNBRACED_PART.search(text) if path[0] == "targets" else _UNBRACED.fullmatch(text)
        if found is not None:
            rule, hint = "a variable without braces is not replaced", f"did you mean ${{{found['name']}}}?"
            self.issues.append(Issue(*node.place, path_text(self._root, path), rule, hint=hint))

    def _scalar(self, node: Scalar, path: Path) -> Scalar:
        expanded = self._variables.expand(node.value)
        place, where = node.place, path_text(self._root, path)
        self.issues += [Issue(*place, where, rule, hint=hint) for rule, hint in expanded.faults]
        made = {"value": expanded.value, "written": expanded.written, "unset": tuple(expanded.unset)}
        return msgspec.structs.replace(node, **made, literal=node.value)
