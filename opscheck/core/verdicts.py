"""Verdicts, the gate, and the exit codes."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

from opscheck.core.exit_codes import ExitCode
from opscheck.core.expectation import Expectation
from opscheck.core.findings import Findings
from opscheck.core.observation import CouldNotObserve, Problem, ProblemKind
from opscheck.core.query import Query
from opscheck.core.record import Consequence, Counts, Finding, Measurement, Result, Verdict
from opscheck.core.units import Severity, format_value, worst


@dataclass(frozen=True)
class Gate:
    """The severity from which a violation fails the run; None never fails it."""

    fail_on: Severity | None = Severity.P3

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `P1`, `p1` or `never`. Raises ValueError."""
        return cls(None) if text.lower() == "never" else cls(Severity(text.upper()))

    def __str__(self) -> str:
        return self.fail_on or "never"

    def closes(self, severity: Severity | None) -> bool:
        """True when a violation of this severity fails the run."""
        return self.fail_on is not None and severity is not None and severity.reaches(self.fail_on)

    def exit_code(self, results: Iterable[Result], counts: Counts) -> ExitCode:
        """The exit code of the run. A proven violation outweighs every other problem of the run."""
        results = list(results)
        if any(self.proven(result) for result in results):
            return ExitCode.CLOSED
        if counts.declared == counts.skipped or counts.declared != counts.reported:
            return ExitCode.UNTRUSTED
        unknown = any(result.verdict is Verdict.UNKNOWN and self.closes(result.severity) for result in results)
        return ExitCode.UNKNOWN if unknown else ExitCode.OPEN

    def proven(self, result: Result) -> bool:
        """True when this result has a violation at the gate, also when something could not be observed."""
        if result.verdict is Verdict.VIOLATED:
            return self.closes(result.severity)
        waived = result.waiver is not None and not result.waiver.expired
        found = (self.closes(finding.severity) for finding in result.findings)
        return result.verdict is Verdict.UNKNOWN and not waived and any(found)


@dataclass(frozen=True)
class Judgement:
    """The conclusion of one check, before waivers and remedies of the policy."""

    verdict: Verdict
    severity: Severity | None
    summary: str
    findings: tuple[Finding, ...] = ()
    measurements: tuple[Measurement, ...] = ()
    blocked_by: str | None = None
    consequences: tuple[Consequence, ...] = ()


def passed_or_violated(findings: Findings) -> Judgement:
    """The judgement of a check that ran to its end."""
    measurements = tuple(findings.measurements)
    violations = tuple(sorted(findings.violations, key=lambda finding: finding.severity))
    if not violations:
        return Judgement(Verdict.PASSED, None, _measured(measurements), (), measurements)
    return Judgement(
        Verdict.VIOLATED,
        worst([finding.severity for finding in violations]),
        _found(violations),
        violations,
        measurements,
    )


def not_observed(
    expectation: Expectation, missing: CouldNotObserve, findings: Findings, carrier: str | None
) -> Judgement:
    """The judgement of a check without an answer; `carrier` is the expectation that reports the outage."""
    problem = missing.problem
    if expectation.does_not_apply(problem) and not findings.violations:  # a violation that was already found applies
        return does_not_apply(explained(problem))
    if carrier not in {None, expectation.id}:
        return _unknown(expectation, f"blocked by {carrier}: {problem.text}", findings, blocked_by=carrier)
    severity = expectation.no_answer(problem)
    if severity is None:
        return _unknown(expectation, explained(problem), findings)
    system = expectation.system
    findings.add(
        subject=system.address if system else expectation.id,
        severity=severity,
        observed=problem.text,
        expected="an answer",
        evidence=(problem.advice,) if problem.advice else (),
        remedies=expectation.no_answer_remedies,
    )
    return passed_or_violated(findings)


def assertion_failed(expectation: Expectation, text: str, claim: str, findings: Findings) -> Judgement:
    """The judgement of a check whose plain `assert` failed: one finding."""
    subject = expectation.system.name if expectation.system else expectation.id
    findings.add(subject=subject, observed=text, expected=claim, remedies=expectation.remedies)
    return passed_or_violated(findings)


def check_broke(expectation: Expectation, error: BaseException, where: str, findings: Findings) -> Judgement:
    """The judgement of a check that raised an error."""
    return _unknown(expectation, f"check error: {type(error).__name__}: {error} ({where})", findings)


def read_nothing(expectation: Expectation, findings: Findings) -> Judgement:
    """The judgement of a check that passed without reading any query of its expectation."""
    return _unknown(expectation, "check error: it read none of its queries", findings)


def does_not_apply(reason: str) -> Judgement:
    """The judgement of an expectation that does not apply here."""
    return Judgement(Verdict.SKIPPED, None, reason)


def explained(problem: Problem) -> str:
    """A problem in one line: what happened, and what to do."""
    return f"{problem.text}; {problem.advice}" if problem.advice else problem.text


