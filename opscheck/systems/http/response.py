"""Answers of an HTTP API: the expectation of `http.response`."""

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
    "Read the answer and the application's log; if something was deployed just before, roll it back",
    "curl -sS -i --max-time 10 {{ base_url }}{{ path }}",
    f"curl -sS -o /dev/null --max-time 10 -w {_CURL_TIMES} {{{{ base_url }}}}{{{{ path }}}}",
)


def _one_or_several(value: object) -> object:
    if isinstance(value, list | tuple) and not value:
        raise PydanticCustomError("status", "a status or a list of them")
    return value if isinstance(value, list | tuple) else [value]


Status = Annotated[int, Field(ge=100, le=599), BeforeValidator(no_boolean)]
_StatusList = Annotated[list[Status], Field(min_length=1)]
Statuses = Annotated[tuple[Status, ...], BeforeValidator(_one_or_several, json_schema_input_type=Status | _StatusList)]


class TextExpectation(OneOperator):
    """What a text must be. A plain text in its place must be equal to it."""

    equals: str | None = None
    """The whole text."""
    contains: str | None = None
    """A part of the text."""
    matches: Regex | None = None
    """A regular expression that is found somewhere in the text."""


def _as_rule(value: object) -> object:
    return {"equals": value} if isinstance(value, str) else value


TextRule = Annotated[TextExpectation, BeforeValidator(_as_rule, json_schema_input_type=str | TextExpectation)]


class JsonExpectation(OneOperator):
    """What must stand at one place of a JSON body. Types count: "12" is not 12, and true is not 1."""

    places: ClassVar[frozenset[str]] = frozenset({"path"})

    path: JsonPath
    """JMESPath of the value. A path that leads nowhere, or to null, is a violation."""
    equals: Any = None
    """The value itself: a text, number, boolean, list or mapping."""
    not_equals: Any = None
    """A value that it may not have."""
    one_of: tuple[Any, ...] | None = None
    """Values of which it must have one."""
    at_least: Number | None = None
    """The smallest number it may be."""
    at_most: Number | None = None
    """The largest number it may be."""
    contains: Any = None
    """A part of the text, or an item of the list."""
    matches: Regex | None = None
    """A regular expression that is found somewhere in the text."""
    exists: bool | None = None
    """True: something other than null stands there. False: nothing does."""


class LatencyOf(StrEnum):
    """Which of several samples is held to the latency limit."""

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

    It is the first answer that is judged; redirects are followed only when that is asked for.
    """

    needs_severity = True
    remedies = (READ_ANSWER,)
    no_answer_remedies = (READ_ANSWER,)
    fact_names: ClassVar = {"status": "the status of the answer"}

    method: Literal["GET", "HEAD"] = "GET"
    """GET or HEAD; opscheck only reads."""
    status: Statuses | None = None
    """The status, or several that are all right; any 2xx by default."""
    headers: dict[str, TextRule] = Field(default={})
    """Headers of the answer by name, each a text it must equal or {contains: …} or {matches: …}; secrets are masked."""
    json_values: tuple[JsonExpectation, ...] = Field(default=(), alias="json")
    """What must stand in a JSON body: a path each, with one operator and its value."""
    body: TextRule | None = None
    """What the body must be as text: {contains: …} or {matches: …}; a plain text must equal all of it."""
    samples: PositiveCount = Field(default=1, le=100)
    """How many times the request is made, one after the other; each must have the right status."""
    latency: Graded[Duration] | None = None
    """How long the answer may take, from opening the connection to the last byte of the body."""
    latency_of: LatencyOf = LatencyOf.MEDIAN
    """Which of the samples must be as fast as that. A sample without an answer counts as endless."""
    follow_redirects: bool = False
    """True to judge what redirects lead to. The target's headers are sent to its own origin only."""
    final_host: Annotated[str, HostName] | None = None
    """The host that must have answered in the end, when redirects are followed."""

    def request(self) -> HttpRequest:
        """The request whose answer it is judged by."""
        request = super().request()
        return replace(request, method=self.method, follow_redirects=self.follow_redirects, samples=self.samples)

    def no_answer(self, problem: Problem) -> Severity | None:
        """No connection, or something that is no HTTP, proves it; silence does once it exceeds a latency limit."""
        return self.severity if refutes_answering(problem, self.latency) else None

    @field_validator("latency_of")
    @classmethod
    def _enough_samples(cls, value: LatencyOf, info: ValidationInfo) -> LatencyOf:
        if value is LatencyOf.P95 and info.data.get("samples", SAMPLES_FOR_P95) < SAMPLES_FOR_P95:
            raise PydanticCustomError(
                "too_few_samples",
                "first, median or max; p95 needs `samples: {least}` or more, for of fewer it is the maximum",
                {"least": SAMPLES_FOR_P95},
            )
        return value

    @field_validator("final_host")
    @classmethod
    def _host_alone(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None and not info.data.get("follow_redirects", True):
            raise PydanticCustomError("final_host", "`follow_redirects: true` beside final_host")
        if value is not None and re.search(r"[/:@\s]", value):
            raise PydanticCustomError("final_host", "a host name alone, such as api.example.com")
        return value and value.lower()

    @model_validator(mode="after")
    def _judges_what_there_is(self) -> Self:
        if self.follow_redirects and not (self.final_host or self.json_values or self.body or self.headers):
            raise PydanticCustomError(
                "redirects_unjudged",
                "`final_host`, `json`, `body` or `headers` beside follow_redirects: a login page answers 200 too",
            )
        if self.method == "HEAD" and (self.json_values or self.body or self.max_body):
            raise PydanticCustomError("head_body", "`method: GET` beside json, body or max_body: HEAD has no body")
        return self
