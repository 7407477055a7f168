"""Redirects are followed on request, to any origin; credentials stay at the target."""

import pytest

from opscheck.core.observation import ProblemKind
from opscheck.demo.serving import Exchange, Response
from opscheck.systems.http.request import HttpRequest
from tests.servers.web import OK, problem_of


def redirecting(exchange: Exchange, location: str, status: int = 302) -> None:
    exchange.send(Response(status=status, headers={"Location": location}))


def test_the_first_answer_is_the_answer(serve, session):
    server = serve(lambda exchange: redirecting(exchange, "/login"))

    answer = session(server).ask(HttpRequest("api"), 5)

    assert (302, ()) == (answer.status, answer.redirects)
    assert "/login" == answer.headers["location"]


@pytest.mark.parametrize("location", ["/b", "b", "?x=1", "//{authority}/b", "http://{authority}/b"])
def test_relative_redirects_are_followed(serve, session, location):
    def answer(exchange: Exchange) -> None:
        if len(server.requests) == 1:
            redirecting(exchange, location.format(authority=f"127.0.0.1:{server.port}"))
        else:
            exchange.send(OK)

    server = serve(answer)
    answer = session(server, headers={"X-Key": "k"}).ask(HttpRequest("api", path="/a", follow_redirects=True), 5)

    assert 200 == answer.status
    assert (answer.final_url,) == answer.redirects
    assert "k" == server.requests[1].headers["x-key"]


def test_credentials_stay_at_the_target(serve, session):
    other = serve(lambda exchange: exchange.send(OK))
    server = serve(lambda exchange: redirecting(exchange, f"{other.url}/in"))
    one = session(server, headers={"Authorization": "Bearer geheim", "X-Api-Key": "geheim"})

    answer = one.ask(HttpRequest("api", headers=(("X-Tenant", "geheim"),), follow_redirects=True), 5)

    assert f"{other.url}/in" == answer.final_url
    assert "geheim" not in str(other.requests[0])


def test_redirect_to_a_down_origin_does_not_mark_the_target_down(serve, session):
    server = serve(lambda exchange: redirecting(exchange, "http://127.0.0.1:1/"))
    one = session(server)

    problem = problem_of(lambda: one.ask(HttpRequest("api", follow_redirects=True), 5))

    assert "connection refused by 127.0.0.1:1" == problem.text
    assert not problem.target_down


def test_a_loop_of_redirects_ends(serve, session):
    one = session(serve(lambda exchange: redirecting(exchange, "/again")))

    problem = problem_of(lambda: one.ask(HttpRequest("api", follow_redirects=True), 5))

    assert ProblemKind.UNREADABLE is problem.kind
    assert "redirects more than 10 times" in problem.text


@pytest.mark.parametrize("location", ["ftp://x/", "javascript:alert(1)", "http://[", ""])
def test_a_redirect_to_nowhere_is_the_answer(serve, session, location):
    server = serve(lambda exchange: redirecting(exchange, location or "mailto:x"))

    assert 302 == session(server).ask(HttpRequest("api", follow_redirects=True), 5).status
