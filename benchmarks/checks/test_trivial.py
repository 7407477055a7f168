"""A check without queries: the remaining time is the cost of the engine."""

from opscheck import Count, Expectation, Findings, Graded


class Trivial(Expectation, check="bench.trivial"):
    """A number that is known is small enough."""

    most: Graded[Count]
    """How large it may be."""


def test_number(expectation: Trivial, findings: Findings) -> None:
    """
    Nothing is larger than its limit.

    Judging this costs next to nothing: one comparison and one measurement.
    """
    findings.grade("number", 0, expectation.most, subject="nothing")
