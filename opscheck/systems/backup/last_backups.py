"""The last good backups of a tool, in the same form for every tool."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from opscheck.core.findings import Findings
from opscheck.core.record import Finding
from opscheck.core.remedy import Fact, Remedy
from opscheck.core.words import counted, some
from opscheck.systems.backup.jobs import NOTHING, BackupJobs
from opscheck.systems.backup.tools import BarmanServer, PgbackrestStanza
from opscheck.systems.backup.velero import Schedule
from opscheck.systems.kubernetes.batch import CronJob
from opscheck.systems.kubernetes.scope import Matched

Maker = TypeVar("Maker", CronJob, Schedule)
Place = TypeVar("Place", PgbackrestStanza, BarmanServer)


@dataclass(frozen=True)
class Subject:
    """A subject of findings, with their common remedies, facts and causes."""

    expectation: BackupJobs
    name: str
    remedies: tuple[Remedy, ...] = ()
    facts: Mapping[str, Fact] = field(default_factory=dict)
    because: tuple[str, ...] = ()

    def finding(self, observed: str, expected: str, *remedies: Remedy, **more: Any) -> Finding:
        """A finding with further remedies; by default of the mild severity."""
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
    """The last good backup of one subject in one place; it must be recent."""

    subject: Subject
    began: datetime | None
    """The time when it began; None without a good backup."""
    began_earliest: datetime | None = None
    """The earliest time when it may have begun, if its begin is uncertain."""
    none_since: datetime | None = None
    """Without a good backup: the time since when one could have been made, if known."""
    detail: str = ""
    """Its name, or the reason why there is no more recent one."""
    full_began: datetime | None = None
    """The time when the last good full one began; None without one."""
    copies: int | None = None
    """The number of good backups; None when unknown."""
    problems: tuple[Finding, ...] = ()
    """Findings about the next backup, reported separately while the last good one is recent enough."""
    evidence: tuple[str, ...] = ()
    stale_remedies: tuple[Remedy, ...] = ()
    """Further remedies when it is too old."""
    full_remedies: tuple[Remedy, ...] = ()
    """Further remedies when the last full one is too old."""


@dataclass
class ToolReport:
    """All backups of a tool."""

    expectation: BackupJobs
    collected: Findings
    """Records the measurements."""
    taken_at: datetime
    """The time that ages are computed at, by the clock of the backups' times."""
    last_backups: list[LastBackup] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    """Findings that are reported at any age of the last good backup."""
    unknown: list[str] = field(default_factory=list)
    """Reasons why something could not be judged."""
    advice: str = ""

    def working(
        self, of: Matched, selected: Sequence[Maker], is_resting: Callable[[Maker], bool], noun: str, resting: str
    ) -> list[Maker]:
        """Those that make backups now; backups are unknown when all selected ones are resting or being deleted."""
        there = [one for one in selected if not one.is_terminating]
        working = [one for one in there if not is_resting(one)]
        if len(working) < len(there):
            self.collected.measure(f"{resting} {noun}s", len(there) - len(working), subject=of.selected)
        if selected and not working:
            left_out = f"{counted(len(selected), noun)} {'is' if len(selected) == 1 else 'are'} {resting}"
            self.unknown.append(f"nothing is left that makes backups: {left_out} or being deleted")
            self.advice = "resume one, or waive this until one is to be made"
        return working

    def named(
        self, tool: str, noun: str, there: Sequence[Place], wanted: Sequence[str] | None, missing: Remedy
    ) -> list[Place]:
        """The servers or stanzas that the policy names, or all of them; a finding for each missing one."""
        host, severity = self.expectation.host, self.expectation.worst_severity
        known = [one.name for one in there]
        for name in dict.fromkeys(wanted or ()):
            if name not in known:
                subject = Subject(self.expectation, f"{noun} {name}", (missing,), {noun: name})
                observed, expected = f"{tool} knows no such {noun}", f"a {noun} with backups"
                evidence = (f"{noun}s there: {some(known) or 'none'}",)
                self.findings.append(subject.finding(observed, expected, severity=severity, evidence=evidence))
        if not there and wanted is None:
            nothing = Subject(self.expectation, host, (NOTHING,))
            self.findings.append(nothing.finding(f"{tool} knows no {noun}", ">= 1", severity=severity))
        chosen = [one for one in there if wanted is None or one.name in wanted]
        self.collected.measure(f"{noun}s", len(chosen), subject=host)
        return chosen
