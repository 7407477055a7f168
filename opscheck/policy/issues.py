"""Issues on their way to one error."""

from collections.abc import Iterable

from opscheck.core.redaction import Secrets
from opscheck.policy.errors import Issue, PolicyError
from opscheck.policy.nodes import Mapping, Node, Path, path_text


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
