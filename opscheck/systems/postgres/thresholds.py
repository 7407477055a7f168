"""One subject that is held to several limits, with one finding for all that it violates."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from opscheck.core.expectation import Expectation
from opscheck.core.record import Finding
from opscheck.core.units import Graded, Severity, format_value


@dataclass(frozen=True)
class Value:
    """One number of a subject, and its limit."""

    name: str
    number: float
    limit: Graded[Any] | None
    unit: str = ""
    text: str = ""
    """How a finding writes it; the plain number by default."""

    @property
    def severity(self) -> Severity | None:
        """The severity of the violation; None within the limit, and without one."""
        return None if self.limit is None else self.limit.severity(self.number)

    @property
    def observed(self) -> str:
        """`query 15m`."""
        return f"{self.name} {self.text or format_value(self.number, self.unit)}"

    @property
    def expected(self) -> str:
        """`query at most 5m`."""
        limit = self.limit
        return f"{self.name} {limit.words} {format_value(float(limit.limit(self.number)), self.unit)}" if limit else ""


def violated(*values: Value) -> list[Value]:
    """Those beyond their limit, the worst first."""
    graded = [(severity, one) for one in values if (severity := one.severity) is not None]
    return [one for _, one in sorted(graded, key=lambda pair: pair[0])]


def finding_about(expectation: Expectation, values: Sequence[Value], **about: Any) -> Finding:
    """The finding about violated values, the worst first; `about` is what else `Expectation.finding` takes."""
    return expectation.finding(
        observed=", ".join(one.observed for one in values),
        expected=", ".join(one.expected for one in values),
        severity=values[0].severity,
        **about,
    )
