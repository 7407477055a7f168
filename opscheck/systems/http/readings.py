"""What an HTTP answer says about an expectation: pure functions from answers to mismatches and measurements."""

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import msgspec

from opscheck.core.findings import Findings
from opscheck.core.json_paths import find
from opscheck.core.observation import Problem, ProblemKind
from opscheck.core.operators import OneOperator
from opscheck.core.units import format_bytes, format_duration
from opscheck.systems.http.expectations import (
    HttpResponse,
    HttpValue,
    JsonExpectation,
    LatencyOf,
    TextExpectation,
)
from opscheck.systems.http.queries import HttpAnswer, Sample

_EXCERPT = 200
_NICETIES = {"not_equals": "is not", "equals": "is", "one_of": "is one of", "at_least": "is at least"}
_WORDS = {name: _NICETIES.get(name, name.replace("_", " ")) for name in JsonExpectation.model_fields}


@dataclass(frozen=True)
class Mismatch:
    """One thing that is not as expected."""

    observed: str
    expected: str
    evidence: tuple[str, ...] = ()


class NoJsonError(Exception):
    """A body that is no JSON; the text says what it is instead."""


def mismatches(expectation: HttpResponse, answer: HttpAnswer) -> Iterator[Mismatch]:
    """All that is not as expected, but for the latency. An answer of the wrong status is not looked into."""
    yield from unexpected_statuses(answer, expectation.status)
    if not _is_fine(answer.status, expectation.status):
        return
    yield from _unexpected_host(answer, expectation.final_host)
    yield from unexpected_headers(answer, expectation.headers)
    yield from _unexpected_size(answer, expectation.max_body)
    if answer.truncated:
        return
    if expectation.body is not None:
        yield from _unexpected_text(answer, expectation.body)
    if expectation.json_values:
        yield from _unexpected_json(answer, expectation.json_values)


def unjudged(expectation: HttpResponse | HttpValue, answer: HttpAnswer) -> Problem | None:
    """What could not be seen of the answer, so that it proves nothing; None when all of it was."""
    asked = expectation.request().samples
    if len(answer.samples) < asked:
        return Problem(
            kind=ProblemKind.LATE,
            text=f"time was over after {len(answer.samples)} of {asked} samples",
            advice="raise `timeout`, or ask for fewer samples",
        )
    reads_body = isinstance(expectation, HttpValue) or expectation.json_values or expectation.body
    if answer.truncated and reads_body and expectation.max_body is None:
        return Problem(
            kind=ProblemKind.UNSUPPLIED,
            text=f"the body is larger than the {format_bytes(answer.size)} of it that were read",
            advice="set `max_body` to how large it may be",
        )
    return None


def unexpected_statuses(answer: HttpAnswer, wanted: tuple[int, ...] | None) -> Iterator[Mismatch]:
    """Each status, or missing answer, that one of the samples met and that is not expected."""
    expected = "status " + (" or ".join(map(str, wanted)) if wanted else "2xx")
    total = len(answer.samples)
    for seen, times in _outcomes(answer).items():
        if isinstance(seen, int) and _is_fine(seen, wanted):
            continue
        text = f"status {seen}{_pointing(answer)}" if isinstance(seen, int) else f"no answer: {seen}"
        share = f" in {times} of {total} samples" if total > 1 else ""
        evidence = _excerpt_of(answer) if seen == answer.status else ()
        yield Mismatch(f"{text}{share}", expected, evidence)


def _outcomes(answer: HttpAnswer) -> dict[int | str, int]:
    outcomes: dict[int | str, int] = {}
    for sample in answer.samples:
        seen = sample.error if sample.status is None else sample.status
        outcomes[seen] = outcomes.get(seen, 0) + 1
    return outcomes


def _is_fine(status: int, wanted: tuple[int, ...] | None) -> bool:
    return status in wanted if wanted else 200 <= status < 300  # noqa: PLR2004 - what 2xx means


def _pointing(answer: HttpAnswer) -> str:
    location = answer.headers.get("location")
    return f", to {location}" if location and 300 <= answer.status < 400 else ""  # noqa: PLR2004 - what 3xx means


