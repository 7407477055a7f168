"""The responses of an HTTP API."""

import math
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from opscheck import Findings, Observe
from opscheck.core.json_paths import find
from opscheck.core.operators import OneOperator
from opscheck.core.units import format_bytes, format_duration
from opscheck.systems.http.answer import (
    UnexpectedBodyError,
    decode,
    excerpt,
    is_number,
    judge_statuses,
    number_at,
    require_complete,
    shown,
    status_is,
)
from opscheck.systems.http.request import HttpAnswer, Sample
from opscheck.systems.http.response import READ_ANSWER, HttpResponse, JsonExpectation, LatencyOf, TextExpectation

_WORDS = {"not_equals": "is not", "equals": "is", "one_of": "is one of", "at_least": "is at least"}


def test_the_api_answers_as_it_should(expectation: HttpResponse, observe: Observe, findings: Findings) -> None:
    """
    The API answers with the expected status, headers and body, within the latency limit.

    Otherwise its clients get errors, wrong responses or none. A login page or an error page can have status 200 too, so
    headers and body show that the API itself responded.
    """
    answer = observe(expectation.request())
    here = findings.on(expectation.subject, status=answer.status)
    judge_statuses(answer, expectation.status, READ_ANSWER, here)
    if status_is(answer.status, expectation.status):
        for observed, expected in _mismatches(expectation, answer):
            here.add(observed=observed, expected=expected, remedies=(READ_ANSWER,))
    _judge_latency(expectation, answer.samples, here)
    here.measure("status", answer.status)
    _measure_numbers(expectation, answer, here)
    require_complete(expectation, answer, reads_body=bool(expectation.json_values or expectation.body))


def _mismatches(expectation: HttpResponse, answer: HttpAnswer) -> Iterator[tuple[str, str]]:
    """Observed and expected of every mismatch except statuses and latency."""
    host = urlsplit(answer.final_url).hostname
    if expectation.final_host is not None and host != expectation.final_host:
        yield f"redirected to {answer.final_url}", f"a response from {expectation.final_host}"
    yield from _unexpected_headers(answer, expectation.headers)
    limit = expectation.max_body
    if limit is not None and (answer.truncated or answer.size > limit):
        size = f"more than {format_bytes(answer.size)}" if answer.truncated else format_bytes(answer.size)
        yield f"body size {size}", f"<= {format_bytes(limit)}"
    if answer.truncated:
        return
    if (rule := expectation.body) is not None:
        text = answer.body.strip() if rule.operator == "equals" else answer.body
        if not _text_fits(text, rule):
            yield f"body is {excerpt(answer.body) or 'empty'}", f"body {_expected(rule)}"
    if expectation.json_values:
        yield from _unexpected_values(answer, expectation.json_values)


def _unexpected_headers(answer: HttpAnswer, wanted: Mapping[str, TextExpectation]) -> Iterator[tuple[str, str]]:
    for name, rule in wanted.items():
        value = answer.headers.get(name.lower())
        if value is None:
            yield f"header {name} is missing", f"header {name} {_expected(rule)}"
        elif not _text_fits(value, rule):
            yield f"header {name} is {shown(value)}", f"header {name} {_expected(rule)}"


def _text_fits(text: str, rule: OneOperator) -> bool:
    match rule.operator:
        case "equals":
            return bool(text == rule.operand)
        case "contains":
            return bool(rule.operand in text)
        case _:
            return re.search(rule.operand, text) is not None


def _unexpected_values(answer: HttpAnswer, rules: tuple[JsonExpectation, ...]) -> Iterator[tuple[str, str]]:
    try:
        document = decode(answer)
    except UnexpectedBodyError as error:
        yield error.observed, error.expected
        return
    for rule in rules:
        observed = unexpected_value(document, rule)
        if observed is not None:
            yield observed, f"{rule.path} {_expected(rule)}"


