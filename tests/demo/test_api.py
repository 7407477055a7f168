"""The application's HTTPS API."""

import ssl
from collections.abc import Iterator

import httpx
import pytest

from opscheck.demo import certificates
from opscheck.demo.api import DemoApi


@pytest.fixture(name="api")
def _api() -> Iterator[DemoApi]:
    with DemoApi() as api:
        yield api


@pytest.fixture(name="client")
def _client(api) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {api.token}"}
    with httpx.Client(base_url=api.url, headers=headers, trust_env=False) as client:
        yield client


def test_healthy_api_reports_ok(client):
    answer = client.get("/v1/health")

    assert (200, {"status": "ok"}) == (answer.status_code, answer.json())


def test_changed_health_is_reported(api, client):
    api.say(503, "degraded")

    answer = client.get("/v1/health")

    assert (503, {"status": "degraded"}) == (answer.status_code, answer.json())


def test_changed_metrics_are_reported_as_numbers(api, client):
    api.measure(active_workflows=5000)

    found = client.get("/v1/metrics").json()["system_metrics"]

    assert {"active_workflows", "queue_depth", "error_rate", "average_response_time"} == set(found)
    assert 5000 == found["active_workflows"]


def test_list_of_running_workflows_matches_their_count(api, client):
    api.measure(active_workflows=3)

    found = client.get("/v1/orchestration/workflows", params={"status": "running"}).json()["workflows"]

    assert ["running"] * 3 == [workflow["status"] for workflow in found]


@pytest.mark.parametrize("path", ["/v1/health", "/v1/metrics", "/v1/orchestration/workflows"])
@pytest.mark.parametrize("authorization", ["", "Bearer wrong", "Basic abc"])
def test_request_without_the_token_is_unauthorized(client, path, authorization):
    assert 401 == client.get(path, headers={"Authorization": authorization}).status_code


def test_unknown_path_is_not_found_and_writes_are_refused(client):
    assert 404 == client.get("/v2").status_code
    assert 405 == client.post("/v1/health").status_code


def test_api_over_tls_is_trusted_with_its_ca_only(tmp_path):
    tls = certificates.issue()
    bundle = certificates.write_bundle(tmp_path / "authorities.pem", tls.authority)
    with DemoApi(tls=tls) as api:
        trusting = httpx.Client(verify=ssl.create_default_context(cafile=str(bundle)), trust_env=False)
        with trusting, httpx.Client(trust_env=False) as doubting:
            assert 401 == trusting.get(f"{api.url}/v1/health").status_code
            with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
                doubting.get(f"{api.url}/v1/health")
