"""Equal HTTP requests."""

from opscheck.systems.http.request import HttpRequest


def test_equivalent_requests_are_equal():
    one = HttpRequest("api", path="v1/health", headers=(("X-A", "1"), ("Accept", "text/html")))
    other = HttpRequest("api", path="/v1/health", headers=(("accept", "text/html"), ("x-a", "1")))

    assert 1 == len({one, other})


def test_requests_to_two_targets_are_two():
    assert HttpRequest("api") != HttpRequest("other")


def test_a_request_reads_as_people_write_it():
    assert "GET /v1/health" == HttpRequest("api", path="/v1/health").text()
    assert "HEAD /, 5 times" == HttpRequest("api", method="HEAD", samples=5).text()
