"""Measurements and findings of a check."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import copy
from datetime import datetime
from typing import Any, Self, TypedDict, TypeVar, Unpack

from opscheck.core.expectation import Expectation
from opscheck.core.observation import CouldNotObserve, Observation, Problem, Sample
from opscheck.core.query import Query
from opscheck.core.record import Finding, Measurement
from opscheck.core.remedy import Fact, Remedy
from opscheck.core.units import Graded, Quantity, Severity, format_value

A = TypeVar("A")


class Observe:
    """Answers a query. It raises `CouldNotObserve`, which a check lets through, when there is no answer."""

    now: datetime
    """The time that checks use as now; for a snapshot, its time."""

    def observation(self, query: Query[Any]) -> Observation:
        """The answer or problem of a query, with its time and its earlier answers."""
        raise NotImplementedError  # pragma: no cover

    def __call__(self, query: Query[A]) -> A:
        """The answer to `query`, which is sent now if it was not gathered."""
        observation = self.observation(query)
        if observation.problem is not None:
            raise CouldNotObserve(query, observation.problem)
        answer: A = observation.answer
        return answer

    def evidence(self, query: Query[A]) -> A | Problem:
        """The answer or its problem, for evidence: no verdict may depend on it."""
        observation = self.observation(query)
        answer: A | Problem = observation.problem or observation.answer
        return answer

    def earlier(self, query: Query[A]) -> tuple[Sample[A], ...]:
        """The answers of earlier runs, oldest first; no verdict may depend on them alone."""
        return self.observation(query).earlier


class FindingParts(TypedDict, total=False):
    """The arguments of `Expectation.finding` other than `observed` and `expected`."""

    subject: str
    severity: Severity | None
    since: datetime | None
    evidence: Iterable[str]
    remedies: Sequence[Remedy]
    facts: Mapping[str, Fact]
    about: str
    because: Iterable[str]


class Findings:
    """Collects the measurements and violations of one expectation."""

    def __init__(self, expectation: Expectation) -> None:
        self._expectation = expectation
        self.common: FindingParts = {"subject": "", "facts": {}}
        """Default values of each finding."""
        self.violations: list[Finding] = []
        self.measurements: list[Measurement] = []

    def on(self, subject: str, *, about: str = "", **facts: Fact) -> Self:
        """
        The same collection, for records about one subject.

        `subject`, `about` and `facts` are then the defaults of each measurement and finding; facts that a finding
        sets itself are added to these.
        """
        narrowed = copy(self)
        narrowed.common = {"subject": subject, "about": about, "facts": {**self.common["facts"], **facts}}
        return narrowed

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
        """Record a number, for every verdict. `unit` is `s`, `%`, `B` or a word."""
        self.measurements.append(
            Measurement(
                name=name,
                value=float(value),
                unit=unit or _unit(value),
                limit=None if limit is None else float(limit),
                margin=None if margin is None else float(margin),
                subject=subject or self.common["subject"],
            )
        )

    def grade(
        self,
        name: str,
        observed: float,
        limit: Graded[Any] | None,
        *,
        unit: str = "",
        detail: str = "",
        **parts: Unpack[FindingParts],
    ) -> Severity | None:
        """
        Compare `observed` with `limit`: always a measurement; a finding at the severity of the worst violated limit.

        `detail` follows the number in brackets ("91 of 97"). Returns that severity, None within the limit.
        """
        subject = parts.get("subject", "")
        if limit is None:
            self.measure(name, observed, unit=unit, subject=subject)
            return None
        allowed = limit.limit(observed)
        unit = unit or _unit(observed) or _unit(allowed)
        self.measure(name, observed, unit=unit, subject=subject, limit=allowed, margin=limit.margin(observed))
        severity = limit.severity(observed)
        if severity is not None:
            parts["severity"] = severity
            self.add(
                observed=f"{name} {format_value(observed, unit)}" + (f" ({detail})" if detail else ""),
                expected=f"{limit.comparator} {format_value(float(allowed), unit)}",
                **parts,
            )
        return severity

    def finding(self, *, observed: str, expected: str, **parts: Unpack[FindingParts]) -> Finding:
        """A violation made by `Expectation.finding`; it is not recorded. Raises LookupError."""
        facts = {**self.common["facts"], **parts.get("facts", {})}
        whole: FindingParts = {**self.common, **parts, "facts": facts}
        return self._expectation.finding(observed=observed, expected=expected, **whole)

    def add(self, *, observed: str, expected: str, **parts: Unpack[FindingParts]) -> None:
        """Record a violation, made as by `finding`."""
        self.report(self.finding(observed=observed, expected=expected, **parts))

    def report(self, finding: Finding) -> None:
        """Record a violation that `Expectation.finding` made."""
        self.violations.append(finding)

    def report_all(self, findings: Iterable[Finding]) -> None:
        """Record each when it is found: those before a CouldNotObserve still count."""
        for finding in findings:
            self.report(finding)


def judge_all(*parts: Callable[[], None]) -> None:
    """Run each part of a judgement, also when another has no answer. Raises the first CouldNotObserve at the end."""
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
