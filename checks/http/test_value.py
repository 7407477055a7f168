"""Numbers that an HTTP API tells of itself."""

from opscheck import Findings, Observe
from opscheck.core.observation import CouldNotObserve
from opscheck.core.record import Finding
from opscheck.systems.http.answer import (
    UnexpectedBodyError,
    decode,
    incomplete,
    number_at,
    status_is,
    unexpected_statuses,
)
from opscheck.systems.http.request import HttpAnswer
from opscheck.systems.http.value import READ_NUMBER, HttpValue


def test_the_number_stays_within_its_limits(expectation: HttpValue, observe: Observe, findings: Findings) -> None:
    """
    A number that the API tells of itself stays within its limits.

    What it counts piles up, or has stopped, while this is false: workflows, waiting jobs, errors. When the API does
    not tell the number any more, nobody would notice either.
    """
    request = expectation.request()
    answer = observe(request)
    if (problem := incomplete(expectation, answer, reads_body=True)) is not None:
        raise CouldNotObserve(request, problem)
    number = _number(expectation, answer)
    if isinstance(number, Finding):
        findings.report(number)
        return
    for limit in (expectation.at_most, expectation.at_least):
        if limit is not None:
            findings.grade(
                expectation.value,
                number,
                limit,
                subject=expectation.subject,
                unit=expectation.unit,
                remedies=(READ_NUMBER,),
            )


def _number(expectation: HttpValue, answer: HttpAnswer) -> float | Finding:
    """The number in the answer, or the finding that it has none."""
    if not status_is(answer.status, None):
        return next(unexpected_statuses(expectation, answer, None, READ_NUMBER))
    try:
        return number_at(decode(answer), expectation.value)
    except UnexpectedBodyError as error:
        return expectation.finding(
            subject=expectation.subject,
            observed=error.observed,
            expected=error.expected,
            remedies=(READ_NUMBER,),
            facts={"status": answer.status},
        )
