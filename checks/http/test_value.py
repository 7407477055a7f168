"""Numbers that an HTTP API tells of itself."""

from opscheck import Findings, Observe
from opscheck.core.observation import CouldNotObserve
from opscheck.systems.http.expectations import HttpValue
from opscheck.systems.http.readings import Mismatch, number_in, unjudged


def test_the_number_stays_within_its_limits(expectation: HttpValue, observe: Observe, findings: Findings) -> None:
    """
    A number that the API tells of itself stays within its limits.

    What it counts piles up, or has stopped, while this is false: workflows, waiting jobs, errors. When the API does
    not tell the number any more, nobody would notice either.
    """
    request = expectation.request()
    answer = observe(request)
    if (problem := unjudged(expectation, answer)) is not None:
        raise CouldNotObserve(request, problem)
    number = number_in(answer, expectation.value)
    if isinstance(number, Mismatch):
        findings.add(
            subject=expectation.subject,
            observed=number.observed,
            expected=number.expected,
            evidence=number.evidence,
            facts={"status": str(answer.status)},
        )
        return
    for limit in (expectation.at_most, expectation.at_least):
        if limit is not None:
            findings.grade(expectation.value, number, limit, subject=expectation.subject, unit=expectation.unit)
