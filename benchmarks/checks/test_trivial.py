"""A check that asks nothing, so that what is left is the engine's own cost."""

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
