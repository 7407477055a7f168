"""Several limits on one subject in one finding, and many subjects beyond one limit."""

from hypothesis import given
from hypothesis import strategies as st

from opscheck import Expectation
from opscheck.core.findings import Findings
from opscheck.core.record import Finding
from opscheck.core.units import Duration, Graded, Severity
from opscheck.systems.postgres.thresholds import MOST, Value, add_violated, graded, report_worst, violated

MILD = Graded(steps=((Severity.P3, 5),))
GRAVE = Graded(steps=((Severity.P2, Duration(60)), (Severity.P1, Duration(3600))))


def combined(*values: Value) -> Finding:
    findings = Findings(Expectation(id="one", check="acme.waits", severity=Severity.P3)).on("pid 7")
    add_violated(findings, violated(*values))
    return findings.violations[0]


def test_values_within_limits_pass():
    assert violated(Value("waiting", 60, GRAVE, "s"), Value("waiters", 5, MILD), Value("locks", 10**9, None)) == []


def test_finding_has_each_violated_limit_worst_first():
    found = combined(Value("waiters", 6, MILD, text="6 (2 behind a change)"), Value("waiting", 3700, GRAVE, "s"))

    assert found.severity == Severity.P1
    assert found.observed == "waiting 1h1m, waiters 6 (2 behind a change)"
    assert found.expected == "waiting <= 1h, waiters <= 5"


def test_value_can_have_its_own_text():
    assert combined(Value("waiting", 120, GRAVE, "s", text="at most 2m")).observed == "waiting at most 2m"


LIMIT = Graded(steps=((Severity.P3, 10), (Severity.P2, 100)))


def reported(observed: list[float], total: int) -> Findings:
    findings = Findings(Expectation(id="one", check="acme.waits", severity=Severity.P3))
    cases = [graded(findings, "n", one, LIMIT, subject=str(number)) for number, one in enumerate(observed)]
    report_worst(findings.on("database shop"), cases, total=total, what="tables")
    return findings


def measured(findings: Findings) -> list[float]:
    return [one.value for one in findings.measurements]


def test_worst_number_is_measured_within_the_limit():
    found = reported([9, 8, 7], 3)

    assert measured(found) == [9]
    assert found.violations == []


def test_only_violations_are_reported_if_any():
    found = reported([12, 11, 7], 3)

    assert measured(found) == [12, 11]
    assert [one.subject for one in found.violations] == ["0", "1"]


def test_empty_list_of_cases_reports_nothing():
    found = reported([], 0)

    assert (found.measurements, found.violations) == ([], [])


def test_further_violations_are_counted_at_their_severity():
    *first, rest = reported([200.0] * (MOST + 1) + [50.0] * 2 + [1.0], MOST + 4).violations

    assert len(first) == MOST
    assert (rest.subject, rest.observed, rest.expected) == ("database shop", "3 more tables", "none")
    assert rest.severity == Severity.P2


def test_further_count_is_a_minimum_if_all_are_violations():
    assert reported([50.0] * (MOST + 5), 1000).violations[-1].observed == "at least 980 more tables"


@given(st.lists(st.floats(0, 1000)), st.integers(0, 10_000))
def test_every_violation_is_counted(observed, more):
    observed = sorted(observed, reverse=True)
    wrong = [one for one in observed if one > 10]
    found = reported(observed, len(observed) + more).violations

    assert bool(wrong) == bool(found)
    assert len(found) <= MOST + 1
