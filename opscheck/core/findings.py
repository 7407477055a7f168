"""What a check records while it judges: measurements and findings."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol, TypeVar

from opscheck.core.expectation import Expectation
from opscheck.core.observation import CouldNotObserve, Observation, Problem, Sample
from opscheck.core.query import Query
from opscheck.core.record import Finding, Measurement
from opscheck.core.remedy import Fact, Remedy
from opscheck.core.units import Graded, Quantity, Severity, format_value

A = TypeVar("A")


class Observe(Protocol):
    """Answers a query. It raises `CouldNotObserve`, which a check lets through, when there is no answer."""

    @property
    def now(self) -> datetime:
        """The time that everything is judged at; that of the snapshot, when one is judged."""
        ...

    def __call__(self, query: Query[A]) -> A:
        """The answer to `query`, which is fetched now if it was not gathered."""
        ...

    def evidence(self, query: Query[A]) -> A | Problem:
        """The answer, or why there is none, for what is evidence only: no verdict may stand on it."""
        ...

    def earlier(self, query: Query[A]) -> tuple[Sample[A], ...]:
        """What earlier runs were answered, oldest first; no verdict may stand on that alone."""
        ...

    def observation(self, query: Query[Any]) -> Observation:
        """All that is known of an answer: when it was taken, why nothing earlier is known."""
        ...


class Findings:
    """Collects what a check measures and what it finds wrong with one expectation."""

    def __init__(self, expectation: Expectation) -> None:
        self._expectation = expectation
        self.violations: list[Finding] = []
        self.measurements: list[Measurement] = []

    def measure(  # noqa: PLR0913 - one per column of the report, by name
        self,
        name: str,
        value: float,
        *,
        unit: str = "",
        subject: str = "",
        limit: float | None = None,
        margin: float | None = None,
    ) -> None:
        """Record a number, whatever the verdict. `unit` is `s`, `%`, `B` or a word."""
        self.measurements.append(
            Measurement(
                name=name,
                value=float(value),
                unit=unit or _unit(value),
                limit=None if limit is None else float(limit),
                margin=None if margin is None else float(margin),
                subject=subject,
            )
        )

    def grade(  # noqa: PLR0913 - what a finding is made of, by name
        self,
        name: str,
        observed: float,
        limit: Graded[Any] | None,
        *,
        subject: str,
        unit: str = "",
        detail: str = "",
        since: datetime | None = None,
        evidence: Iterable[str] = (),
        remedies: Sequence[Remedy] = (),
        facts: Mapping[str, Fact] | None = None,
        about: str = "",
        because: Iterable[str] = (),
    ) -> Severity | None:
        """
        Hold `observed` to `limit`: always a measurement, and a finding at the severity of the worst limit it breaks.

        `detail` says in brackets what the number is made of ("91 of 97"). Returns that severity, None within the limit.
        """
        if limit is None:
            self.measure(name, observed, unit=unit, subject=subject)
            return None
        unit = unit or _unit(observed) or _unit(limit.limit(observed))
        self.measure(
            name,
            observed,
            unit=unit,
            subject=subject,
            limit=limit.limit(observed),
            margin=limit.margin(observed),
        )
        severity = limit.severity(observed)
        if severity is not None:
            seen = f"{name} {format_value(observed, unit)}" + (f" ({detail})" if detail else "")
            self.add(
                subject=subject,
                observed=seen,
                expected=f"{limit.words} {format_value(float(limit.limit(observed)), unit)}",
                severity=severity,
                since=since,
                evidence=evidence,
                remedies=remedies,
                facts=facts,
                about=about,
                because=because,
            )
        return severity

    def add(  # noqa: PLR0913 - what a finding is made of, by name
        self,
        *,
        subject: str,
        observed: str,
        expected: str,
        severity: Severity | None = None,
        since: datetime | None = None,
        evidence: Iterable[str] = (),
        remedies: Sequence[Remedy] = (),
        facts: Mapping[str, Fact] | None = None,
        about: str = "",
        because: Iterable[str] = (),
    ) -> None:
        """Record a violation, which `Expectation.finding` makes of these values. Raises LookupError as it does."""
        self.report(
            self._expectation.finding(
                subject=subject,
                observed=observed,
                expected=expected,
                severity=severity,
                since=since,
                evidence=evidence,
                remedies=remedies,
                facts=facts,
                about=about,
                because=because,
            )
        )

    def report(self, finding: Finding) -> None:
        """Record a violation that `Expectation.finding` made."""
        self.violations.append(finding)

    def report_all(self, findings: Iterable[Finding]) -> None:
        """Record each as it is found: those before a CouldNotObserve still count."""
        for finding in findings:
            self.report(finding)


def judge_all(*parts: Callable[[], None]) -> None:
    """Run each part of a judgement, also when another lacks an answer. Raises the first CouldNotObserve at the end."""
    missing: CouldNotObserve | None = None
    for part in parts:
        try:
            part()
        except CouldNotObserve as error:
            missing = missing or error
    if missing is not None:
        raise missing


def _unit(value: object) -> str:
    return value.unit if isinstance(value, Quantity) else ""
