"""What is proposed for real HTTP servers."""

import pytest

from opscheck.demo.serving import Response
from opscheck.systems.http.discovery import discover
from tests.discovery.looking import discovered, proposals


def answering(status, path="/"):
    """Answers with `status` at `path`, and with 404 elsewhere."""
    return lambda exchange: exchange.send(Response(status=status if exchange.request.path == path else 404))


@pytest.mark.parametrize(
    ("status", "fields"),
    [(200, {}), (204, {}), (302, {"status": 302}), (401, {"status": 401}), (403, {"status": 403}), (500, {})],
)
def test_endpoint_is_proposed_by_its_answer(serve, status, fields):
    server = serve(answering(status))

    found = discovered(discover, API_URL=server.url)

    assert [(one.id, one.fields) for one in found.targets] == [("api", {"kind": "http", "base_url": "${API_URL}"})]
    assert proposals(found)["api-response"].fields == {"path": "/", **fields, "latency": {"P2": "1s", "P1": "5s"}}
    assert f"it answers {status}" in proposals(found)["api-response"].reason


def test_url_with_a_path_is_requested_as_it_is(serve):
    server = serve(answering(200, "/v1/health"))

    found = proposals(discovered(discover, API_URL=f"{server.url}/v1/health"))

    assert [request.path for request in server.requests] == ["/v1/health"]
    assert found["api-response"].fields["path"] == ""


def test_slow_endpoint_gets_twice_its_time(serve):
    def slowly(exchange):
        exchange.pause(0.7)
        exchange.send(Response())

    found = proposals(discovered(discover, API_URL=serve(slowly).url))

    assert found["api-response"].fields["latency"] == {"P2": "2s", "P1": "10s"}


def test_page_that_is_missing_is_not_proposed(serve):
    found = discovered(discover, API_URL=serve(answering(404)).url)

    assert (found.targets, found.proposals) == ((), ())
    assert found.not_seen == ("api: not proposed: it answers 404; add http.response with the `path` of a health page",)


def test_url_with_a_query_is_not_proposed():
    found = discovered(discover, API_URL="http://127.0.0.1:1/?token=planted-4711")

    assert (found.targets, found.proposals) == ((), ())
    assert "invalid base_url" in found.not_seen[0]
    assert "planted-4711" not in repr(found)


def test_endpoint_that_is_down_is_proposed_as_it_should_be():
    found = discovered(discover, API_URL="http://a:planted-4711@127.0.0.1:1/")

    assert proposals(found)["api-response"].fields == {"path": "/", "latency": {"P2": "1s", "P1": "5s"}}
    assert found.not_seen[0].startswith("api: answer not read: ")
    assert "planted-4711" not in repr(found)
