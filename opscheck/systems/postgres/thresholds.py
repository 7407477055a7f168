"""Findings about limits: several limits of one subject, and many subjects beyond one limit."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, Unpack

from opscheck.core.findings import FindingParts, Findings
from opscheck.core.units import Graded, Severity, format_value

MOST = 20
"""Maximum number of findings of one kind; further ones are only counted."""


@dataclass(frozen=True)
class Value:
    """One number of a subject, and its limit."""

    name: str
    number: float
    limit: Graded[Any] | None
    unit: str = ""
    text: str = ""
    """The text in a finding; the plain number by default."""

    @property
    def severity(self) -> Severity | None:
        """The severity of the violation; None within the limit, and without a limit."""
        return None if self.limit is None else self.limit.severity(self.number)


def violated(*values: Value) -> list[Value]:
    """The values beyond their limit, the worst first."""
    graded = [(severity, one) for one in values if (severity := one.severity) is not None]
    return [one for _, one in sorted(graded, key=lambda pair: pair[0])]


def add_violated(findings: Findings, values: Sequence[Value], **parts: Unpack[FindingParts]) -> None:
    """One finding about violated values, the worst first: `query 15m, transaction 1h`."""
    observed = [f"{one.name} {one.text or format_value(one.number, one.unit)}" for one in values]
    limits = ((one, one.limit.comparator, one.limit.limit(one.number)) for one in values if one.limit is not None)
    expected = [f"{one.name} {sign} {format_value(float(limit), one.unit)}" for one, sign, limit in limits]
    parts["severity"] = values[0].severity
    findings.add(observed=", ".join(observed), expected=", ".join(expected), **parts)


class Case(NamedTuple):
    """One of many subjects of the same kind, with its report."""

    severity: Severity | None
    """None within the limit."""
    report: Callable[[], object]
    """Records its measurement or its finding."""


def graded(findings: Findings, name: str, observed: float, limit: Graded[Any] | None, **about: Any) -> Case:
    """A number with its limit; the arguments are those of `findings.grade`."""
    severity = limit.severity(observed) if limit is not None else None
    return Case(severity, partial(findings.grade, name, observed, limit, **about))


def found(findings: Findings, severity: Severity, **about: Any) -> Case:
    """A violation without a number; the arguments are those of `findings.add`."""
    return Case(severity, partial(findings.add, severity=severity, **about))


def report_worst(findings: Findings, cases: Iterable[Case], *, total: int, what: str) -> None:
    """
    Report the first violations and count the others; without a violation, report the first case as a measurement.

    `cases` begin with the worst and may be incomplete; `total` counts all.
    """
    cases = list(cases)
    violations = [one for one in cases if one.severity is not None]
    for one in violations[:MOST] or cases[:1]:
        one.report()
    if len(violations) > MOST:
        all_are = len(violations) == len(cases)
        more = f"at least {total - MOST}" if all_are and total > len(cases) else str(len(violations) - MOST)
        findings.add(observed=f"{more} more {what}", expected="none", severity=violations[MOST].severity)