def outage(query: Query[Any], problem: Problem) -> str | None:
    """
    The scope of a missing answer beyond its own query: the target that is down, or the part without permission.

    None for a problem of this query only.
    """
    if problem.target_down:
        return query.target
    return f"{query.target}/{query.scope}" if problem.kind is ProblemKind.DENIED and query.scope else None


def carriers(missing: Iterable[tuple[Expectation, str, Problem]]) -> dict[str, str]:
    """
    The expectation that reports each outage: the value of `outage`, to expectation id.

    `missing` are, in policy order, the expectations without an answer. The first one for which that is
    itself a violation reports it, or else the first.
    """
    chosen: dict[str, str] = {}
    proven: set[str] = set()
    for expectation, place, problem in missing:
        proves = expectation.no_answer(problem) is not None
        if place not in chosen or (proves and place not in proven):
            chosen[place] = expectation.id
        if proves:
            proven.add(place)
    return chosen


def tellers(found: Iterable[tuple[str, Finding]]) -> dict[str, str]:
    """
    The expectation that reports what is wrong with each object: its reference to an expectation id.

    `found` are the findings of the expectations that explain others, each with its expectation. One that is itself
    explained by a finding of another expectation is reported there: a deployment by the node that its pods were on.
    """
    known: dict[str, tuple[str, tuple[str, ...]]] = {}
    for name, finding in found:
        # A finding that another finding about the same object explains is reported there, in any order.
        leaves_it = finding.about in known and finding.about in known[finding.about][1]
        if finding.about and (finding.about not in known or (leaves_it and finding.about not in finding.because)):
            known[finding.about] = name, finding.because

    def teller(about: str, passed: frozenset[str]) -> str:
        name, because = known[about]
        further = (cause for cause in because if cause in known and cause not in passed and known[cause][0] != name)
        cause = next(further, None)
        return name if cause is None else teller(cause, passed | {about})

    return {about: teller(about, frozenset({about})) for about in known}


def deduplicated_by_cause(judgement: Judgement, expectation: Expectation, told_by: Mapping[str, str]) -> Judgement:
    """
    The judgement without the findings that another expectation's finding explains.

    They stay violations at their severity: only the report is left to the cause.
    """
    own: list[Finding] = []
    consequences: list[Consequence] = []
    for finding in judgement.findings:
        cause = next((one for one in finding.because if told_by.get(one, expectation.id) != expectation.id), None)
        if cause is None:
            own.append(finding)
        else:
            consequences.append(_consequence(finding, cause, told_by[cause]))
    if not consequences:
        return judgement
    told = f"{_told(consequences)}; see {', '.join(dict.fromkeys(one.told_by for one in consequences))}"
    return replace(
        judgement,
        findings=tuple(own),
        consequences=tuple(consequences),
        summary=f"{_found(tuple(own))}; {told}" if own else told,
        blocked_by=judgement.blocked_by if own else judgement.blocked_by or consequences[0].told_by,
    )


def _consequence(finding: Finding, cause: str, told_by: str) -> Consequence:
    return Consequence(
        subject=finding.subject, severity=finding.severity, observed=finding.observed, of=cause, told_by=told_by
    )


def _told(consequences: list[Consequence]) -> str:
    first = consequences[0]
    more = f", and {len(consequences) - 1} more" if len(consequences) > 1 else ""
    return f"because of {first.of}: {first.subject}: {first.observed}{more}"


def count(declared: int, results: Iterable[Result]) -> Counts:
    """The number of selected expectations, reported results and results of each verdict."""
    verdicts = [result.verdict for result in results]
    return Counts(
        declared=declared,
        reported=len(verdicts),
        passed=verdicts.count(Verdict.PASSED),
        violated=verdicts.count(Verdict.VIOLATED),
        unknown=verdicts.count(Verdict.UNKNOWN),
        waived=verdicts.count(Verdict.WAIVED),
        skipped=verdicts.count(Verdict.SKIPPED),
    )


def _unknown(expectation: Expectation, text: str, findings: Findings, blocked_by: str | None = None) -> Judgement:
    # Findings made before the failure still count. At the worst severity they decide the verdict.
    found = passed_or_violated(findings)
    if found.severity is not None and found.severity.reaches(expectation.worst_severity):
        return found
    return replace(
        found,
        verdict=Verdict.UNKNOWN,
        severity=expectation.worst_severity,
        summary=f"{text}; found so far: {found.summary}" if found.findings else text,
        blocked_by=blocked_by,
    )


def _measured(measurements: tuple[Measurement, ...]) -> str:
    return ", ".join(_one_measured(measurement) for measurement in measurements[:2])


def _one_measured(measurement: Measurement) -> str:
    text = f"{measurement.name} {format_value(measurement.value, measurement.unit)}"
    if measurement.limit is None:
        return text
    return f"{text} (limit {format_value(measurement.limit, measurement.unit)})"


def _found(violations: tuple[Finding, ...]) -> str:
    first = violations[0]
    more = f", and {len(violations) - 1} more" if len(violations) > 1 else ""
    return f"{first.subject}: {first.observed}, expected {first.expected}{more}"
