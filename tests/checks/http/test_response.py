"""http.response against real servers: healthy, and broken in each way that it judges."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import count

import pytest

from checks.http import test_response
from opscheck import Findings, HttpTarget, Severity
from opscheck.core.observation import CouldNotObserve, ProblemKind
from opscheck.demo.serving import Answer, Exchange, LoopbackServer, Response
from opscheck.systems.http.probe import open_session
from opscheck.systems.http.response import READ_ANSWER, HttpResponse
from opscheck.testing import expect, judge

Judge = Callable[..., Findings]

HEALTHY = Response(body=b'{"status": "ok", "jobs": 3}', headers={"ETag": '"7"'})


@pytest.fixture(name="judged")
def _judged() -> Iterator[Judge]:
    with ExitStack() as stack:

        def judged(answer: Answer | Response, timeout_s: float = 5, **fields) -> Findings:
            serve = answer if callable(answer) else (lambda exchange: exchange.send(answer))
            server = stack.enter_context(LoopbackServer(serve))
            target = HttpTarget(kind="http", base_url=server.url)
            session = open_session(target, 5)
            stack.callback(session.close)
            expectation = expect(HttpResponse, target, **{"severity": "P0", "path": "/v1/health"} | fields)
            check = test_response.test_the_api_answers_as_it_should
            return judge(check, expectation, lambda query: session.ask(query, timeout_s))

        yield judged


def observed(findings: Findings) -> list[str]:
    return [violation.observed for violation in findings.violations]


def test_a_healthy_api_passes_with_its_measurements(judged):
    findings = judged(
        HEALTHY,
        status=200,
        headers={"Content-Type": "application/json", "etag": {"matches": r'"\d+"'}},
        json=[{"path": "status", "equals": "ok"}, {"path": "jobs", "at_most": 5}],
        body={"contains": "ok"},
        latency={"P2": "4s", "P1": "5s"},
        max_body="1KB",
    )

    assert [] == findings.violations
    assert ["latency", "status", "body", "jobs"] == [measurement.name for measurement in findings.measurements]
    latency, status, body, jobs = findings.measurements
    assert (4.0, "s") == (latency.limit, latency.unit)
    assert latency.margin > 0
    assert 200 == status.value
    assert (27, 1000, "B") == (body.value, body.limit, body.unit)
    assert (3, 5, 2) == (jobs.value, jobs.limit, jobs.margin)


def test_the_latency_is_measured_without_a_limit_too(judged):
    assert "latency" == judged(HEALTHY).measurements[0].name


def test_the_wrong_status_is_a_violation_that_shows_the_body(judged):
    broken = Response(status=503, body=b'{"status": "degraded"}')

    (finding,) = judged(broken, json=[{"path": "status", "equals": "ok"}]).violations

    assert finding.subject.startswith("GET http://127.0.0.1:")
    assert finding.subject.endswith("/v1/health")
    assert ("status 503", "status 2xx", Severity.P0) == (finding.observed, finding.expected, finding.severity)
    assert ('body: {"status": "degraded"}',) == finding.evidence
    assert {"status": "503"} == finding.facts
    assert READ_ANSWER.commands == finding.remediation.commands


def test_any_2xx_is_fine_and_a_list_means_each_of_it(judged):
    assert [] == observed(judged(Response(status=204)))
    assert [] == observed(judged(Response(status=401), status=[200, 401]))
    assert ["status 204"] == observed(judged(Response(status=204), status=200))


def test_redirect_is_reported_with_its_location(judged):
    login = Response(status=302, headers={"Location": "https://sso.example.com/login"})

    assert ["status 302, to https://sso.example.com/login"] == observed(judged(login))


def test_login_page_behind_a_redirect_is_a_violation(judged):
    def answer(exchange: Exchange) -> None:
        if exchange.request.path == "/login":
            exchange.send(Response(body=b"<h1>Log in</h1>", content_type="text/html"))
        else:
            exchange.send(Response(status=302, headers={"Location": "/login"}))

    followed = judged(answer, follow_redirects=True, json=[{"path": "status", "equals": "ok"}])

    assert ["body (text/html) is not JSON: it begins with <h1>Log in</h1>"] == observed(followed)


def test_the_final_host_is_another_one(judged):
    def answer(exchange: Exchange) -> None:
        port = exchange.request.headers["host"].partition(":")[2]
        if "localhost" in exchange.request.headers["host"]:
            exchange.send(HEALTHY)
        else:
            exchange.send(Response(status=302, headers={"Location": f"http://localhost:{port}/in"}))

    (finding,) = judged(answer, follow_redirects=True, final_host="127.0.0.1").violations

    assert finding.observed.startswith("redirected to http://localhost:")
    assert "a response from 127.0.0.1" == finding.expected


def test_a_degraded_body_under_status_200_is_a_violation(judged):
    findings = judged(
        Response(body=b'{"status": "degraded"}'),
        json=[{"path": "status", "equals": "ok"}, {"path": "checks.db", "equals": "up"}],
    )

    assert ['status is "degraded"', "path not found: checks.db"] == observed(findings)
    assert ['status is "ok"', 'checks.db is "up"'] == [violation.expected for violation in findings.violations]


def test_headers_that_are_missing_or_different(judged):
    findings = judged(HEALTHY, headers={"Cache-Control": "no-store", "ETag": {"contains": "8"}})

    assert ["header Cache-Control is missing", 'header ETag is "\\"7\\""'] == observed(findings)


def test_a_body_that_is_another_text(judged):
    findings = judged(HEALTHY, body={"matches": "^pong$"})

    assert ['body is {"status": "ok", "jobs": 3}'] == observed(findings)


def test_a_body_that_is_too_large(judged):
    small = judged(Response(body=b"x" * 2000), max_body="1KB")
    huge = judged(Response(body=b"x" * 3_000_000), max_body="2MB", body={"contains": "x"})

    assert ["body size 2KB"] == observed(small)
    assert ["body size more than 2MB"] == observed(huge)


def test_truncated_body_is_unknown(judged):
    body = b'{"status": "ok", "rest": "' + b"x" * 2_000_000 + b'"}'

    with pytest.raises(CouldNotObserve) as raised:
        judged(Response(body=body), json=[{"path": "status", "equals": "ok"}])

    assert "the body is larger than the 1.05MB that were read" == raised.value.problem.text
    assert "set `max_body`" in raised.value.problem.advice
    assert [] == observed(judged(Response(body=body), max_body="5MB", json=[{"path": "status", "equals": "ok"}]))


def slow(exchange: Exchange) -> None:
    exchange.pause(0.05)
    exchange.send(HEALTHY)


def test_a_slow_answer_is_graded(judged):
    (finding,) = judged(slow, latency={"P2": "10ms", "P1": "30s"}).violations

    assert Severity.P2 is finding.severity
    assert "<= 10ms" == finding.expected
    assert finding.observed.startswith("latency ")
    assert finding.observed.endswith("(on a new connection)")
    assert READ_ANSWER.commands == finding.remediation.commands


def test_a_plain_limit_takes_the_expectations_severity(judged):
    (finding,) = judged(slow, latency="10ms", severity="P1").violations

    assert Severity.P1 is finding.severity


def test_one_broken_backend_of_several_is_found(judged):
    times = count()

    def answer(exchange: Exchange) -> None:
        exchange.send(Response(status=502 if next(times) % 3 == 1 else 200, body=b"{}"))

    (finding,) = judged(answer, samples=6).violations

    assert "status 502 in 2 of 6 samples" == finding.observed


def test_sample_without_answer_breaks_every_limit(judged):
    times = count()

    def answer(exchange: Exchange) -> None:
        if next(times):
            exchange.drop()
        else:
            exchange.send(HEALTHY)

    findings = judged(answer, samples=2, latency={"P2": "10s", "P1": "60s"}, latency_of="max", severity="P3")
    status, latency = findings.violations

    assert status.observed.startswith("no response: 127.0.0.1:")
    assert status.observed.endswith("in 1 of 2 samples")
    assert "latency: no response after" in latency.observed
    assert ("<= 1m", Severity.P1) == (latency.expected, latency.severity)


def test_too_few_samples_are_unknown(judged):
    def answer(exchange: Exchange) -> None:
        exchange.pause(0.1)
        exchange.send(HEALTHY)

    with pytest.raises(CouldNotObserve) as raised:
        judged(answer, timeout_s=0.5, samples=20, latency={"P1": "1s"}, latency_of="p95")

    assert ProblemKind.LATE is raised.value.problem.kind
    assert "of 20 samples" in raised.value.problem.text
    assert "raise `timeout`" in raised.value.problem.advice


def test_the_check_has_a_claim_and_a_reason():
    claim, reason = test_response.test_the_api_answers_as_it_should.__doc__.strip().split("\n\n")

    assert claim.endswith(".")
    assert len(reason) > 50
