"""What findings about PostgreSQL are made of, and how many of them are told."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from opscheck.core.findings import Findings
from opscheck.core.units import Graded, Severity

MOST = 20
"""So many findings of one kind are told one by one."""


@dataclass(frozen=True, kw_only=True)
class Number:
    """A number that is held to a limit, and what a finding about it would say."""

    name: str
    observed: float
    limit: Graded[Any] | None
    subject: str
    detail: str = ""
    unit: str = ""
    since: datetime | None = None
    evidence: tuple[str, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Trouble:
    """A state that is wrong, whatever the numbers."""

    subject: str
    observed: str
    expected: str
    severity: Severity | None = None
    since: datetime | None = None
    evidence: tuple[str, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)


def report(findings: Findings, told: Iterable[Number | Trouble]) -> None:
    """Write each of them down. Lets CouldNotObserve through."""
    for one in told:
        said: dict[str, Any] = {
            "subject": one.subject,
            "since": one.since,
            "evidence": one.evidence,
            "facts": one.facts,
        }
        if isinstance(one, Number):
            findings.grade(one.name, one.observed, one.limit, detail=one.detail, unit=one.unit, **said)
        else:
            findings.add(observed=one.observed, expected=one.expected, severity=one.severity, **said)


def bounded(
    told: Sequence[Number | Trouble], limit: Graded[Any] | None, total: int, subject: str, what: str
) -> Iterator[Number | Trouble]:
    """
    The first findings of one kind, the others counted; where there is none, the first number for its measurement.

    told: the worst first, and perhaps not all: there are `total`.
    """
    broken = [(one, severity) for one in told for severity in [_severity(one, limit)] if severity is not None]
    yield from [one for one, _ in broken[:MOST]] or (told[:1] if limit is not None else ())
    if len(broken) > MOST:
        all_are = len(broken) == len(told)
        more = f"at least {total - MOST}" if all_are and total > len(told) else str(len(broken) - MOST)
        yield Trouble(subject=subject, observed=f"{more} more {what}", expected="none", severity=broken[MOST][1])


def _severity(one: Number | Trouble, limit: Graded[Any] | None) -> Severity | None:
    if isinstance(one, Trouble):
        return one.severity
    return None if limit is None else limit.severity(one.observed)
