"""What becomes of a judgement: the verdict, who carries an outage, and the exit code."""

from dataclasses import dataclass
from typing import ClassVar

import pytest

from opscheck.core.exit_codes import ExitCode
from opscheck.core.expectation import Expectation
from opscheck.core.findings import Findings
from opscheck.core.observation import CouldNotObserve, Problem, ProblemKind
from opscheck.core.query import Query
from opscheck.core.record import Counts, Finding, Result, Verdict, WaiverNote
from opscheck.core.remedy import Remedy
from opscheck.core.units import Graded, Percentage, Severity
from opscheck.core.verdicts import (
    Gate,
    assertion_failed,
    carriers,
    check_broke,
    count,
    not_observed,
    outage,
    passed_or_violated,
    tellers,
)
from opscheck.testing import expect


class Use(Expectation, check="test.use"):
    """Not too much is used."""

    used: Graded[Percentage]


class Serving(Use, check="test.serving"):
    """It serves, and not too much is used."""

    fact_names: ClassVar = {"host": "where it is", "port": "its port"}


class Answering(Use, check="test.answering"):
    """It answers, and not too much is used."""

    def no_answer(self, problem: Problem) -> Severity | None:
        """Nothing there is the violation itself."""
        return self.ungraded_severity if problem.kind is ProblemKind.UNREACHABLE else None


USE = expect(Use, used={"P2": "75%", "P0": "90%"})
DOWN = Problem(kind=ProblemKind.UNREACHABLE, text="connection refused", advice="start it", target_down=True)
LATE = Problem(kind=ProblemKind.LATE, text="no answer in 5 s")


def missing(problem: Problem) -> CouldNotObserve:
    return CouldNotObserve(Query(target="database"), problem)


def result(verdict: Verdict, severity: Severity | None = None, **fields) -> Result:
    return Result(id="a", check="test.use", title="", verdict=verdict, severity=severity, **fields)


def finding(severity: Severity) -> Finding:
    return Finding(subject="a", severity=severity, observed="1", expected="0")


@pytest.mark.parametrize(
    ("observed", "severity", "limit", "margin"),
    [
        (75.0, None, 75.0, 0.0),
        (75.1, Severity.P2, 75.0, -0.1),
        (90.0, Severity.P2, 75.0, -15.0),
        (91.0, Severity.P0, 90.0, -1.0),
    ],
)
def test_value_has_the_severity_of_the_worst_violated_step(observed, severity, limit, margin):
    findings = Findings(USE)

    graded = findings.grade("used", observed, USE.used, subject="database", unit="%")

    assert severity == graded
    (measurement,) = findings.measurements
    assert limit == measurement.limit
    assert margin == pytest.approx(measurement.margin)
    assert ("%", "database") == (measurement.unit, measurement.subject)


def test_record_on_a_subject_has_its_subject_and_facts():
    findings = Findings(expect(Serving, used={"P2": "75%"}))
    here = findings.on("replica", about="replica 1", host="db2")

    here.grade("used", 80.0, USE.used, unit="%")
    here.add(observed="1", expected="0", facts={"port": 5432})
    here.add(observed="1", expected="0", subject="primary", facts={"host": "db1"})

    assert ["replica"] == [measurement.subject for measurement in findings.measurements]
    assert [
        ("replica", "replica 1", {"host": "db2"}),
        ("replica", "replica 1", {"host": "db2", "port": "5432"}),
        ("primary", "replica 1", {"host": "db1"}),
    ] == [(finding.subject, finding.about, finding.facts) for finding in findings.violations]
    assert "" == findings.finding(observed="1", expected="0").subject


def test_check_without_findings_passes_with_its_measurements():
    findings = Findings(USE)
    findings.grade("used", 23.7, USE.used, subject="database", unit="%")

    judgement = passed_or_violated(findings)

    assert Verdict.PASSED == judgement.verdict
    assert "used 23.7% (limit 75%)" == judgement.summary


def test_worst_finding_comes_first_and_gives_the_severity():
    findings = Findings(USE)
    findings.add(subject="a", observed="1", expected="0", severity=Severity.P3)
    findings.add(subject="b", observed="2", expected="0", severity=Severity.P1)

    judgement = passed_or_violated(findings)

    assert Severity.P1 == judgement.severity
    assert "b: 2, expected 0, and 1 more" == judgement.summary


