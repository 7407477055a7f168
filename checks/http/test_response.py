"""The answers of an HTTP API."""

from math import inf

from opscheck import Findings, Observe
from opscheck.expectations.http import HttpResponse
from opscheck.queries.http import Sample
from opscheck.queries.observation import CouldNotObserve
from opscheck.readings.http import described, limited_numbers, mismatches, sample_at, unjudged
from opscheck.units import format_duration


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


def grade_latency(expectation: HttpResponse, samples: tuple[Sample, ...], findings: Findings) -> None:
    """Hold the sample that counts to the limit. One without an answer is over every limit."""
    sample = sample_at(samples, expectation.latency_of)
    detail = described(samples, expectation.latency_of)
    limit = expectation.latency
    if sample.status is not None or limit is None:
        findings.grade("latency", sample.seconds, limit, unit="s", subject=expectation.subject, detail=detail)
        return
    findings.measure("latency", sample.seconds, unit="s", limit=limit.limit(inf), subject=expectation.subject)
    findings.add(
        subject=expectation.subject,
        observed=f"latency: no answer after {format_duration(sample.seconds)} ({detail})",
        expected=f"{limit.words} {limit.limit(inf)}",
        severity=limit.severity(inf),
    )
