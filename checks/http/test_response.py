"""The answers of an HTTP API."""

from opscheck import Findings, Observe
from opscheck.core.observation import CouldNotObserve
from opscheck.systems.http.expectations import HttpResponse
from opscheck.systems.http.readings import grade_latency, limited_numbers, mismatches, unjudged


def test_the_api_answers_as_it_should(expectation: HttpResponse, observe: Observe, findings: Findings) -> None:
    """
    The API answers as it should, and in time.

    Whoever uses it gets errors, wrong answers, or none while this is false. A login page or an error page can have
    status 200 too, so that only headers and body tell whether it was the API that answered.
    """
    request = expectation.request()
    answer = observe(request)
    for mismatch in mismatches(expectation, answer):
        findings.add(
            subject=expectation.subject,
            observed=mismatch.observed,
            expected=mismatch.expected,
            evidence=mismatch.evidence,
            facts={"status": str(answer.status)},
        )
    grade_latency(expectation, answer.samples, findings)
    findings.measure("status", answer.status, subject=expectation.subject)
    for number in limited_numbers(expectation, answer):
        findings.measure(
            number.name,
            number.value,
            unit=number.unit,
            limit=number.limit,
            margin=number.margin,
            subject=expectation.subject,
        )
    if (problem := unjudged(expectation, answer)) is not None:
        raise CouldNotObserve(request, problem)