def is_success(answer: HttpAnswer) -> bool:
    """True for any 2xx."""
    return _is_fine(answer.status, None)


def _excerpt_of(answer: HttpAnswer) -> tuple[str, ...]:
    return (f"body: {excerpt(answer.body)}",) if answer.body.strip() else ()


def excerpt(text: str) -> str:
    """The first characters of a text, on one line."""
    line = " ".join(text[: 2 * _EXCERPT].split())
    return line if len(line) <= _EXCERPT else line[:_EXCERPT] + "…"


def _unexpected_host(answer: HttpAnswer, wanted: str | None) -> Iterator[Mismatch]:
    host = urlsplit(answer.final_url).hostname
    if wanted is not None and host != wanted:
        yield Mismatch(f"redirected to {answer.final_url}", f"an answer from {wanted}")


def _unexpected_size(answer: HttpAnswer, limit: float | None) -> Iterator[Mismatch]:
    if limit is not None and (answer.truncated or answer.size > limit):
        size = f"more than {format_bytes(answer.size)}" if answer.truncated else format_bytes(answer.size)
        yield Mismatch(f"body of {size}", f"at most {format_bytes(limit)}")


def unexpected_headers(answer: HttpAnswer, wanted: Mapping[str, TextExpectation]) -> Iterator[Mismatch]:
    """Each header that is missing or different."""
    for name, rule in wanted.items():
        value = answer.headers.get(name.lower())
        expected = f"header {name} {_expected(rule)}"
        if value is None:
            yield Mismatch(f"no header {name}", expected)
        elif not _text_fits(value, rule):
            yield Mismatch(f"header {name} is {shown(value)}", expected)


def _unexpected_text(answer: HttpAnswer, rule: TextExpectation) -> Iterator[Mismatch]:
    """The body, when it is not the text that is expected."""
    text = answer.body.strip() if rule.operator == "equals" else answer.body
    if not _text_fits(text, rule):
        yield Mismatch(f"the body is {excerpt(answer.body) or 'empty'}", f"body {_expected(rule)}")


def _text_fits(text: str, rule: OneOperator) -> bool:
    match rule.operator:
        case "equals":
            return bool(text == rule.operand)
        case "contains":
            return bool(rule.operand in text)
        case _:
            return re.search(rule.operand, text) is not None


def _unexpected_json(answer: HttpAnswer, rules: Iterable[JsonExpectation]) -> Iterator[Mismatch]:
    try:
        document = decode(answer)
    except NoJsonError as error:
        yield Mismatch(str(error), "a JSON body")
        return
    for rule in rules:
        if (mismatch := unexpected_value(document, rule)) is not None:
            yield mismatch


def decode(answer: HttpAnswer) -> Any:
    """The JSON body. Raises NoJsonError."""
    try:
        # It refuses NaN, which other decoders let in, and which is neither above nor below any limit.
        return msgspec.json.decode(answer.body.removeprefix("\ufeff"))
    except (msgspec.DecodeError, RecursionError, ValueError) as error:
        content_type = answer.headers.get("content-type", "no content type")
        packed = answer.headers.get("content-encoding", "")
        packing = f", packed as {packed}," if packed not in {"", "identity", "gzip", "x-gzip", "deflate"} else ""
        start = f"it begins with {excerpt(answer.body)}" if answer.body.strip() else "it is empty"
        message = f"the body ({content_type}){packing} is no JSON: {start}"
        raise NoJsonError(message) from error


def unexpected_value(document: Any, rule: JsonExpectation) -> Mismatch | None:
    """What is wrong with the value at one place of a JSON document, None when it is as expected."""
    expected = f"{rule.path} {_expected(rule)}"
    try:
        value = find(document, rule.path)
    except ValueError as error:
        return Mismatch(f"{rule.path} cannot be read: {error}", expected)
    if rule.operator == "exists":
        fits = (value is not None) is rule.operand
        return None if fits else Mismatch(f"{rule.path} is {shown(value)}", expected)
    if value is None:
        return Mismatch(f"path not found: {rule.path}", expected)
    fault = _fault(value, rule)
    return None if fault is None else Mismatch(f"{rule.path} is {shown(value)}{fault}", expected)


