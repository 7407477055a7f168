"""Issues on their way to one error."""

from dataclasses import dataclass, field

from opscheck.policy.errors import Issue, PolicyError
from opscheck.policy.nodes import Mapping, Node, Path, path_text
from opscheck.redaction import Secrets


@dataclass
class Issues:
    """What is wrong with one document so far."""

    root: Mapping
    found: list[Issue] = field(default_factory=list)

    def at(self, node: Node, path: Path, rule: str, value: str | None = None, hint: str | None = None) -> None:
        """Add one that stands at a value."""
        self.found.append(Issue(*node.place, path_text(self.root, path), rule, value, hint))

    def raise_any(self, secrets: Secrets) -> None:
        """Raise PolicyError when there are any, with no secret in it."""
        if self.found:
            raise PolicyError(issue.without(secrets) for issue in self.found)
