"""The Prometheus probe: against a real one, and against servers that say anything else."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from opscheck import PrometheusTarget
from opscheck.core.observation import ProbeError, Problem, ProblemKind
from opscheck.demo.serving import Answer, Exchange, LoopbackServer, Response
from opscheck.systems.http.request import HttpRequest
from opscheck.systems.kubernetes.pods import ListPods
from opscheck.systems.prometheus.probe import MOST_BYTES, PrometheusSession, open_session
from opscheck.systems.prometheus.query import PrometheusQuery, PrometheusSample, fresh, selector
from tests.servers.prometheus import PASSWORD, USER, Exporter, Prometheus

Open = Callable[..., PrometheusSession]
UP = PrometheusQuery("metrics", "up")
AVAILABLE = 'kubelet_volume_stats_available_bytes{namespace="%s",persistentvolumeclaim="%s"}'


@pytest.fixture(name="stack")
def _stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture(name="opened")
def _opened(stack) -> Open:
    def opened(url: str, timeout_s: float = 5, **fields) -> PrometheusSession:
        session = open_session(PrometheusTarget(kind="prometheus", base_url=url, **fields), timeout_s)
        stack.callback(session.close)
        return session

    return opened


@pytest.fixture(name="serve")
def _serve(stack) -> Callable[[Answer], LoopbackServer]:
    return lambda answer: stack.enter_context(LoopbackServer(answer))


@pytest.fixture(name="refused")
def _refused(serve, opened) -> Callable[..., Problem]:
    """The problem of a response."""

    def refused(response: Response) -> Problem:
        server = serve(lambda exchange: exchange.send(response))
        return problem_of(lambda: opened(f"{server.url}/metrics").ask(UP, 5))

    return refused


def problem_of(ask: Callable[[], object]) -> Problem:
    with pytest.raises(ProbeError) as raised:
        ask()
    return raised.value.problem


def said(code: int = 200, /, **fields) -> Response:
    return Response(code, json.dumps(fields).encode())


def vector(*series, **fields) -> Response:
    return said(**{"status": "success", "data": {"resultType": "vector", "result": list(series)}} | fields)


def one(value="1", at=None, **labels) -> dict:
    return {"metric": labels, "value": [time.time() if at is None else at, value]}


# A real Prometheus


@pytest.fixture(name="exporter", scope="module")
def _exporter() -> Iterator[Exporter]:
    with Exporter({AVAILABLE % ("shop", "data-0"): 1024.0, AVAILABLE % ("other", "data-0"): 7.0}) as exporter:
        yield exporter


@pytest.fixture(name="prometheus", scope="module")
def _prometheus(prometheus_program, exporter) -> Iterator[Prometheus]:
    with Prometheus(prometheus_program, exporter) as prometheus:
        prometheus.wait_for("kubelet_volume_stats_available_bytes")
        yield prometheus


def values(session: PrometheusSession, expression: str) -> list[float | None]:
    return [sample.value for sample in session.ask(PrometheusQuery("metrics", expression), 5).samples]


def test_real_series_come_with_their_labels(prometheus, opened):
    expression = fresh(selector("kubelet_volume_stats_available_bytes", namespace="shop"), 600)
    (sample,) = opened(prometheus.url).ask(PrometheusQuery("metrics", expression), 5).samples

    assert 1024.0 == sample.value
    assert {"namespace": "shop", "persistentvolumeclaim": "data-0", "job": "kubelet"}.items() <= sample.labels.items()


def test_real_several_namespaces_are_one_query(prometheus, opened):
    expression = selector("kubelet_volume_stats_available_bytes", namespace=("other", "shop"))

    assert [7.0, 1024.0] == sorted(values(opened(prometheus.url), expression))


def test_real_nothing_that_matches_is_an_empty_answer(prometheus, opened):
    assert [] == values(opened(prometheus.url), 'kubelet_volume_stats_available_bytes{namespace="nowhere"}')


def test_real_nan_has_no_value(prometheus, opened):
    assert [None] == values(opened(prometheus.url), "vector(0) / 0")


def test_real_quotes_in_a_label_break_no_expression(prometheus, opened):
    assert [] == values(opened(prometheus.url), selector("up", job='a"b\\c\nd'))


def test_real_fresh_excludes_old_samples(prometheus_program, stack, opened):
    long_ago = int(time.time() * 1000) - 20 * 60 * 1000
    exporter = stack.enter_context(Exporter({"old": (1.0, long_ago)}))
    server = stack.enter_context(Prometheus(prometheus_program, exporter, lookback="1h"))
    server.wait_for("old")

    assert [1.0] == values(opened(server.url), "old")
    assert [] == values(opened(server.url), fresh("old", 600))
    assert [1.0] == values(opened(server.url), fresh("old", 3600))


def test_real_invalid_expression_quotes_the_error(prometheus, opened):
    problem = problem_of(lambda: values(opened(prometheus.url), "up{"))

    assert ProblemKind.UNSUPPORTED is problem.kind
    assert f"http://{prometheus.place}/api/v1/query failed (bad_data): " in problem.text


def test_real_a_number_instead_of_a_vector_is_refused(prometheus, opened):
    assert "returned a scalar, not a vector" in problem_of(lambda: values(opened(prometheus.url), "1")).text


def test_real_credentials_in_the_url_are_accepted(prometheus_program, exporter, stack, opened):
    server = stack.enter_context(Prometheus(prometheus_program, exporter, password=True))

    assert [1.0] == values(opened(f"http://{USER}:{PASSWORD}@{server.place}"), "vector(1)")
    problem = problem_of(lambda: values(opened(f"http://{USER}:wrong-secret@{server.place}"), "vector(1)"))
    assert (ProblemKind.DENIED, True) == (problem.kind, problem.target_down)
    assert "requires authentication (401): Unauthorized" in problem.text
    assert "wrong-secret" not in problem.text


# Accepted responses


def test_the_expression_and_the_time_it_may_take_are_sent(serve, opened):
    server = serve(lambda exchange: exchange.send(vector(one(job="node"))))

    answer = opened(f"{server.url}/prom/", headers={"X-Scope-OrgID": "team"}).ask(
        PrometheusQuery("m", 'up{a="b c+d"}'), 5
    )

    assert (PrometheusSample(labels={"job": "node"}, value=1.0),) == answer.samples
    (request,) = server.requests
    assert ("GET", "/prom/api/v1/query") == (request.method, request.path)
    assert {"query": 'up{a="b c+d"}', "timeout": "4.500"} == request.query
    assert "team" == request.headers["x-scope-orgid"]


def test_info_annotations_of_prometheus_3_are_accepted(serve, opened):
    server = serve(lambda exchange: exchange.send(vector(one(), infos=["PromQL info: metric might not be a counter"])))

    assert 1 == len(opened(server.url).ask(UP, 5).samples)


def test_thanos_with_a_down_store_is_unreadable(refused):
    problem = refused(vector(one(), warnings=["store 10.0.0.7:10901 is unavailable"]))

    assert ProblemKind.UNREADABLE is problem.kind
    assert problem.text.endswith("/metrics/api/v1/query returned a partial result: store 10.0.0.7:10901 is unavailable")
    assert problem.advice


def test_victoriametrics_partial_answer_is_refused(refused):
    assert "returned a partial result" in refused(vector(one(), isPartial=True)).text


@pytest.mark.parametrize(("seconds", "word"), [(-400, "from 6m40s ago"), (400, "from 6m40s in the future")])
def test_an_answer_for_another_time_is_none(refused, seconds, word):
    problem = refused(vector(one(at=time.time() + seconds + (0.2 if seconds > 0 else 0))))

    assert "returned a result from 6m" in problem.text
    assert problem.text.endswith(word.split(maxsplit=2)[2])


@pytest.mark.parametrize(
    ("status", "error", "kind"),
    [
        (503, "timeout", ProblemKind.LATE),
        (503, "unavailable", ProblemKind.UNREADABLE),
        (500, "internal", ProblemKind.UNREADABLE),
        (422, "execution", ProblemKind.UNSUPPORTED),
        (400, "bad_data", ProblemKind.UNSUPPORTED),
        (200, "new_kind", ProblemKind.UNREADABLE),
    ],
)
def test_errors_of_prometheus_itself(refused, status, error, kind):
    problem = refused(said(status, status="error", errorType=error, error="it did not work"))

    assert kind is problem.kind
    assert f"failed ({error}): it did not work" in problem.text
    assert problem.advice


@pytest.mark.parametrize(
    ("response", "kind", "text"),
    [
        (
            Response(401, b"Unauthorized", "text/plain"),
            ProblemKind.DENIED,
            "requires authentication (401): Unauthorized",
        ),
        (said(401, status="error", error="no org id"), ProblemKind.DENIED, "requires authentication (401)"),
        (Response(403, b"no", "text/plain"), ProblemKind.DENIED, "denies access to this client (403): no"),
        (Response(404, b"404 page not found", "text/plain"), ProblemKind.UNREADABLE, "(404): 404 page not found"),
        (Response(302, headers={"Location": "https://sso/?t=1"}), ProblemKind.UNREADABLE, "redirects to https://sso/"),
        (Response(200, b"<html>sign in", "text/html"), ProblemKind.UNREADABLE, "responded 200 with an HTML page"),
        (Response(502, b"<html>bad", "text/html"), ProblemKind.UNREADABLE, "responded 502: an HTML page"),
        (Response(503, b"Service Unavailable", "text/plain"), ProblemKind.UNREADABLE, "responded 503: Service Unavail"),
        (Response(200, b"", "text/plain"), ProblemKind.UNREADABLE, "responded 200 with nothing"),
        (Response(200, b"{}"), ProblemKind.UNREADABLE, "responded 200 with {}"),
        (Response(500, vector(one()).body), ProblemKind.UNREADABLE, "responded 500"),
        (said(status="success"), ProblemKind.UNREADABLE, "responded 200 with"),
        (vector({"metric": {}, "value": [1]}), ProblemKind.UNREADABLE, "returned series that cannot be parsed"),
        (vector({"metric": {}, "value": [1, "many"]}), ProblemKind.UNREADABLE, "returned series that cannot be parsed"),
    ],
)
def test_answers_of_other_servers_are_distinguished(refused, response, kind, text):
    problem = refused(response)

    assert kind is problem.kind
    assert text in problem.text
    assert "query=" not in problem.text


def test_secret_in_an_error_text_is_masked(refused):
    problem = refused(
        Response(403, b"bad token: Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl", "text/plain")
    )

    assert "eyJhbGciOiJIUzI1NiJ9" not in problem.text


def test_an_answer_that_is_too_large_is_refused(refused):
    problem = refused(Response(200, b" " * (MOST_BYTES + 1)))

    assert problem.text.endswith("returned more than 32 MiB")


def test_a_server_that_never_answers_is_late(serve, opened):
    server = serve(lambda exchange: exchange.pause())
    started = time.monotonic()

    problem = problem_of(lambda: opened(server.url).ask(UP, 0.3))

    assert ProblemKind.LATE is problem.kind
    assert "query=" not in problem.text
    assert 2 > time.monotonic() - started


def test_a_byte_a_second_is_late(serve, opened):
    def drip(exchange: Exchange) -> None:
        exchange.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n")
        while True:
            exchange.write(b" ")
            exchange.pause(0.05)

    problem = problem_of(lambda: opened(serve(drip).url).ask(UP, 0.4))

    assert ProblemKind.LATE is problem.kind


def test_half_an_answer_is_none(serve, opened):
    def half(exchange: Exchange) -> None:
        exchange.write(b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"status":')
        exchange.drop()

    assert ProblemKind.UNREADABLE is problem_of(lambda: opened(serve(half).url).ask(UP, 5)).kind


def test_refused_connection_is_a_down_target(opened):
    problem = problem_of(lambda: opened("http://127.0.0.1:1"))

    assert (ProblemKind.UNREACHABLE, True) == (problem.kind, problem.target_down)


def test_it_is_an_http_api_too(serve, opened):
    server = serve(lambda exchange: exchange.send(Response(body=b"Prometheus Server is Healthy.")))

    assert 200 == opened(server.url).ask(HttpRequest("metrics", path="/-/healthy"), 5).status


def test_other_queries_are_refused(serve, opened):
    server = serve(lambda exchange: exchange.send(Response()))

    assert ProblemKind.UNSUPPORTED is problem_of(lambda: opened(server.url).ask(ListPods("c", "shop"), 5)).kind
