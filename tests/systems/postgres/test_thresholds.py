"""Several limits on one subject, in one finding."""

from opscheck import Expectation
from opscheck.core.record import Finding
from opscheck.core.units import Duration, Graded, Severity
from opscheck.systems.postgres.thresholds import Value, finding_about, violated

MILD = Graded(steps=((Severity.P3, 5),))
GRAVE = Graded(steps=((Severity.P2, Duration(60)), (Severity.P1, Duration(3600))))


def combined(*values: Value) -> Finding:
    expectation = Expectation(id="one", check="acme.waits", severity=Severity.P3)
    return finding_about(expectation, violated(*values), subject="pid 7")


def test_values_within_their_limits_are_no_violation():
    assert violated(Value("waiting", 60, GRAVE, "s"), Value("waiters", 5, MILD), Value("locks", 10**9, None)) == []


def test_finding_has_each_violated_limit_the_worst_first():
    found = combined(Value("waiters", 6, MILD, text="6 (2 behind a change)"), Value("waiting", 3700, GRAVE, "s"))

    assert found.severity == Severity.P1
    assert found.observed == "waiting 1h1m, waiters 6 (2 behind a change)"
    assert found.expected == "waiting at most 1h, waiters at most 5"


def test_value_can_be_written_as_what_is_known_of_it():
    assert combined(Value("waiting", 120, GRAVE, "s", text="at most 2m")).observed == "waiting at most 2m"
