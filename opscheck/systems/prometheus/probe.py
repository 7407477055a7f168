"""Queries Prometheus and compatible servers. An incomplete answer is a problem: so are warnings and old results."""

from datetime import UTC, datetime, timedelta
from math import isfinite
from typing import Any
from urllib.parse import urlencode

import msgspec

from opscheck.core.masking import mask_secrets
from opscheck.core.observation import ProbeError, ProblemKind
from opscheck.core.query import Query
from opscheck.core.units import format_duration
from opscheck.systems.http import probe as http
from opscheck.systems.http.probe import HttpSession
from opscheck.systems.http.request import HttpAnswer, HttpRequest
from opscheck.systems.prometheus.query import PrometheusQuery, PrometheusSample, PrometheusVector
from opscheck.systems.prometheus.target import PrometheusTarget

MOST_BYTES = 32 * 2**20
"""Maximum size of an answer; a series has about 300 bytes."""
OLD = timedelta(minutes=5)
"""Maximum age of an answer; an older one comes from a cache, or from a wrong clock."""

_PATH = "/api/v1/query"
_OK = 200
_REFUSALS = {401, 403, 407}
_LONGEST = 300
_SERVER_SHARE = 0.9  # of the time limit: Prometheus gives up first, and reports it
_NOT_IT = "is base_url what stands before /api/v1/query, with the path prefix where there is one?"
_SIGN_IN = "does a proxy ask to sign in? Send it credentials in the target's headers"


def open_session(target: PrometheusTarget, timeout_s: float) -> "PrometheusSession":
    """Connect to the server once. Raises ProbeError."""
    return PrometheusSession(http.open_session(target, timeout_s))


class PrometheusSession:
    """One Prometheus for the length of a run."""

    def __init__(self, session: HttpSession) -> None:
        self._http = session

    def ask(self, query: Query[Any], timeout_s: float) -> PrometheusVector | HttpAnswer:
        """Evaluate the expression, or make a plain request. Raises ProbeError."""
        if isinstance(query, HttpRequest):
            return self._http.ask(query, timeout_s)
        if not isinstance(query, PrometheusQuery):
            raise ProbeError(ProblemKind.UNSUPPORTED, f"a Prometheus cannot be asked {query.text()}")
        # In seconds: as a duration, `4.5s` is refused.
        parameters = urlencode({"query": query.expression, "timeout": f"{timeout_s * _SERVER_SHARE:.3f}"})
        request = HttpRequest(query.target, path=f"{_PATH}?{parameters}", max_body=MOST_BYTES)
        try:
            answer = self._http.ask(request, timeout_s)
        except ProbeError as error:
            raise _without_expression(error, parameters) from error
        return _vector(answer, datetime.now(UTC))

    def close(self) -> None:
        """Close all connections."""
        self._http.close()


class _Series(msgspec.Struct, frozen=True):
    metric: dict[str, str]
    value: tuple[float, str]


class _Data(msgspec.Struct, frozen=True, rename={"kind": "resultType"}):
    kind: str
    result: msgspec.Raw = msgspec.Raw(b"[]")


class _Answer(msgspec.Struct, frozen=True, rename="camel"):
    status: str
    data: _Data | None = None
    error_type: str = ""
    error: str = ""
    warnings: tuple[str, ...] | None = None
    is_partial: bool | None = None
    """Set by VictoriaMetrics, where Thanos sends a warning."""


_decode = msgspec.json.Decoder(_Answer).decode
_decode_series = msgspec.json.Decoder(tuple[_Series, ...]).decode


def _vector(reply: HttpAnswer, now: datetime) -> PrometheusVector:
    """The series of a complete and fresh answer. Raises ProbeError for any other."""
    url = reply.url.partition("?")[0]
    answer = _read(reply, url)
    if answer.status != "success":
        raise _own_error(answer, url)
    if answer.data is None:
        raise _not_prometheus(reply, url)
    if answer.warnings or answer.is_partial:
        said = "; ".join(answer.warnings or ()) or "it says that its result is partial"
        raise ProbeError(
            ProblemKind.UNREADABLE,
            f"{url} answered in part only: {_short(said)}",
            "see which of its stores or replicas does not answer",
        )
    if answer.data.kind != "vector":
        raise ProbeError(ProblemKind.UNREADABLE, f"{url} answered with a {answer.data.kind} and not with a vector")
    try:
        series = _decode_series(answer.data.result)
        samples = tuple(_sample(one) for one in series)
    except (msgspec.MsgspecError, ValueError) as error:
        raise ProbeError(ProblemKind.UNREADABLE, f"{url} answered series that cannot be read: {error}") from error
    _reject_old(series, now, url)
    return PrometheusVector(samples=samples)


