"""Numbers that an HTTP API reports about itself."""

from opscheck import Findings, Observe
from opscheck.systems.http.answer import (
    UnexpectedBodyError,
    decode,
    judge_statuses,
    number_at,
    require_complete,
    status_is,
)
from opscheck.systems.http.value import READ_NUMBER, HttpValue


def test_the_number_stays_within_its_limits(expectation: HttpValue, observe: Observe, findings: Findings) -> None:
    """
    A number in the JSON body stays within its limits.

    Outside them, jobs, errors or workflows pile up or have stopped. A number that the API no longer reports is a
    violation too.
    """
    answer = observe(expectation.request())
    require_complete(expectation, answer, reads_body=True)
    here = findings.on(expectation.subject, status=answer.status)
    if not status_is(answer.status, None):
        judge_statuses(answer, None, READ_NUMBER, here)
        return
    try:
        number = number_at(decode(answer), expectation.value)
    except UnexpectedBodyError as error:
        here.add(observed=error.observed, expected=error.expected, remedies=(READ_NUMBER,))
        return
    for limit in (expectation.at_most, expectation.at_least):
        if limit is not None:
            here.grade(expectation.value, number, limit, unit=expectation.unit, remedies=(READ_NUMBER,))
