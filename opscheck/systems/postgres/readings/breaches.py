"""One subject that is held to several limits, and told of once."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from opscheck.core.units import Graded, Severity, format_value


@dataclass(frozen=True)
class Held:
    """One number of a subject, and its limit."""

    name: str
    value: float
    limit: Graded[Any] | None
    unit: str = ""
    detail: str = ""
    """What the number is made of."""
    said: str = ""
    """How the number is said, where that is not its plain value."""

    @property
    def severity(self) -> Severity | None:
        """How bad it is; None within the limit, and without one."""
        return None if self.limit is None else self.limit.severity(self.value)

    @property
    def observed(self) -> str:
        """`query 15m (parallel)`."""
        value = self.said or format_value(self.value, self.unit)
        return f"{self.name} {value}" + (f" ({self.detail})" if self.detail else "")

    @property
    def expected(self) -> str:
        """`query at most 5m`."""
        return self._expected(self.limit) if self.limit is not None else ""

    def _expected(self, limit: Graded[Any]) -> str:
        return f"{self.name} {limit.words} {format_value(float(limit.limit(self.value)), self.unit)}"


@dataclass(frozen=True)
class Breach:
    """Every limit that one subject breaks."""

    broken: tuple[Held, ...]
    """The worst first."""

    @property
    def severity(self) -> Severity:
        """The worst."""
        return min(severity for one in self.broken if (severity := one.severity) is not None)

    @property
    def observed(self) -> str:
        """Each number."""
        return ", ".join(one.observed for one in self.broken)

    @property
    def expected(self) -> str:
        """Each limit."""
        return ", ".join(one.expected for one in self.broken)


def breach(held: Sequence[Held]) -> Breach | None:
    """What is broken; None when nothing is."""
    broken = [(severity, one) for one in held if (severity := one.severity) is not None]
    return Breach(tuple(one for _, one in sorted(broken, key=lambda pair: pair[0]))) if broken else None