def test_undeclared_fact_is_an_error_of_the_check():
    with pytest.raises(LookupError, match=r"Use\.fact_names does not declare pod"):
        Findings(USE).add(subject="a", observed="1", expected="0", facts={"pod": "api-1"})


def test_undeclared_remedy_is_an_error_of_the_check():
    with pytest.raises(LookupError, match=r"Use\.remedies does not declare Restart it"):
        Findings(USE).add(subject="a", observed="1", expected="0", remedies=[Remedy("Restart it", "reboot")])


def test_missing_answer_is_unknown_with_reason_and_advice():
    judgement = not_observed(USE, missing(DOWN), Findings(USE), carrier="expectation")

    assert Verdict.UNKNOWN == judgement.verdict
    assert Severity.P0 == judgement.severity
    assert "connection refused; start it" == judgement.summary


def test_refused_connection_violates_and_timeout_is_unknown():
    answering = expect(Answering, used={"P1": "75%"})

    refused = not_observed(answering, missing(DOWN), Findings(answering), carrier=None)
    late = not_observed(answering, missing(LATE), Findings(answering), carrier=None)

    assert (Verdict.VIOLATED, Severity.P1) == (refused.verdict, refused.severity)
    assert "connection refused" == refused.findings[0].observed
    assert Verdict.UNKNOWN == late.verdict


def test_blocked_expectation_names_the_one_that_reports_the_outage():
    judgement = not_observed(USE, missing(DOWN), Findings(USE), carrier="another")

    assert Verdict.UNKNOWN == judgement.verdict
    assert "another" == judgement.blocked_by
    assert "blocked by another: connection refused" == judgement.summary


def test_findings_before_a_missing_answer_are_kept():
    findings = Findings(USE)
    findings.grade("used", 99.0, USE.used, subject="database", unit="%")

    judgement = not_observed(USE, missing(LATE), findings, carrier=None)

    assert Verdict.VIOLATED == judgement.verdict


def test_lower_violation_does_not_hide_unknown():
    findings = Findings(USE)
    findings.grade("used", 80.0, USE.used, subject="replica", unit="%")

    judgement = not_observed(USE, missing(LATE), findings, carrier=None)

    assert (Verdict.UNKNOWN, Severity.P0) == (judgement.verdict, judgement.severity)
    assert "no answer in 5 s; found so far: replica: used 80%, expected <= 75%" == judgement.summary
    assert [Severity.P2] == [finding.severity for finding in judgement.findings]


def test_unknown_has_the_severity_of_the_worst_limit():
    use = expect(Use, used={"P2": "75%", "P0": "90%"}, severity="P3")

    assert Severity.P0 == not_observed(use, missing(LATE), Findings(use), carrier=None).severity


def test_outage_is_reported_by_the_first_violated_expectation():
    use = expect(Use, id="use", used={"P1": "75%"})
    answering = expect(Answering, id="answering", used={"P1": "75%"})

    assert {"database": "answering"} == carriers([(use, "database", DOWN), (answering, "database", DOWN)])
    assert {"database": "use"} == carriers([(use, "database", LATE), (answering, "database", LATE)])


@dataclass(frozen=True)
class InPart(Query[str]):
    part: str = ""

    @property
    def scope(self):
        return self.part or None


def test_denied_scope_blocks_only_its_part_of_the_target():
    denied = Problem(kind=ProblemKind.DENIED, text="may not list pods")

    assert "cluster/shop" == outage(InPart("cluster", "shop"), denied)
    assert outage(InPart("cluster"), denied) is None
    assert outage(InPart("cluster", "shop"), LATE) is None
    assert "cluster" == outage(InPart("cluster", "shop"), DOWN)


def test_expectation_may_not_apply_when_the_target_lacks_the_api():
    class Optional(Use):
        def does_not_apply(self, problem):
            return problem.kind is ProblemKind.ABSENT

    absent = Problem(kind=ProblemKind.ABSENT, text="metrics are not served")
    optional = expect(Optional, used={"P1": "75%"})

    assert Verdict.SKIPPED == not_observed(optional, missing(absent), Findings(optional), None).verdict
    found = Findings(optional)
    found.grade("used", 80.0, optional.used, subject="database", unit="%")
    assert Verdict.VIOLATED == not_observed(optional, missing(absent), found, None).verdict
    assert Verdict.UNKNOWN == not_observed(USE, missing(absent), Findings(USE), None).verdict


