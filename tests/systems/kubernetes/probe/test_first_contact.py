"""The first contact with a cluster: what stands in the way is said before any question is asked."""

import pytest

from opscheck.core.observation import ProbeError, Problem, ProblemKind
from opscheck.demo.kubernetes import Response, scripts, statuses
from tests.systems.kubernetes.probe.sessions import SHOP, names

PATIENCE = 1.0


def contact(opened, **fields) -> Problem:
    with pytest.raises(ProbeError) as caught:
        opened(**fields)
    return caught.value.problem


@pytest.mark.parametrize("answer", [statuses.unauthorized(), statuses.unknown_path(), Response(500, b"boom")])
def test_a_server_that_does_not_tell_its_version_is_there(api, opened, answer):
    api.answer("/version", answer)

    assert ["web-1", "web-2"] == names(opened().ask(SHOP, 5))


def test_a_server_behind_a_proxy_that_says_503_is_down(api, opened):
    api.answer("/version", statuses.unavailable())

    problem = contact(opened)

    assert (ProblemKind.UNREACHABLE, True) == (problem.kind, problem.target_down)
    assert f"127.0.0.1:{api.port} answered 503: service unavailable" == problem.text


def test_something_else_than_kubernetes_is_told_as_that(api, opened):
    api.answer("/version", scripts.html())

    problem = contact(opened)

    assert (ProblemKind.UNREADABLE, True) == (problem.kind, problem.target_down)
    assert "is not a Kubernetes API: it answered 'an HTML page, as from a proxy' to GET /version" in problem.text
    assert "correct the kubeconfig's `server`" == problem.advice


def test_a_server_that_refuses_connections_is_down(api, opened):
    port = api.port
    api.close()

    problem = contact(opened)

    assert (ProblemKind.UNREACHABLE, True) == (problem.kind, problem.target_down)
    assert f"connection refused by 127.0.0.1:{port}" == problem.text


def test_a_server_that_goes_away_is_down(api, session):
    api.close()

    with pytest.raises(ProbeError) as caught:
        session.ask(SHOP, 5)
    problem = caught.value.problem

    assert (ProblemKind.UNREACHABLE, True) == (problem.kind, problem.target_down)


def test_a_server_that_never_answers_is_down_after_one_time_out(api, opened):
    api.answer("/version", scripts.never())

    problem = contact(opened, timeout_s=PATIENCE)

    assert (ProblemKind.LATE, "no answer in 1 s", True) == (problem.kind, problem.text, problem.target_down)
