"""The jobs of backup tools: cron jobs, Velero, pgBackRest, Barman."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from opscheck import Findings, Observe
from opscheck.core.observation import CouldNotObserve, Problem, ProblemKind
from opscheck.core.units import Duration, Graded, Severity, format_duration
from opscheck.systems.backup.barman_backups import barman_report
from opscheck.systems.backup.cronjob_backups import cronjob_report
from opscheck.systems.backup.jobs import BackupJobs
from opscheck.systems.backup.last_backups import LastBackup, ToolReport
from opscheck.systems.backup.pgbackrest_backups import pgbackrest_report
from opscheck.systems.backup.velero_backups import velero_report

_CLOCKS = 300.0
"""The tolerance between clocks in seconds. The age of a backup further in the future is unknown."""

_REPORTS = {
    "cronjob": cronjob_report,
    "velero": velero_report,
    "pgbackrest": pgbackrest_report,
    "barman": barman_report,
}


def test_backups_are_made(expectation: BackupJobs, observe: Observe, findings: Findings) -> None:
    """
    The last successful backup began within the maximum age.

    Everything written since that backup is lost with the system. Backup tools fail silently: a job fails at night,
    stays suspended, or hangs and blocks the next one.
    """
    report = _REPORTS[expectation.tool](expectation, observe, findings)
    for last in report.last_backups:
        here = findings.on(last.subject.name, about="", **last.subject.facts)
        _Case(expectation, report, last, here).judge()
    findings.report_all(report.findings)
    if report.unknown:
        query, text = next(iter(expectation.queries())), "; ".join(dict.fromkeys(report.unknown))
        raise CouldNotObserve(query, Problem(kind=ProblemKind.UNSUPPORTED, text=text, advice=report.advice))


@dataclass(frozen=True)
class _Case:
    """The last good backup of one subject."""

    expectation: BackupJobs
    report: ToolReport
    last: LastBackup
    findings: Findings

    def judge(self) -> None:
        last = self.last
        if self._is_recent():
            self.findings.report_all(last.problems)
        self._judge_full()
        if last.copies is not None:
            self.findings.grade("good backups", last.copies, self.expectation.copies, remedies=last.subject.remedies)

    def _is_recent(self) -> bool:
        """True when the last good backup is recent enough; otherwise a finding."""
        last, limit = self.last, self.expectation.age
        if last.began is None:
            severity, observed = self._none()
            expected = f"one that began {_words(limit)} ago"
            self.findings.add(observed=observed, expected=expected, severity=severity, **self._stale())
            return False
        if self._is_ahead(last.began):
            ahead = format_duration((last.began - self.report.taken_at).total_seconds())
            self.findings.add(
                observed=f"the newest backup begins in {ahead}: one of the clocks is wrong",
                expected="a time that has been",
                severity=self.expectation.worst_severity,
                **self._stale(),
            )
            return False
        self._require_certain(last.began)
        since = last.began + timedelta(seconds=float(limit.steps[0][1]))
        age = Duration(self._age(last.began))
        stale = self._stale() | {"since": since}
        return self.findings.grade("age of the last good backup", age, limit, detail=last.detail, **stale) is None

    def _stale(self) -> dict[str, Any]:
        """The parts of a finding about a missing recent backup."""
        last = self.last
        reasons = [problem.observed for problem in last.problems if problem.observed not in last.detail]
        lines = [line for problem in last.problems for line in problem.evidence]
        causes = (*last.subject.because, *(cause for problem in last.problems for cause in problem.because))
        of_problems = {name: value for problem in last.problems for name, value in problem.facts.items()}
        return {
            "since": last.none_since,
            "evidence": (*reasons, *lines, *last.evidence),
            "remedies": (*last.subject.remedies, *last.stale_remedies),
            "facts": {**of_problems, **last.subject.facts},
            "because": tuple(dict.fromkeys(causes)),
        }

    def _none(self) -> tuple[Severity, str]:
        """The severity and the text without a good backup."""
        last = self.last
        why = f": {last.detail}" if last.detail else ""
        if last.none_since is None:
            return self.expectation.worst_severity, f"no good backup{why}"
        seconds = self._age(last.none_since)
        severity = self.expectation.age.severity(seconds) or self.expectation.mild_severity
        return severity, f"no good backup yet, {format_duration(seconds)} after it was made{why}"

    def _require_certain(self, latest: datetime) -> None:
        """Note a limit between the earliest and the latest possible time of the last good backup."""
        if self.last.began_earliest is None:
            return
        oldest, youngest = self._age(self.last.began_earliest), self._age(latest)
        if self.expectation.age.severity(oldest) is not self.expectation.age.severity(youngest):
            ages = f"{format_duration(youngest)} to {format_duration(oldest)}"
            self.report.unknown.append(f"{self.last.subject.name}: the last good backup began {ages} ago")

    def _judge_full(self) -> None:
        last, limit = self.last, self.expectation.full_age
        if limit is None or last.began is None:
            return
        remedies = (*last.subject.remedies, *last.full_remedies)
        if last.full_began is None:
            severity, expected = limit.steps[-1][0], f"one that began {_words(limit)} ago"
            self.findings.add(observed="no good full backup", expected=expected, severity=severity, remedies=remedies)
        elif not self._is_ahead(last.full_began):
            since = last.full_began + timedelta(seconds=float(limit.steps[0][1]))
            age = Duration(self._age(last.full_began))
            self.findings.grade("age of the last full backup", age, limit, since=since, remedies=remedies)

    def _is_ahead(self, moment: datetime) -> bool:
        return (moment - self.report.taken_at).total_seconds() > _CLOCKS

    def _age(self, moment: datetime) -> float:
        return max(0.0, (self.report.taken_at - moment).total_seconds())


def _words(limit: Graded[Duration]) -> str:
    return f"{limit.words} {limit.steps[0][1]}"