def unexpected_value(document: Any, rule: JsonExpectation) -> str | None:
    """The value at the path of `rule` in a JSON document, as text; None when it is as expected."""
    try:
        value = find(document, rule.path)
    except ValueError as error:
        return f"{rule.path} cannot be read: {error}"
    if rule.operator == "exists":
        return None if (value is not None) is rule.operand else f"{rule.path} is {shown(value)}"
    if value is None:
        return f"path not found: {rule.path}"
    fault = _fault(value, rule)
    return None if fault is None else f"{rule.path} is {shown(value)}{fault}"


def _fault(value: Any, rule: JsonExpectation) -> str | None:
    """A remark about an unexpected `value`, maybe empty; None for an expected one."""
    match rule.operator:
        case "equals" | "not_equals":
            fits = same(value, rule.operand) is (rule.operator == "equals")
        case "one_of":
            fits = any(same(value, option) for option in rule.operand)
        case "at_least" | "at_most":
            if not is_number(value):
                return ", not a number"
            fits = value >= rule.operand if rule.operator == "at_least" else value <= rule.operand
        case "contains" if isinstance(value, list):
            fits = any(same(item, rule.operand) for item in value)
        case _:
            if not isinstance(value, str):
                return ", not a string"
            fits = _text_fits(value, rule) if isinstance(rule.operand, str) else False
    return None if fits else ""


def same(one: Any, other: Any) -> bool:
    """True when two JSON values are equal and of one type: 1 is 1.0, but neither true nor "1"."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def _expected(rule: OneOperator) -> str:
    if rule.operator == "exists":
        return "exists" if rule.operand else "does not exist"
    return f"{_WORDS.get(rule.operator, rule.operator.replace('_', ' '))} {shown(rule.operand)}"


def _judge_latency(expectation: HttpResponse, samples: tuple[Sample, ...], findings: Findings) -> None:
    """Compare the selected sample with the limit. One without a response is over every limit."""
    sample = sample_at(samples, expectation.latency_of)
    detail = described(samples, expectation.latency_of)
    limit, remedies = expectation.latency, (READ_ANSWER,)
    if sample.status is not None or limit is None:
        findings.grade("latency", sample.seconds, limit, unit="s", detail=detail, remedies=remedies)
        return
    findings.measure("latency", sample.seconds, unit="s", limit=limit.limit(math.inf))
    findings.add(
        observed=f"latency: no response after {format_duration(sample.seconds)} ({detail})",
        expected=f"{limit.comparator} {limit.limit(math.inf)}",
        severity=limit.severity(math.inf),
        remedies=remedies,
    )


def sample_at(samples: tuple[Sample, ...], which: LatencyOf) -> Sample:
    """The sample of that rank. One without a response is slower than any other."""
    ordered = sorted(samples, key=lambda sample: (sample.status is None, sample.seconds))
    match which:
        case LatencyOf.FIRST:
            return samples[0]
        case LatencyOf.MEDIAN:
            return ordered[len(ordered) // 2]
        case LatencyOf.P95:
            return ordered[math.ceil(0.95 * len(ordered)) - 1]
        case LatencyOf.MAX:
            return ordered[-1]


def described(samples: tuple[Sample, ...], which: LatencyOf) -> str:
    """The samples of a latency: their number, and whether they include opening a connection."""
    cold = sum(sample.cold for sample in samples)
    if len(samples) == 1:
        return "on a new connection" if cold else "on an open connection"
    slowest = max(sample.seconds for sample in samples)
    return f"{which} of {len(samples)}, {cold} on a new connection, slowest {format_duration(slowest)}"


def _measure_numbers(expectation: HttpResponse, answer: HttpAnswer, findings: Findings) -> None:
    """Record every other number that has a limit."""
    limit = expectation.max_body
    if limit is not None:
        findings.measure("body", answer.size, unit=limit.unit, limit=limit, margin=limit - answer.size)
    rules = [rule for rule in expectation.json_values if rule.operator in {"at_least", "at_most"}]
    try:
        document = decode(answer) if rules else None
    except UnexpectedBodyError:
        return
    for rule in rules:
        with suppress(UnexpectedBodyError):
            number = number_at(document, rule.path)
            margin = rule.operand - number if rule.operator == "at_most" else number - rule.operand
            findings.measure(rule.path, number, limit=rule.operand, margin=margin)
