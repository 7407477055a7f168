"""What is wrong with a policy, told so that the person who wrote it can mend it."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from operator import attrgetter

from opscheck.core.escaping import visible
from opscheck.core.exit_codes import UserError
from opscheck.core.redaction import Secrets


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
