"""Several limits on one subject, told of once."""

from opscheck.core.units import Duration, Graded, Severity
from opscheck.systems.postgres.readings.breaches import Held, breach

MILD = Graded(steps=((Severity.P3, 5),))
GRAVE = Graded(steps=((Severity.P2, Duration(60)), (Severity.P1, Duration(3600))))


def test_what_keeps_its_limits_is_no_breach():
    assert breach([Held("waiting", 60, GRAVE, "s"), Held("waiters", 5, MILD), Held("locks", 10**9, None)]) is None


def test_every_limit_that_is_broken_is_told_the_worst_first():
    found = breach([Held("waiters", 6, MILD, detail="2 behind a change"), Held("waiting", 3700, GRAVE, "s")])

    assert Severity.P1 == found.severity
    assert "waiting 1h1m, waiters 6 (2 behind a change)" == found.observed
    assert "waiting at most 1h, waiters at most 5" == found.expected


def test_a_number_may_be_said_as_what_it_is_known_to_be():
    assert "waiting at most 2m" == breach([Held("waiting", 120, GRAVE, "s", said="at most 2m")]).observed
