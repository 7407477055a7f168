"""http.value against real servers: within its limits, over them, and not to be seen."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from checks.http import test_value
from opscheck import Findings, HttpTarget, Severity
from opscheck.core.observation import CouldNotObserve
from opscheck.demo.serving import LoopbackServer, Response
from opscheck.systems.http.probe import open_session
from opscheck.systems.http.value import HttpValue
from opscheck.testing import expect, judge

Judge = Callable[..., Findings]


@pytest.fixture(name="judged")
def _judged() -> Iterator[Judge]:
    with ExitStack() as stack:

        def judged(body: bytes, status: int = 200, **fields) -> Findings:
            answer = Response(status=status, body=body)
            server = stack.enter_context(LoopbackServer(lambda exchange: exchange.send(answer)))
            target = HttpTarget(kind="http", base_url=server.url)
            session = open_session(target, 5)
            stack.callback(session.close)
            given = {"path": "/v1/metrics", "value": "depth", "at_most": {"P3": 500, "P1": 2000}} | fields
            expectation = expect(HttpValue, target, **given)
            check = test_value.test_the_number_stays_within_its_limits
            return judge(check, expectation, lambda query: session.ask(query, 5))

        yield judged


def test_a_number_within_its_limits_passes_and_is_measured(judged):
    findings = judged(b'{"depth": 42}', unit="jobs")

    assert [] == findings.violations
    (measurement,) = findings.measurements
    assert ("depth", 42, "jobs", 500, 458) == (
        measurement.name,
        measurement.value,
        measurement.unit,
        measurement.limit,
        measurement.margin,
    )


def test_the_limit_itself_is_within(judged):
    assert [] == judged(b'{"depth": 500}').violations


@pytest.mark.parametrize(("number", "severity", "limit"), [(501, Severity.P3, 500), (2001, Severity.P1, 2000)])
def test_each_step_has_its_severity(judged, number, severity, limit):
    (finding,) = judged(b'{"depth": %d}' % number).violations

    assert (severity, f"depth {number}", f"<= {limit}") == (finding.severity, finding.observed, finding.expected)
    assert finding.subject.endswith("/v1/metrics")


def test_a_number_may_be_too_small(judged):
    findings = judged(b'{"depth": 0}', at_most=None, at_least={"P2": 3, "P1": 1})

    assert [(Severity.P1, ">= 1")] == [(one.severity, one.expected) for one in findings.violations]


def test_both_limits_are_measured(judged):
    findings = judged(b'{"depth": 42}', at_least={"P2": 1})

    assert [500, 1] == [measurement.limit for measurement in findings.measurements]


def test_a_number_with_a_unit_reads_like_one(judged):
    (finding,) = judged(b'{"depth": 90}', at_most={"P1": 60}, unit="s").violations

    assert ("depth 1m30s", "<= 1m") == (finding.observed, finding.expected)


@pytest.mark.parametrize(
    ("body", "observed"),
    [
        (b'{"depth": "42"}', 'depth is "42", not a number'),
        (b'{"depth": true}', "depth is true, not a number"),
        (b'{"depth": null}', "path not found: depth"),
        (b"{}", "path not found: depth"),
        (b"[]", "path not found: depth"),
        (b'{"depth": NaN}', 'body (application/json) is not JSON: it begins with {"depth": NaN}'),
        (b"", "body (application/json) is not JSON: it is empty"),
    ],
)
def test_value_that_is_not_a_number_is_a_violation(judged, body, observed):
    (finding,) = judged(body).violations

    assert (observed, Severity.P1) == (finding.observed, finding.severity)


def test_error_answer_has_no_number(judged):
    (finding,) = judged(b'{"depth": 0}', status=503).violations

    assert ("status 503", "status 2xx", Severity.P1) == (finding.observed, finding.expected, finding.severity)


def test_truncated_body_is_unknown(judged):
    with pytest.raises(CouldNotObserve, match="body is larger than"):
        judged(b'{"depth": 1, "rest": "' + b"x" * 2_000_000 + b'"}')