def _read(reply: HttpAnswer, url: str) -> _Answer:
    """The body, whatever the status. Raises ProbeError where Prometheus did not write it."""
    if reply.truncated:
        text = f"{url} answered more than {MOST_BYTES // 2**20} MiB"
        raise ProbeError(ProblemKind.UNREADABLE, text, "look at fewer namespaces at a time")
    if reply.status in _REFUSALS:
        raise _not_prometheus(reply, url)
    try:
        answer = _decode(reply.body)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise _not_prometheus(reply, url) from error
    if reply.status != _OK and answer.status == "success":
        raise _not_prometheus(reply, url)
    return answer


def _own_error(answer: _Answer, url: str) -> ProbeError:
    """An error that Prometheus itself reports."""
    text = f"{url} failed ({answer.error_type or answer.status}): {_short(answer.error) or 'nothing more'}"
    match answer.error_type:
        case "timeout":
            return ProbeError(ProblemKind.LATE, text, "raise `timeout`, or see what keeps Prometheus busy")
        case "canceled" | "unavailable" | "internal":
            return ProbeError(ProblemKind.UNREADABLE, text, "see the log of Prometheus, and its load")
        case "bad_data" | "execution":
            return ProbeError(ProblemKind.UNSUPPORTED, text, "is it too old, or is something else at that address?")
    return ProbeError(ProblemKind.UNREADABLE, text, "see the log of Prometheus")


def _not_prometheus(reply: HttpAnswer, url: str) -> ProbeError:
    """An answer that is not from Prometheus: of a proxy, a sign-in page, another server."""
    said = _words(reply)
    if reply.status in {401, 407}:
        text = f"{url} does not know the client ({reply.status}): {said}"
        advice = "give the target the credentials: headers: {Authorization: ...}, or user and password in base_url"
        return ProbeError(ProblemKind.DENIED, text, advice, target_down=True)
    if reply.status == 403:  # noqa: PLR2004 - forbidden
        text = f"{url} does not let this client ask (403): {said}"
        return ProbeError(ProblemKind.DENIED, text, "let the credentials in the target's headers query it")
    if reply.status == 404:  # noqa: PLR2004 - not found
        return ProbeError(ProblemKind.UNREADABLE, f"there is no {url} (404): {said}", _NOT_IT)
    if 300 <= reply.status < 400:  # noqa: PLR2004 - the redirects
        to = reply.headers.get("location", "nowhere").partition("?")[0]
        return ProbeError(ProblemKind.UNREADABLE, f"{url} redirects to {to}", _SIGN_IN)
    if reply.status >= 500:  # noqa: PLR2004 - it, or what stands before it, fails
        text = f"{url} answered {reply.status}: {said}"
        return ProbeError(ProblemKind.UNREADABLE, text, "is Prometheus down, or still replaying its log?")
    advice = _SIGN_IN if said == _HTML else _NOT_IT
    return ProbeError(ProblemKind.UNREADABLE, f"{url} answered {reply.status} with {said}", advice)


_HTML = "an HTML page"


def _words(reply: HttpAnswer) -> str:
    if "html" in reply.headers.get("content-type", "") or reply.body.lstrip()[:1] == "<":
        return _HTML
    return _short(reply.body) or "nothing"


def _short(text: str) -> str:
    return mask_secrets(" ".join(text[: 4 * _LONGEST].split()))[:_LONGEST]


def _reject_old(series: tuple[_Series, ...], now: datetime, url: str) -> None:
    for one in series:
        # Both ways: an answer from the future is as wrong.
        age = now.timestamp() - one.value[0]
        if abs(age) > OLD.total_seconds():
            when = f"{format_duration(abs(age))} {'ago' if age > 0 else 'ahead'}"
            raise ProbeError(
                ProblemKind.UNREADABLE,
                f"{url} answered for another time: {when}",
                "does a cache stand before it? Else compare its clock with the one of this machine",
            )


def _sample(one: _Series) -> PrometheusSample:
    value = float(one.value[1])
    return PrometheusSample(labels=one.metric, value=value if isfinite(value) else None)


def _without_expression(error: ProbeError, parameters: str) -> ProbeError:
    """The same problem without the long expression."""
    error.problem = msgspec.structs.replace(error.problem, text=error.problem.text.replace(f"?{parameters}", ""))
    return error
