"""How long ago a drill passed, by what is known."""

from datetime import timedelta

import pytest

from checks.recovery.test_drilled import test_a_drill_has_passed_lately as check
from opscheck import Severity
from opscheck.core.observation import CouldNotObserve, Sample
from opscheck.core.record import Advice
from opscheck.systems.recovery.drill_record import Drill
from opscheck.systems.recovery.drilled import FAILED, OVERDUE, Drilled
from opscheck.testing import NOON, expect, judge
from tests.checks.backup.stores import typed

DAY = timedelta(days=1)


def expected(**fields):
    return expect(Drilled, drill="restore", **{"age": {"P2": "30d", "P1": "90d"}, **fields})


def advice(remedy):
    return Advice(summary=remedy.summary, commands=remedy.commands)


def drill(days, *reasons, **fields):
    return Drill(drill="restore", key="db.dump", began_at=NOON - days * DAY, reasons=reasons, **fields)


def judged(*remembered, recorded=None, expectation=None):
    expectation = expectation or expected()
    samples = [Sample(taken_at=one.began_at, answer=one) for one in remembered]
    return judge(check, expectation, {expectation.last: recorded}, earlier={expectation.last: samples})


def test_a_drill_that_passed_lately_is_enough():
    found = judged(drill(100), drill(29))

    assert ([], 29 * 86400) == (found.violations, found.measurements[0].value)


@pytest.mark.parametrize(("days", "severity"), [(31, Severity.P2), (91, Severity.P1)])
def test_one_that_passed_too_long_ago_is_reported_by_its_age(days, severity):
    (finding,) = judged(drill(days)).violations

    assert (severity, NOON - days * DAY) == (finding.severity, finding.since)
    assert advice(OVERDUE) == finding.remediation


def test_one_that_failed_after_one_that_passed_is_reported():
    (finding,) = judged(drill(20), drill(3, "restore: it is cut off")).violations

    assert "the last drill failed, 3d ago" == finding.observed
    assert ("db.dump: restore: it is cut off",) == finding.evidence
    assert advice(FAILED) == finding.remediation


def test_one_that_passed_after_one_that_failed_is_well():
    assert [] == judged(drill(20, "restore: it is cut off"), drill(3)).violations


def test_where_none_has_passed_that_is_reported():
    (finding,) = judged(drill(3, "restore: it is cut off")).violations

    assert "the last drill failed, 3d ago, and no drill has passed" == finding.observed


def test_no_drill_is_a_violation_that_says_how_to_do_one():
    (finding,) = judged().violations

    assert ("no drill is known", "one that passed, at most 30d ago") == (finding.observed, finding.expected)
    (command,) = typed(expected(), finding)
    assert command.startswith("opscheck run -p POLICY --only restore --drill --state FILE")
    assert advice(OVERDUE) == finding.remediation


def test_record_is_as_good_as_the_state_file_and_knows_when_one_passed_before():
    assert [] == judged(recorded=drill(3)).violations

    found = judged(recorded=drill(3, "late", passed_at=NOON - 40 * DAY)).violations
    assert ["since one passed 40d", "the last drill failed, 3d ago"] == [one.observed for one in found]


def test_a_drill_in_the_future_is_a_violation_and_no_young_one():
    (finding,) = judged(drill(-1)).violations

    assert "which is in the future" in finding.observed
    assert advice(OVERDUE) == finding.remediation


def test_a_drill_that_is_done_mends_one_of_the_future():
    assert [] == judged(drill(-1000), drill(3)).violations


def test_one_that_passed_in_the_future_was_none():
    """A clock that was wrong once must not keep this green for years."""
    wrong = drill(-1000)

    found = judged(recorded=drill(40, passed_at=wrong.began_at)).violations
    assert ["since one passed 40d"] == [one.observed for one in found]

    (finding,) = judged(recorded=drill(3, "late", passed_at=wrong.began_at)).violations
    assert "the last drill failed, 3d ago, and no drill has passed" == finding.observed


def test_a_clock_that_is_a_little_ahead_is_not_a_future():
    assert [] == judged(drill(0), drill(-0.002)).violations


def test_without_state_file_and_record_nothing_can_be_known():
    with pytest.raises(CouldNotObserve) as unknown:
        judge(check, expected(), {expected().last: None})
    assert "no `record` is named" in unknown.value.problem.text
    assert "--state FILE" in unknown.value.problem.advice


def test_record_that_is_not_there_next_to_no_state_file_is_unknown_too():
    expectation = expected(record="drill.json")
    with pytest.raises(CouldNotObserve, match=r"drill\.json is not there"):
        judge(check, expectation, {expectation.last: None})


def test_a_record_is_judged_where_no_state_file_is_kept():
    expectation = expected(record="drill.json")

    assert [] == judge(check, expectation, {expectation.last: drill(3)}).violations
