"""The last good backups that a tool has made, in the same form for every tool."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from opscheck.core.record import Finding
from opscheck.core.remedy import Fact, Remedy
from opscheck.systems.backup.jobs import BackupJobs


@dataclass(frozen=True)
class Subject:
    """A subject of findings: the remedies, facts and causes that all of them have."""

    expectation: BackupJobs
    name: str
    remedies: tuple[Remedy, ...] = ()
    facts: Mapping[str, Fact] = field(default_factory=dict)
    because: tuple[str, ...] = ()

    def finding(self, observed: str, expected: str, *remedies: Remedy, **more: Any) -> Finding:
        """A finding with further remedies; mild by default, as while the last good backup is recent enough."""
        return self.expectation.finding(
            subject=self.name,
            observed=observed,
            expected=expected,
            severity=more.pop("severity", self.expectation.mild_severity),
            remedies=(*self.remedies, *remedies),
            facts={**self.facts, **more.pop("facts", {})},
            because=(*more.pop("because", ()), *self.because),
            **more,
        )


@dataclass(frozen=True)
class LastBackup:
    """The last good backup of one thing in one place; there must always be a recent one."""

    subject: Subject
    began: datetime | None
    """When it began; None where there is none."""
    began_earliest: datetime | None = None
    """When it may have begun, where only this is certain."""
    none_since: datetime | None = None
    """Where there is none: since when one could have been made, if known."""
    detail: str = ""
    """Its name, or why there is no more recent one."""
    full_began: datetime | None = None
    """When the last good full one began; None where there is none."""
    copies: int | None = None
    """The number of good ones; None when unknown."""
    problems: tuple[Finding, ...] = ()
    """Findings about the next one, which count by themselves while the last good one is recent enough."""
    evidence: tuple[str, ...] = ()
    stale_remedies: tuple[Remedy, ...] = ()
    """Further remedies where it is too old."""
    full_remedies: tuple[Remedy, ...] = ()
    """Further remedies where the last full one is too old."""
    stale_facts: Mapping[str, Fact] = field(default_factory=dict)
    """Further facts where it is too old."""


@dataclass
class ToolReport:
    """All backups of a tool."""

    taken_at: datetime
    """The time to compute ages at, by the clock of the backups' times."""
    last_backups: list[LastBackup] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    """Findings that count whatever the age of the last good backup."""
    counts: dict[str, tuple[int, str]] = field(default_factory=dict)
    """Numbers for the report by name, each with its subject."""
    unknown: list[str] = field(default_factory=list)
    """Reasons why something could not be judged."""
    advice: str = ""


def missing_names(wanted: Sequence[str] | None, there: Iterable[str]) -> list[str]:
    """The names of the policy that do not exist."""
    known = set(there)
    return [name for name in dict.fromkeys(wanted or ()) if name not in known]
