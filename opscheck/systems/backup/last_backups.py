"""Series of backups, whatever tool makes them: how old the last good one is, and what keeps the next one away."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from opscheck.core.findings import Findings
from opscheck.core.observation import CouldNotObserve, Problem, ProblemKind
from opscheck.core.query import Query
from opscheck.core.units import Duration, Graded, Severity, format_duration
from opscheck.core.words import counted
from opscheck.systems.backup.jobs import BackupJobs

_CLOCKS = 300.0
"""Seconds that two clocks may differ by. A backup that begins later than that proves nothing of its age."""

LAST_GOOD = "age of the last good backup"
LAST_FULL = "age of the last full backup"


@dataclass(frozen=True)
class Fault:
    """Something that is wrong with the making of backups."""

    observed: str
    expected: str
    subject: str = ""
    """What it is about, where that is not the series."""
    severity: Severity | None = None
    """How bad it is; mild where nothing is said."""
    since: datetime | None = None
    evidence: tuple[str, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    because: tuple[str, ...] = ()


@dataclass(frozen=True)
class Series:
    """Backups of one thing to one place, of which there must always be a young one."""

    subject: str
    began: datetime | None
    """When the newest good one began; None where there is none."""
    began_earliest: datetime | None = None
    """When it may have begun, where only this is known for certain."""
    none_since: datetime | None = None
    """Where there is none: since when one could have been made, if that is known."""
    detail: str = ""
    """Which backup that is, or why there is no younger one."""
    full_began: datetime | None = None
    """When the newest good full one began; None where there is none."""
    copies: int | None = None
    """How many good ones there are; None where nobody can tell."""
    faults: tuple[Fault, ...] = ()
    """What keeps the next one from being made: told by itself while the last good one is young enough."""
    evidence: tuple[str, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    stale_facts: Mapping[str, str] = field(default_factory=dict)
    """What commands may name beside, when the last good one is too old."""
    full_facts: Mapping[str, str] = field(default_factory=dict)
    """The same, when the last full one is."""
    because: tuple[str, ...] = ()


@dataclass
class Made:
    """What a tool tells of all its backups."""

    taken_at: datetime
    """The time that ages are counted to, by the clock that the backups' times are by."""
    series: list[Series] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    """What is wrong whatever the age of the last good backup."""
    counts: dict[str, tuple[int, str]] = field(default_factory=dict)
    """Numbers for the report by their names, each with its subject."""
    unknown: list[str] = field(default_factory=list)
    """What could not be judged, each in words."""
    advice: str = ""


def tell(expectation: BackupJobs, made: Made, findings: Findings) -> None:
    """Record all of it."""
    for name, (count, subject) in made.counts.items():
        findings.measure(name, count, subject=subject)
    for series in made.series:
        _tell_series(expectation, made, series, findings)
    for fault in made.faults:
        _tell_fault(expectation, fault, None, findings)


def with_some(made: Made, meant: Sequence[object], noun: str, resting: str) -> Made:
    """The same; where all that is meant rests or is being deleted, it says that nobody knows of a backup."""
    if meant and not made.series:
        are = "is" if len(meant) == 1 else "are"
        left_out = f"{counted(len(meant), noun)} {are} {resting} or being deleted"
        made.unknown.append(f"nothing is left that makes backups: {left_out}")
        made.advice = "resume one, or waive this until one is to be made"
    return made


def require_all(made: Made, query: Query[object]) -> None:
    """Raises CouldNotObserve where something that is meant could not be judged."""
    if made.unknown:
        text = "; ".join(dict.fromkeys(made.unknown))
        raise CouldNotObserve(query, Problem(kind=ProblemKind.UNSUPPORTED, text=text, advice=made.advice))


def _tell_series(expectation: BackupJobs, made: Made, series: Series, findings: Findings) -> None:
    if _is_young(expectation, made, series, findings):
        for fault in series.faults:
            _tell_fault(expectation, fault, series, findings)
    _tell_full(expectation, made, series, findings)
    if series.copies is not None:
        limit, facts = expectation.copies, series.facts
        findings.grade("good backups", series.copies, limit, subject=series.subject, facts=facts)