def _fault(value: Any, rule: JsonExpectation) -> str | None:
    """Why `value` does not fit, as a remark behind it; empty when that is plain to see. None when it fits."""
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
                return ", not a text"
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


def is_number(value: object) -> bool:
    """True for a number that can be compared: no boolean, which is an int to Python, and nothing without end."""
    try:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:  # an integer of some hundred digits
        return False


def number_in(answer: HttpAnswer, path: str) -> float | Mismatch:
    """The number at `path` of the answer's JSON body, or what is there instead."""
    if not is_success(answer):
        return next(unexpected_statuses(answer, None))
    try:
        return number_at(decode(answer), path)
    except NoJsonError as error:
        return Mismatch(str(error), "a JSON body")


def number_at(document: Any, path: str) -> float | Mismatch:
    """The number at `path`, or what is there instead."""
    try:
        value = find(document, path)
    except ValueError as error:
        return Mismatch(f"{path} cannot be read: {error}", "a number")
    if value is None:
        return Mismatch(f"path not found: {path}", "a number")
    if not is_number(value):
        return Mismatch(f"{path} is {shown(value)}, not a number", "a number")
    return float(value)


def _expected(rule: OneOperator) -> str:
    if rule.operator == "exists":
        return "exists" if rule.operand else "does not exist"
    return f"{_WORDS[rule.operator]} {shown(rule.operand)}"


def shown(value: Any) -> str:
    """A value as JSON, cut to a length that a person reads."""
    if value is None:
        return "missing or null"
    return excerpt(msgspec.json.encode(value).decode())


@dataclass(frozen=True)
class LimitedNumber:
    """A number of the answer beside its limit, for the record."""

    name: str
    value: float
    limit: float
    margin: float
    unit: str = ""


def limited_numbers(expectation: HttpResponse, answer: HttpAnswer) -> Iterator[LimitedNumber]:
    """Every number but the latency that is held to a limit."""
    if (most := expectation.max_body) is not None:
        yield LimitedNumber("body", answer.size, most, most - answer.size, most.unit)
    rules = [rule for rule in expectation.json_values if rule.operator in {"at_least", "at_most"}]
    try:
        document = decode(answer) if rules else None
    except NoJsonError:
        return
    for rule in rules:
        number = number_at(document, rule.path)
        if not isinstance(number, Mismatch):
            margin = rule.operand - number if rule.operator == "at_most" else number - rule.operand
            yield LimitedNumber(rule.path, number, rule.operand, margin)


def sample_at(samples: tuple[Sample, ...], which: LatencyOf) -> Sample:
    """The sample that stands for all of them. One without an answer is slower than any other."""
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
    """What a latency is made of: how many samples, and whether they include opening a connection."""
    cold = sum(sample.cold for sample in samples)
    if len(samples) == 1:
        return "on a new connection" if cold else "on an open connection"
    slowest = max(sample.seconds for sample in samples)
    return f"{which} of {len(samples)}, {cold} on a new connection, the slowest {format_duration(slowest)}"


def grade_latency(expectation: HttpResponse, samples: tuple[Sample, ...], findings: Findings) -> None:
    """Hold the sample that counts to the limit. One without an answer is over every limit."""
    sample = sample_at(samples, expectation.latency_of)
    detail = described(samples, expectation.latency_of)
    limit = expectation.latency
    if sample.status is not None or limit is None:
        findings.grade("latency", sample.seconds, limit, unit="s", subject=expectation.subject, detail=detail)
        return
    findings.measure("latency", sample.seconds, unit="s", limit=limit.limit(math.inf), subject=expectation.subject)
    findings.add(
        subject=expectation.subject,
        observed=f"latency: no answer after {format_duration(sample.seconds)} ({detail})",
        expected=f"{limit.words} {limit.limit(math.inf)}",
        severity=limit.severity(math.inf),
    )
