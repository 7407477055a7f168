"""`pods/{name}/log`, over HTTP."""

from datetime import UTC, datetime, timedelta

import pytest

from opscheck.demo.kubernetes import LogLine, pod

LOG = "/api/v1/namespaces/shop/pods/web-1/log"
NOW = datetime.now(UTC)


@pytest.fixture(autouse=True)
def _four_hours_of_log(world):
    world.log("web-1", *(LogLine(NOW - timedelta(hours=age), f"line {age}") for age in (3, 2, 1, 0)), namespace="shop")


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ({}, "line 3\nline 2\nline 1\nline 0\n"),
        ({"sinceSeconds": 5400}, "line 1\nline 0\n"),
        ({"sinceTime": (NOW - timedelta(minutes=150)).isoformat()}, "line 2\nline 1\nline 0\n"),
        ({"tailLines": 1}, "line 0\n"),
        ({"tailLines": 0}, ""),
        ({"limitBytes": 10}, "line 3\nlin"),
        ({"sinceSeconds": 9000, "tailLines": 2, "limitBytes": 6}, "line 1"),
    ],
)
def test_log_is_limited_as_requested(client, query, text):
    answer = client.get(LOG, params=query)

    assert (200, text) == (answer.status_code, answer.text)
    assert "text/plain" == answer.headers["Content-Type"]


def test_lines_have_timestamps_on_request(client):
    (line,) = client.get(LOG, params={"timestamps": "true", "tailLines": 1}).text.splitlines()

    written, _, text = line.partition(" ")

    assert "line 0" == text
    assert NOW == datetime.fromisoformat(written[:26]).replace(tzinfo=UTC)
    assert written.endswith("000Z")


def test_log_of_several_containers_requires_a_name(world, client):
    world.add(pod("pair", "shop", containers=("app", "proxy")))
    world.log("pair", "from the proxy", namespace="shop", container="proxy")
    path = "/api/v1/namespaces/shop/pods/pair/log"

    refused = client.get(path)

    assert 400 == refused.status_code
    assert "a container name must be specified for pod pair, choose one of: [app proxy]" == refused.json()["message"]
    assert "from the proxy\n" == client.get(path, params={"container": "proxy"}).text
    assert (
        "container nope is not valid for pod pair" == client.get(path, params={"container": "nope"}).json()["message"]
    )


def test_log_before_the_last_restart_is_separate(world, client):
    refused = client.get(LOG, params={"previous": "true"})

    assert 'previous terminated container "app" in pod "web-1" not found' == refused.json()["message"]

    world.add(pod("web-1", "shop", restarts=1, terminated=NOW))
    world.log("web-1", "panic", namespace="shop", previous=True)

    assert "panic\n" == client.get(LOG, params={"previous": "true"}).text


def test_container_that_never_ran_has_no_log(world, client):
    world.add(pod("web-1", "shop", phase="Pending", waiting="ImagePullBackOff"))

    refused = client.get(LOG)

    assert 400 == refused.status_code
    assert (
        'container "app" in pod "web-1" is waiting to start: trying and failing to pull image'
        == refused.json()["message"]
    )


def test_container_that_crashes_still_has_its_log(world, client):
    world.add(pod("web-1", "shop", waiting="CrashLoopBackOff", terminated=NOW))

    assert client.get(LOG).text.endswith("line 0\n")


@pytest.mark.parametrize("query", [{"sinceSeconds": 1, "sinceTime": NOW.isoformat()}, {"tailLines": -1}])
def test_contradicting_options_are_refused(client, query):
    assert 422 == client.get(LOG, params=query).status_code


def test_missing_pod_has_no_log(client):
    assert 404 == client.get("/api/v1/namespaces/shop/pods/nope/log").status_code