def test_plain_assert_is_a_finding_that_expects_the_claim():
    findings = Findings(USE)

    judgement = assertion_failed(USE, "assert 12 <= 5", "The queue drains.", findings)

    assert Verdict.VIOLATED == judgement.verdict
    assert ("assert 12 <= 5", "The queue drains.") == (judgement.findings[0].observed, judgement.findings[0].expected)


def test_check_error_is_unknown():
    judgement = check_broke(USE, KeyError("pods"), "test_pods.py:12", Findings(USE))

    assert Verdict.UNKNOWN == judgement.verdict
    assert "check error: KeyError: 'pods' (test_pods.py:12)" == judgement.summary


WAIVER = WaiverNote(reason="CHG-1", owner="maria", expires="2999-12-31")
P0, P1, P3 = Severity.P0, Severity.P1, Severity.P3


@pytest.mark.parametrize(
    ("gate", "results", "declared", "code"),
    [
        ("P3", [result(Verdict.PASSED)], 1, ExitCode.OPEN),
        ("P3", [result(Verdict.VIOLATED, P3)], 1, ExitCode.CLOSED),
        ("P1", [result(Verdict.VIOLATED, P3)], 1, ExitCode.OPEN),
        ("P1", [result(Verdict.VIOLATED, P1)], 1, ExitCode.CLOSED),
        ("P1", [result(Verdict.UNKNOWN, P0)], 1, ExitCode.UNKNOWN),
        ("P1", [result(Verdict.UNKNOWN, P3)], 1, ExitCode.OPEN),
        ("P3", [result(Verdict.UNKNOWN, P0), result(Verdict.VIOLATED, P3)], 2, ExitCode.CLOSED),
        ("P3", [result(Verdict.WAIVED, P0)], 1, ExitCode.OPEN),
        ("P3", [result(Verdict.UNKNOWN, P0, findings=(finding(P3),))], 1, ExitCode.CLOSED),
        ("P1", [result(Verdict.UNKNOWN, P0, findings=(finding(P3),))], 1, ExitCode.UNKNOWN),
        ("P3", [result(Verdict.UNKNOWN, P0, findings=(finding(P3),), waiver=WAIVER)], 1, ExitCode.UNKNOWN),
        ("P3", [result(Verdict.SKIPPED)], 1, ExitCode.UNTRUSTED),
        ("P3", [result(Verdict.SKIPPED), result(Verdict.PASSED)], 2, ExitCode.OPEN),
        ("P3", [], 0, ExitCode.UNTRUSTED),
        ("P3", [result(Verdict.PASSED)], 2, ExitCode.UNTRUSTED),
        ("P3", [result(Verdict.VIOLATED, P0)], 2, ExitCode.CLOSED),
        ("never", [result(Verdict.VIOLATED, P0)], 1, ExitCode.OPEN),
        ("never", [result(Verdict.UNKNOWN, P0)], 1, ExitCode.OPEN),
        ("never", [], 0, ExitCode.UNTRUSTED),
        ("never", [result(Verdict.VIOLATED, P0)], 2, ExitCode.UNTRUSTED),
    ],
)
def test_the_gate_decides_the_exit_code(gate, results, declared, code):
    counts = count(declared, results)

    assert code == Gate.parse(gate).exit_code(results, counts)


def test_counts_hold_every_verdict():
    results = [result(verdict) for verdict in Verdict]

    assert Counts(declared=5, reported=5, passed=1, violated=1, unknown=1, waived=1, skipped=1) == count(5, results)


@pytest.mark.parametrize("first", ["pods", "workloads"])
def test_finding_caused_by_its_own_object_is_left_to_another(first):
    api = {"subject": "api", "severity": Severity.P1, "observed": "down", "expected": "up", "about": "deployment/api"}
    found = {"pods": Finding(**api, because=("deployment/api",)), "workloads": Finding(**api)}
    ordered = sorted(found.items(), key=lambda item: item[0] != first)

    assert {"deployment/api": "workloads"} == tellers(ordered)
    assert {"deployment/api": "pods"} == tellers([("pods", found["pods"])])
