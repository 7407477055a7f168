"""What is wrong with a policy, told so that the person who wrote it can mend it."""

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
    One thing that is wrong, where it stands, and what to write instead.

    `line` and `column` start at 1; both are 0 when it concerns the file as a whole. `value` is what came, as a
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
        """The same issue with no secret in it."""
        return replace(
            self,
            path=secrets.clean(self.path),
            rule=secrets.clean(self.rule),
            value=None if self.value is None else secrets.clean(self.value),
            hint=None if self.hint is None else secrets.clean(self.hint),
        )


class PolicyError(UserError):
    """Everything that is wrong with a policy, in the order of its lines. Its text has one line for each."""

    def __init__(self, issues: Iterable[Issue]) -> None:
        self.issues = tuple(sorted(dict.fromkeys(issues), key=attrgetter("file", "line", "column")))
        super().__init__("\n".join(map(str, self.issues)))


class Issues:
    """What is wrong with one document so far. What was found while it was read is told once, at each place."""

    def __init__(self, root: Mapping, while_reading: Iterable[Issue] = ()) -> None:
        self.root = root
        self._found = list(while_reading)
        self._unreadable = {_place(issue) for issue in self._found if issue.path}

    def at(self, node: Node, path: Path, rule: str, value: str | None = None, hint: str | None = None) -> None:
        """Add one that stands at a value."""
        self.add([Issue(*node.place, path_text(self.root, path), rule, value, hint)])

    def at_key(self, node: Node, path: Path, rule: str, hint: str | None = None) -> None:
        """Add one that stands at the key of a value."""
        self.add([Issue(*node.key_place, path_text(self.root, path), rule, hint=hint)])

    def add(self, issues: Iterable[Issue]) -> None:
        """Add some, but those of a value that could not be read."""
        self._found += [issue for issue in issues if _place(issue) not in self._unreadable]

    def copy(self) -> "Issues":
        """The same so far."""
        copied = Issues(self.root)
        copied._found = list(self._found)
        copied._unreadable = self._unreadable
        return copied

    def raise_any(self, secrets: Secrets) -> None:
        """Raise PolicyError when there are any, with no secret in it."""
        if self._found:
            raise PolicyError(issue.without(secrets) for issue in self._found)


def _place(issue: Issue) -> tuple[str, int, int]:
    return issue.file, issue.line, issue.column
