"""Valid and invalid expectations of HTTP APIs, and their errors."""

import pytest
from pydantic import ValidationError

from opscheck import HttpTarget, Severity
from opscheck.core.observation import Problem, ProblemKind
from opscheck.core.templates import malformed, unknown_names
from opscheck.systems.http.response import HttpResponse
from opscheck.systems.http.value import HttpValue
from opscheck.testing import expect

API = HttpTarget(kind="http", base_url="https://ops:geheim@api.example.com/")


def response(**fields) -> HttpResponse:
    return expect(HttpResponse, API, **{"severity": "P0"} | fields)


def refused(**fields) -> tuple[str, str]:
    with pytest.raises(ValidationError) as raised:
        response(**fields)
    error = raised.value.errors()[0]
    return ".".join(map(str, error["loc"])), error["msg"]


def test_the_contracts_own_examples_are_valid():
    health = response(
        path="/v1/health", status=200, json=[{"path": "status", "equals": "ok"}], latency={"P2": "1s", "P1": "5s"}
    )
    workflows = expect(
        HttpValue,
        API,
        path="/v1/metrics",
        value="system_metrics.active_workflows",
        at_most={"P3": 500, "P1": 2000},
    )

    assert ((200,), "status") == (health.status, health.json_values[0].path)
    assert "P3 <= 500, P1 <= 2000" == str(workflows.at_most)


def test_expectations_on_one_path_share_one_request():
    value = expect(HttpValue, API, path="health", value="n", at_most={"P1": 5})
    plain = response(path="/health")
    strict = response(path="/health", max_body="10KB", status=[200, 204], headers={"etag": {"matches": "."}})

    assert 1 == len({*value.queries(), *plain.queries(), *strict.queries()})


def test_a_larger_bound_reads_more():
    assert 5_000_000 == response(max_body="5MB").request().max_body


def test_the_subject_is_the_request_without_credentials():
    assert "GET https://api.example.com/v1/health" == response(path="/v1/health").subject
    assert "HEAD https://api.example.com/" == response(method="HEAD").subject


@pytest.mark.parametrize("path", ["https://evil.example/", "//evil.example/", "/a b", "/a#b", "/a\nb"])
def test_a_path_is_a_path(path):
    assert ("path", "a path such as /v1/health") == (refused(path=path)[0], refused(path=path)[1][:25])


def test_a_path_may_carry_a_url_in_its_query():
    assert "/proxy?to=http://x" == response(path="/proxy?to=http://x").path


@pytest.mark.parametrize("status", [True, "2xx", 99, 600, [], [200, "x"]])
def test_a_status_is_a_number_or_several(status):
    assert refused(status=status)[0].startswith("status")


def test_severity_is_required():
    assert "`severity`" in refused(severity=None, latency={"P1": "1s"})[1]


@pytest.mark.parametrize(
    "rule",
    [
        {},
        {"equals": 1, "at_most": 2},
        {"equals": None},
        {"exists": None},
        {"at_most": "many"},
        {"at_most": True},
        {"at_most": float("nan")},
        {"matches": "("},
        {"equal": 1},
        {"one_of": "ok"},
    ],
    ids=str,
)
def test_json_rule_has_one_operator_with_a_fitting_value(rule):
    assert refused(json=[{"path": "status"} | rule])[0].startswith("json.0")


def test_null_is_expected_by_its_absence():
    assert "`exists: false`" in refused(json=[{"path": "status", "equals": None}])[1]


def test_a_header_rule_is_a_text_or_one_operator():
    rules = response(headers={"a": "x", "b": {"contains": "x"}, "c": {"matches": "x"}}).headers

    assert ["equals", "contains", "matches"] == [rule.operator for rule in rules.values()]
    assert "headers.a" == refused(headers={"a": 1})[0]
    assert "headers.a.matches" == refused(headers={"a": {"matches": "("}})[0]


@pytest.mark.parametrize("samples", [0, -1, 101, True, 2.5])
def test_samples_are_a_whole_number_within_reason(samples):
    assert "samples" == refused(samples=samples)[0]


def test_a_rule_reads_like_the_policy():
    rules = response(json=[{"path": "status", "equals": "ok"}], headers={"a": {"contains": "x"}})

    assert "path: status, equals: ok" == str(rules.json_values[0])
    assert "contains: x" == str(rules.headers["a"])


def test_a_p95_of_few_samples_is_refused():
    assert "p95 needs `samples: 20`" in refused(samples=19, latency_of="p95")[1]
    assert 20 == response(samples=20, latency_of="p95").samples


def test_followed_redirects_need_something_to_judge():
    assert "a login page has status 200 too" in refused(follow_redirects=True)[1]
    assert response(follow_redirects=True, final_host="API.example.com").final_host == "api.example.com"


def test_a_final_host_needs_redirects_and_is_a_host():
    assert ("final_host", "`follow_redirects: true` with final_host") == refused(final_host="api.example.com")
    assert "a host alone" in refused(follow_redirects=True, final_host="https://api.example.com")[1]


@pytest.mark.parametrize(
    "field", [{"json": [{"path": "a", "exists": True}]}, {"body": {"contains": "x"}}, {"max_body": "1KB"}], ids=str
)
def test_head_refuses_limits_on_the_body(field):
    assert "HEAD has no body" in refused(method="HEAD", **field)[1]


@pytest.mark.parametrize("method", ["POST", "DELETE", "get"])
def test_only_reading_methods_are_offered(method):
    assert "method" == refused(method=method)[0]


def test_refused_connection_is_a_violation():
    for kind in (ProblemKind.UNREACHABLE, ProblemKind.UNREADABLE):
        assert Severity.P0 is response().no_answer(Problem(kind=kind, text=""))


@pytest.mark.parametrize(
    ("waited", "severity"), [(0.5, None), (1.0, None), (1.01, Severity.P0), (9.0, Severity.P0), (None, None)]
)
def test_silence_breaks_only_a_latency_limit(waited, severity):
    problem = Problem(kind=ProblemKind.LATE, text="", waited_s=waited)

    assert severity == response(latency={"P2": "1s", "P1": "5s"}).no_answer(problem)
    assert response().no_answer(problem) is None


@pytest.mark.parametrize("kind", [ProblemKind.DENIED, ProblemKind.UNSUPPORTED, ProblemKind.UNSUPPLIED])
def test_other_problems_prove_nothing(kind):
    assert response(latency={"P2": "1s"}).no_answer(Problem(kind=kind, text="", waited_s=60)) is None


@pytest.mark.parametrize("command", [command for remedy in HttpResponse.remedies for command in remedy.commands])
def test_commands_are_well_formed_and_name_known_facts(command):
    assert [] == malformed(command)
    assert [] == unknown_names(command, response())
