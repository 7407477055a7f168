"""Errors of a policy, for the person who wrote it."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from operator import attrgetter

from opscheck.core.escaping import visible
from opscheck.core.exit_codes import UserError
from opscheck.core.redaction import Secrets
from opscheck.policy.nodes import Mapping, Node, Path, path_text


@dataclass(frozen=True)
class Issue:
    """
    One error: its place, and the expected value.

    `line` and `column` start at 1; both are 0 for the whole file. `value` is what came, as a
    person would write it.
    """

    file: str
    line: int
    column: int
    path: str
    rule: str
    value: str | None = None
    hint: str | None = None

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        value = f", got {self.value}" if self.value is not None else ""
        hint = f"; {self.hint}" if self.hint else ""
        text = f"{self.rule}{value}{hint}"
        return visible(": ".join(part for part in (place, self.path, text) if part))

    def without(self, secrets: Secrets) -> "Issue":
        """The same issue without secrets."""
        return replace(
            self,
            path=secrets.clean(self.path),
            rule=secrets.clean(self.rule),
            value=None if self.value is None else secrets.clean(self.value),
            hint=None if self.hint is None else secrets.clean(self.hint),
        )


class PolicyError(UserError):
    """All errors of a policy, in line order. Its text has one line for each."""

    def __init__(self, issues: Iterable[Issue]) -> None:
        self.issues = tuple(sorted(dict.fromkeys(issues), key=attrgetter("file", "line", "column")))
        super().__init__("\n".join(map(str, self.issues)))


class Issues:
    """The errors of one document so far. Errors found while reading are reported once per place."""

    def __init__(self, root: Mapping, while_reading: Iterable[Issue] = ()) -> None:
        self.root = root
        self._found = list(while_reading)
        self._unreadable = {_place(issue) for issue in self._found if issue.path}

    def at(self, node: Node, path: Path, rule: str, value: str | None = None, hint: str | None = None) -> None:
        """Add an error at a value."""
        self.add([Issue(*node.place, path_text(self.root, path), rule, value, hint)])

    def at_key(self, node: Node, path: Path, rule: str, hint: str | None = None) -> None:
        """Add an error at the key of a value."""
        self.add([Issue(*node.key_place, path_text(self.root, path), rule, hint=hint)])

    def add(self, issues: Iterable[Issue]) -> None:
        """Add errors, except those of unreadable values."""
        self._found += [issue for issue in issues if _place(issue) not in self._unreadable]

    def copy(self) -> "Issues":
        """The errors so far."""
        copied = Issues(self.root)
        copied._found = list(self._found)
        copied._unreadable = self._unreadable
        return copied

    def raise_any(self, secrets: Secrets) -> None:
        """Raise PolicyError if there are errors, without secrets."""
        if self._found:
            raise PolicyError(issue.without(secrets) for issue in self._found)


def _place(issue: Issue) -> tuple[str, int, int]:
    return issue.file, issue.line, issue.column