def _is_young(expectation: BackupJobs, made: Made, series: Series, findings: Findings) -> bool:
    """Whether the last good backup is young enough; told where it is not."""
    if series.began is None:
        severity, observed = _none(expectation, made, series)
        expected = f"one that began {_words(expectation.age)} ago"
        findings.add(observed=observed, expected=expected, severity=severity, **_why(series))
        return False
    if _is_ahead(made, series.began):
        ahead = format_duration((series.began - made.taken_at).total_seconds())
        observed = f"the newest backup begins in {ahead}: one of the clocks is wrong"
        findings.add(
            observed=observed, expected="a time that has been", severity=expectation.worst_severity, **_why(series)
        )
        return False
    _require_certain(expectation, made, series)
    since = series.began + timedelta(seconds=float(expectation.age.steps[0][1]))
    age = Duration(_age(made, series.began))
    told = _why(series) | {"since": since}
    return findings.grade(LAST_GOOD, age, expectation.age, detail=series.detail, **told) is None


def _why(series: Series) -> dict[str, Any]:
    """The subject, and what keeps a younger backup from being made."""
    untold = [fault.observed for fault in series.faults if fault.observed not in series.detail]
    reasons = [line for fault in series.faults for line in fault.evidence]
    causes = (*series.because, *(cause for fault in series.faults for cause in fault.because))
    of_faults = {name: value for fault in series.faults for name, value in fault.facts.items()}
    return {
        "subject": series.subject,
        "since": series.none_since,
        "evidence": (*untold, *reasons, *series.evidence),
        "facts": {**series.facts, **of_faults, **series.stale_facts},
        "because": tuple(dict.fromkeys(causes)),
    }


def _none(expectation: BackupJobs, made: Made, series: Series) -> tuple[Severity, str]:
    """How bad it is that there is no good backup at all, and what to say of it."""
    why = f": {series.detail}" if series.detail else ""
    if series.none_since is None:
        return expectation.worst_severity, f"no good backup at all{why}"
    seconds = _age(made, series.none_since)
    severity = expectation.age.severity(seconds) or expectation.mild_severity
    return severity, f"no good backup yet, {format_duration(seconds)} after it was made{why}"


def _require_certain(expectation: BackupJobs, made: Made, series: Series) -> None:
    earliest, latest = series.began_earliest, series.began
    if earliest is None or latest is None:
        return
    oldest, youngest = _age(made, earliest), _age(made, latest)
    if expectation.age.severity(oldest) is not expectation.age.severity(youngest):
        made.unknown.append(
            f"{series.subject}: the last good backup began {format_duration(youngest)} to {format_duration(oldest)} ago"
        )


def _tell_full(expectation: BackupJobs, made: Made, series: Series, findings: Findings) -> None:
    limit = expectation.full_age
    if limit is None or series.began is None:
        return
    facts = {**series.facts, **series.full_facts}
    if series.full_began is None:
        findings.add(
            subject=series.subject,
            observed="no good full backup",
            expected=f"one that began {_words(limit)} ago",
            severity=limit.steps[-1][0],
            facts=facts,
        )
    elif not _is_ahead(made, series.full_began):
        seconds = Duration(_age(made, series.full_began))
        since = series.full_began + timedelta(seconds=float(limit.steps[0][1]))
        findings.grade(LAST_FULL, seconds, limit, subject=series.subject, since=since, facts=facts)


def _tell_fault(expectation: BackupJobs, fault: Fault, series: Series | None, findings: Findings) -> None:
    findings.add(
        subject=fault.subject or (series.subject if series else ""),
        observed=fault.observed,
        expected=fault.expected,
        severity=fault.severity or expectation.mild_severity,
        since=fault.since,
        evidence=fault.evidence,
        facts={**(series.facts if series else {}), **fault.facts},
        because=fault.because,
    )


def missing(wanted: Sequence[str] | None, there: Iterable[str]) -> list[str]:
    """The names of the policy that are not there."""
    known = set(there)
    return [name for name in dict.fromkeys(wanted or ()) if name not in known]


def _words(limit: Graded[Duration]) -> str:
    return f"{limit.words} {limit.steps[0][1]}"


def _is_ahead(made: Made, moment: datetime) -> bool:
    return (moment - made.taken_at).total_seconds() > _CLOCKS


def _age(made: Made, moment: datetime) -> float:
    return max(0.0, (made.taken_at - moment).total_seconds())
