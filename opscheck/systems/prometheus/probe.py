"""Queries Prometheus and compatible servers. Partial results, warnings and old results are errors."""

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
"""Maximum size of a response; a series has about 300 bytes."""
OLD = timedelta(minutes=5)
"""Maximum age of a response; an older one comes from a cache, or from a wrong clock."""

_PATH = "/api/v1/query"
_OK = 200
_REFUSALS = {401, 403, 407}
_LONGEST = 300
_SERVER_SHARE = 0.9  # of the time limit: Prometheus times out first, and reports it
_NOT_IT = "set base_url to the part before /api/v1/query, including a path prefix"
_SIGN_IN = "if a proxy requires a login, add credentials to the target's headers"


def open_session(target: PrometheusTarget, timeout_s: float) -> "PrometheusSession":
    """Connect to the server once. Raises ProbeError."""
    return PrometheusSession(http.open_session(target, timeout_s))


class PrometheusSession:
    """One Prometheus for the length of a run."""

    def __init__(self, session: HttpSession) -> None:
        self._http = session

    def ask(self, query: Query[Any], timeout_s: float) -> PrometheusVector | HttpAnswer:
        """Evaluate the expression, or send a plain request. Raises ProbeError."""
        if isinstance(query, HttpRequest):
            return self._http.ask(query, timeout_s)
        if not isinstance(query, PrometheusQuery):
            raise ProbeError(ProblemKind.UNSUPPORTED, f"the Prometheus probe does not answer {query.name}")
        # In seconds: Prometheus rejects the duration `4.5s`.
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
    """The series of a complete and current response. Raises ProbeError for any other."""
    url = reply.url.partition("?")[0]
    answer = _read(reply, url)
    if answer.status != "success":
        raise _own_error(answer, url)
    if answer.data is None:
        raise _not_prometheus(reply, url)
    if answer.warnings or answer.is_partial:
        said = "; ".join(answer.warnings or ()) or "isPartial is true"
        raise ProbeError(
            ProblemKind.UNREADABLE,
            f"{url} returned a partial result: {_short(said)}",
            "find the store or replica that does not respond",
        )
    if answer.data.kind != "vector":
        raise ProbeError(ProblemKind.UNREADABLE, f"{url} returned a {answer.data.kind}, not a vector")
    try:
        series = _decode_series(answer.data.result)
        samples = tuple(_sample(one) for one in series)
    except (msgspec.MsgspecError, ValueError) as error:
        raise ProbeError(ProblemKind.UNREADABLE, f"{url} returned series that cannot be parsed: {error}") from error
    _reject_old(series, now, url)
    return PrometheusVector(samples=samples)


def _read(reply: HttpAnswer, url: str) -> _Answer:
    """The parsed body, for any status. Raises ProbeError where Prometheus did not write it."""
    if reply.truncated:
        text = f"{url} returned more than {MOST_BYTES // 2**20} MiB"
        raise ProbeError(ProblemKind.UNREADABLE, text, "select fewer namespaces per expectation")
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
    text = f"{url} failed ({answer.error_type or answer.status}): {_short(answer.error) or 'no message'}"
    match answer.error_type:
        case "timeout":
            return ProbeError(ProblemKind.LATE, text, "raise `timeout`, or reduce the load of Prometheus")
        case "canceled" | "unavailable" | "internal":
            return ProbeError(ProblemKind.UNREADABLE, text, "check the log and the load of Prometheus")
        case "bad_data" | "execution":
            return ProbeError(ProblemKind.UNSUPPORTED, text, "check its version, and that the address is right")
    return ProbeError(ProblemKind.UNREADABLE, text, "check the log of Prometheus")


def _not_prometheus(reply: HttpAnswer, url: str) -> ProbeError:
    """The error for a response that is not from Prometheus: of a proxy, a login page, another server."""
    said = _words(reply)
    if reply.status in {401, 407}:
        text = f"{url} requires authentication ({reply.status}): {said}"
        advice = "add credentials to the target: headers: {Authorization: ...}, or user and password in base_url"
        return ProbeError(ProblemKind.DENIED, text, advice, target_down=True)
    if reply.status == 403:  # noqa: PLR2004 - forbidden
        text = f"{url} denies access to this client (403): {said}"
        return ProbeError(ProblemKind.DENIED, text, "grant query access to the credentials in the target's headers")
    if reply.status == 404:  # noqa: PLR2004 - not found
        return ProbeError(ProblemKind.UNREADABLE, f"{url} not found (404): {said}", _NOT_IT)
    if 300 <= reply.status < 400:  # noqa: PLR2004 - the redirects
        to = reply.headers.get("location", "nowhere").partition("?")[0]
        return ProbeError(ProblemKind.UNREADABLE, f"{url} redirects to {to}", _SIGN_IN)
    if reply.status >= 500:  # noqa: PLR2004 - errors of Prometheus or its proxy
        text = f"{url} responded {reply.status}: {said}"
        return ProbeError(ProblemKind.UNREADABLE, text, "is Prometheus down, or still replaying its WAL?")
    advice = _SIGN_IN if said == _HTML else _NOT_IT
    return ProbeError(ProblemKind.UNREADABLE, f"{url} responded {reply.status} with {said}", advice)


_HTML = "an HTML page"


def _words(reply: HttpAnswer) -> str:
    if "html" in reply.headers.get("content-type", "") or reply.body.lstrip()[:1] == "<":
        return _HTML
    return _short(reply.body) or "nothing"


def _short(text: str) -> str:
    return mask_secrets(" ".join(text[: 4 * _LONGEST].split()))[:_LONGEST]


def _reject_old(series: tuple[_Series, ...], now: datetime, url: str) -> None:
    for one in series:
        # In both directions: a result from the future is wrong too.
        age = now.timestamp() - one.value[0]
        if abs(age) > OLD.total_seconds():
            when = f"{format_duration(abs(age))} {'ago' if age > 0 else 'in the future'}"
            raise ProbeError(
                ProblemKind.UNREADABLE,
                f"{url} returned a result from {when}",
                "bypass a cache in front of it, or compare its clock with the clock of this machine",
            )


def _sample(one: _Series) -> PrometheusSample:
    value = float(one.value[1])
    return PrometheusSample(labels=one.metric, value=value if isfinite(value) else None)


def _without_expression(error: ProbeError, parameters: str) -> ProbeError:
    """The same error without the long expression."""
    error.problem = msgspec.structs.replace(error.problem, text=error.problem.text.replace(f"?{parameters}", ""))
    return error
