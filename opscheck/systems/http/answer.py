"""Reading responses: unexpected statuses, JSON bodies, and numbers in them."""

import math
from collections import Counter
from typing import Any

import msgspec

from opscheck.core.findings import Findings
from opscheck.core.json_paths import find
from opscheck.core.observation import CouldNotObserve, Problem, ProblemKind
from opscheck.core.remedy import Remedy
from opscheck.core.units import format_bytes
from opscheck.systems.http.request import HttpAnswer, HttpExpectation

_EXCERPT = 200


class UnexpectedBodyError(Exception):
    """A body, or a value in it, that cannot be judged, with the texts of a finding."""

    def __init__(self, observed: str, expected: str) -> None:
        super().__init__(observed)
        self.observed = observed
        self.expected = expected


def status_is(status: int, wanted: tuple[int, ...] | None) -> bool:
    """True when `status` is one of `wanted`, else any 2xx."""
    return status in wanted if wanted else 200 <= status < 300  # noqa: PLR2004 - 2xx


def judge_statuses(answer: HttpAnswer, wanted: tuple[int, ...] | None, remedy: Remedy, findings: Findings) -> None:
    """Report each status that is not in `wanted`, by default 2xx, and each sample without a response."""
    outcomes = Counter(sample.error if sample.status is None else sample.status for sample in answer.samples)
    for outcome, times in outcomes.items():
        if isinstance(outcome, int) and status_is(outcome, wanted):
            continue
        text = f"status {outcome}{_location(answer)}" if isinstance(outcome, int) else f"no response: {outcome}"
        shows_body = outcome == answer.status and answer.body.strip()
        findings.add(
            observed=f"{text} in {times} of {len(answer.samples)} samples" if len(answer.samples) > 1 else text,
            expected="status " + (" or ".join(map(str, wanted)) if wanted else "2xx"),
            evidence=(f"body: {excerpt(answer.body)}",) if shows_body else (),
            remedies=(remedy,),
        )


def _location(answer: HttpAnswer) -> str:
    location = answer.headers.get("location")
    return f", to {location}" if location and 300 <= answer.status < 400 else ""  # noqa: PLR2004 - 3xx


def require_complete(expectation: HttpExpectation, answer: HttpAnswer, *, reads_body: bool) -> None:
    """Raise CouldNotObserve for too few samples, or for a truncated body that is judged."""
    request = expectation.request()
    if len(answer.samples) < request.samples:
        text = f"timeout after {len(answer.samples)} of {request.samples} samples"
        advice = "raise `timeout`, or reduce `samples`"
        raise CouldNotObserve(request, Problem(kind=ProblemKind.LATE, text=text, advice=advice))
    if answer.truncated and reads_body and expectation.max_body is None:
        text = f"the body is larger than the {format_bytes(answer.size)} that were read"
        advice = "set `max_body` to its maximum size"
        raise CouldNotObserve(request, Problem(kind=ProblemKind.UNSUPPLIED, text=text, advice=advice))


def decode(answer: HttpAnswer) -> Any:
    """The JSON body. Raises UnexpectedBodyError."""
    try:
        # msgspec rejects NaN, which other decoders accept, and which is neither above nor below any limit.
        return msgspec.json.decode(answer.body.removeprefix("\ufeff"))
    except (msgspec.DecodeError, RecursionError, ValueError) as error:
        content_type = answer.headers.get("content-type", "no content type")
        packed = answer.headers.get("content-encoding", "")
        packing = f", compressed with {packed}," if packed not in {"", "identity", "gzip", "x-gzip", "deflate"} else ""
        start = f"it begins with {excerpt(answer.body)}" if answer.body.strip() else "it is empty"
        message = f"body ({content_type}){packing} is not JSON: {start}"
        raise UnexpectedBodyError(message, "a JSON body") from error


def number_at(document: Any, path: str) -> float:
    """The number at `path`. Raises UnexpectedBodyError."""
    try:
        value = find(document, path)
    except ValueError as error:
        raise UnexpectedBodyError(f"{path} cannot be read: {error}", "a number") from error
    if value is None:
        raise UnexpectedBodyError(f"path not found: {path}", "a number")
    if not is_number(value):
        raise UnexpectedBodyError(f"{path} is {shown(value)}, not a number", "a number")
    return float(value)


def is_number(value: object) -> bool:
    """True for a finite number; a boolean is not one, though it is an int to Python."""
    try:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:  # an integer of some hundred digits
        return False


def excerpt(text: str) -> str:
    """The first characters of a text, on one line."""
    line = " ".join(text[: 2 * _EXCERPT].split())
    return line if len(line) <= _EXCERPT else line[:_EXCERPT] + "…"


def shown(value: Any) -> str:
    """A value as JSON, cut to a readable length."""
    return "missing or null" if value is None else excerpt(msgspec.json.encode(value).decode())
