"""Responses of an HTTP API: the expectation of `http.response`."""

import re
from dataclasses import replace
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    BeforeValidator,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from opscheck.core.addresses import HostName
from opscheck.core.json_paths import JsonPath
from opscheck.core.observation import Problem, refutes_answering
from opscheck.core.operators import Number, OneOperator, Regex, no_boolean
from opscheck.core.remedy import Remedy
from opscheck.core.units import Duration, Graded, PositiveCount, Severity
from opscheck.systems.http.request import HttpExpectation, HttpRequest

SAMPLES_FOR_P95 = 20
"""The nearest-rank 95th percentile of fewer samples is their maximum."""

_CURL_TIMES = "'dns %{time_namelookup}s, tls %{time_appconnect}s, total %{time_total}s\\n'"
READ_ANSWER = Remedy(
    "Read the response and the application's log; roll back a recent deployment",
    "curl -sS -i --max-time 10 {{ curl_options }} {{ base_url }}{{ path }}",
    f"curl -sS -o /dev/null --max-time 10 -w {_CURL_TIMES} {{{{ curl_options }}}} {{{{ base_url }}}}{{{{ path }}}}",
)


def _one_or_several(value: object) -> object:
    if isinstance(value, list | tuple) and not value:
        raise PydanticCustomError("status", "a status or a list of them")
    return value if isinstance(value, list | tuple) else [value]


Status = Annotated[int, Field(ge=100, le=599), BeforeValidator(no_boolean)]
_StatusList = Annotated[list[Status], Field(min_length=1)]
Statuses = Annotated[tuple[Status, ...], BeforeValidator(_one_or_several, json_schema_input_type=Status | _StatusList)]


class TextExpectation(OneOperator):
    """A rule for a text. A plain text instead means `equals`."""

    equals: str | None = None
    """The complete text."""
    contains: str | None = None
    """A part of the text."""
    matches: Regex | None = None
    """A regular expression that matches somewhere in the text."""


def _as_rule(value: object) -> object:
    return {"equals": value} if isinstance(value, str) else value


TextRule = Annotated[TextExpectation, BeforeValidator(_as_rule, json_schema_input_type=str | TextExpectation)]


class JsonExpectation(OneOperator):
    """A rule for one value of a JSON body. Types count: "12" is not 12, and true is not 1."""

    places: ClassVar[frozenset[str]] = frozenset({"path"})

    path: JsonPath
    """JMESPath of the value. A missing value or null is a violation."""
    equals: Any = None
    """The value itself: a text, number, boolean, list or mapping."""
    not_equals: Any = None
    """A forbidden value."""
    one_of: tuple[Any, ...] | None = None
    """The allowed values."""
    at_least: Number | None = None
    """Minimum number."""
    at_most: Number | None = None
    """Maximum number."""
    contains: Any = None
    """A part of the text, or an item of the list."""
    matches: Regex | None = None
    """A regular expression that matches somewhere in the text."""
    exists: bool | None = None
    """True: there is a value other than null. False: there is none."""


class LatencyOf(StrEnum):
    """The sample that is compared with the latency limit."""

    FIRST = "first"
    """The first one, which usually opens the connection."""
    MEDIAN = "median"
    """The middle one; of an even number the slower."""
    MAX = "max"
    """The slowest one."""
    P95 = "p95"
    """The 95th percentile, nearest rank."""


class HttpResponse(HttpExpectation, check="http.response"):
    """
    The API answers with the expected status, headers and body, within the latency limit.

    The first response is judged. Redirects are followed only with `follow_redirects`.
    """

    needs_severity = True
    remedies = (READ_ANSWER,)
    no_answer_remedies = (READ_ANSWER,)
    fact_names: ClassVar = {"status": "the status of the response"}

    method: Literal["GET", "HEAD"] = "GET"
    """GET or HEAD; opscheck only reads."""
    status: Statuses | None = None
    """The allowed status or statuses; any 2xx by default."""
    headers: dict[str, TextRule] = Field(default={})
    """Expected response headers by name: a text, or {contains: …} or {matches: …}. Secrets are masked."""
    json_values: tuple[JsonExpectation, ...] = Field(default=(), alias="json")
    """Rules for values of a JSON body: each has a path, one operator and its value."""
    body: TextRule | None = None
    """Expected body as text: {contains: …} or {matches: …}; a plain text must equal the complete body."""
    samples: PositiveCount = Field(default=1, le=100)
    """Number of requests, one after the other; each must have an allowed status."""
    latency: Graded[Duration] | None = None
    """Maximum latency, from opening the connection to the last byte of the body."""
    latency_of: LatencyOf = LatencyOf.MEDIAN
    """The sample that is compared with `latency`. A sample without a response counts as infinite."""
    follow_redirects: bool = False
    """True to follow redirects. The target's headers are sent to its own origin only."""
    final_host: Annotated[str, HostName] | None = None
    """The expected host after redirects."""

    def request(self) -> HttpRequest:
        """The query that it is judged by."""
        request = super().request()
        return replace(request, method=self.method, follow_redirects=self.follow_redirects, samples=self.samples)

    def no_answer(self, problem: Problem) -> Severity | None:
        """`severity` for no connection or no HTTP, and for no response within the latency limit."""
        return self.severity if refutes_answering(problem, self.latency) else None

    @field_validator("latency_of")
    @classmethod
    def _enough_samples(cls, value: LatencyOf, info: ValidationInfo) -> LatencyOf:
        if value is LatencyOf.P95 and info.data.get("samples", SAMPLES_FOR_P95) < SAMPLES_FOR_P95:
            raise PydanticCustomError(
                "too_few_samples",
                "first, median or max; p95 needs `samples: {least}` or more: of fewer it is the maximum",
                {"least": SAMPLES_FOR_P95},
            )
        return value

    @field_validator("final_host")
    @classmethod
    def _host_alone(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None and not info.data.get("follow_redirects", True):
            raise PydanticCustomError("final_host", "`follow_redirects: true` with final_host")
        if value is not None and re.search(r"[/:@\s]", value):
            raise PydanticCustomError("final_host", "a host name only, such as api.example.com")
        return value and value.lower()

    @model_validator(mode="after")
    def _judges_what_there_is(self) -> Self:
        if self.follow_redirects and not (self.final_host or self.json_values or self.body or self.headers):
            raise PydanticCustomError(
                "redirects_unjudged",
                "`final_host`, `json`, `body` or `headers` with follow_redirects: a login page has status 200 too",
            )
        if self.method == "HEAD" and (self.json_values or self.body or self.max_body):
            raise PydanticCustomError("head_body", "`method: GET` with json, body or max_body: HEAD has no body")
        return self
