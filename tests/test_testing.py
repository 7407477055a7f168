"""The test kit for authors of checks."""

from typing import ClassVar

import pytest

from opscheck import Expectation, Remedy
from opscheck.testing import expect, judge

CLOSE = Remedy("Close the door", "door close {{ door }}")


class Doors(Expectation, check="hall.doors"):
    """Doors are closed."""

    remedies: ClassVar = (CLOSE,)
    fact_names: ClassVar = {"door": "the door's name"}


@pytest.mark.parametrize("facts", [{}, {"door": "north"}])
def test_command_without_its_facts_is_an_error_of_the_check(facts):
    def check(expectation, observe, findings):
        findings.report(
            expectation.finding(subject="hall", observed="open", expected="closed", remedies=[CLOSE], facts=facts)
        )

    if facts:
        assert 1 == len(judge(check, expect(Doors, severity="P2"), {}).violations)
    else:
        with pytest.raises(LookupError, match="hall: missing facts of its remedies: door"):
            judge(check, expect(Doors, severity="P2"), {})
