"""A server that misbehaves, as a client sees it."""

import time

import httpx
import pytest

from opscheck.demo.kubernetes import KubernetesApi, scripts, statuses

PODS = "/api/v1/namespaces/shop/pods"


def test_script_plays_a_number_of_times_then_ends(api, client):
    api.answer(PODS, statuses.too_many_requests(retry_after=7), times=2)

    assert [429, 429, 200] == [client.get(PODS).status_code for _ in range(3)]


def test_priority_and_fairness_refuses_with_retry_after(api, client):
    api.answer(PODS, statuses.too_many_requests(retry_after=7))

    refused = client.get(PODS)

    assert "7" == refused.headers["Retry-After"]
    assert refused.text.startswith("Too many requests")


def test_storage_refuses_with_a_status(api, client):
    api.answer(PODS, statuses.too_many_requests_status(retry_after=3))

    assert 3 == client.get(PODS).json()["details"]["retryAfterSeconds"]


def test_aggregated_api_that_is_down_is_unavailable(api, client):
    api.answer("/apis/metrics.k8s.io", statuses.unavailable())
    api.answer("/api/v1/nodes", statuses.unavailable_status())

    assert (503, "service unavailable\n") == (
        (answer := client.get("/apis/metrics.k8s.io/v1beta1/nodes")).status_code,
        answer.text,
    )
    assert "ServiceUnavailable" == client.get("/api/v1/nodes").json()["reason"]
    assert 200 == client.get(PODS).status_code


def test_scripts_play_in_their_order(api, client):
    api.answer(PODS, statuses.unavailable(), times=1)
    api.answer(PODS, scripts.respond_with(500, {"message": "boom"}), times=1)

    assert [503, 500, 200] == [client.get(PODS).status_code for _ in range(3)]


def test_script_applies_to_matching_requests_only(api, client):
    api.answer("/", statuses.unavailable(), when=lambda request: request.query.get("limit") == "1")

    assert 200 == client.get(PODS).status_code
    assert 503 == client.get(PODS, params={"limit": 1}).status_code

    api.behave()

    assert 200 == client.get(PODS, params={"limit": 1}).status_code


def test_proxy_in_front_answers_with_a_page(api, client):
    api.answer(PODS, scripts.html())

    page = client.get(PODS)

    assert page.headers["Content-Type"].startswith("text/html")
    assert page.text.startswith("<!DOCTYPE html>")


@pytest.mark.parametrize(
    "script",
    [scripts.never(), scripts.trickle(60), scripts.trickle(60, head_too=True)],
    ids=["says nothing", "trickles the body", "trickles the head"],
)
def test_silent_server_sends_no_answer(api, client, script):
    api.answer(PODS, script)

    with pytest.raises(httpx.ReadTimeout):
        client.get(PODS, timeout=0.2)


def test_slow_answer_arrives_completely(api, client):
    api.answer("/healthz", scripts.trickle(0.001))

    assert "ok" == client.get("/healthz").text


def test_late_answer_is_the_usual_one(api, client):
    api.answer("/healthz", scripts.late(0.05))

    assert "ok" == client.get("/healthz").text


def test_truncated_body_ends_early(api, client):
    api.answer(PODS, scripts.truncated())

    with pytest.raises(httpx.RemoteProtocolError):
        client.get(PODS)


def test_server_may_close_the_connection(api, client):
    api.answer(PODS, scripts.hang_up())

    with pytest.raises(httpx.RemoteProtocolError):
        client.get(PODS)


def test_close_does_not_wait_for_open_requests(world):
    api = KubernetesApi(world)
    api.answer("/", scripts.never())
    with httpx.Client(base_url=api.url, timeout=0.1) as client, pytest.raises(httpx.ReadTimeout):
        client.get("/version")

    started = time.monotonic()
    api.close()
    api.close()

    assert time.monotonic() - started < 4  # a thread that does not end is given 5 seconds
