"""One small cluster and a client that talks plain HTTP to it."""

from collections.abc import Iterator

import httpx
import pytest

from opscheck.demo.kubernetes import KubernetesApi, World, node, pod


@pytest.fixture(name="world")
def _world() -> World:
    """Two nodes, four pods in `shop` and one in `other`."""
    return World(
        node("node-1"),
        node("node-2"),
        pod("web-1", "shop", labels={"app": "web", "tier": "front"}),
        pod("web-2", "shop", labels={"app": "web"}, node="node-2"),
        pod("worker-1", "shop", labels={"app": "worker", "tier": "back"}, phase="Pending"),
        pod("job-1", "shop", phase="Succeeded"),
        pod("web-1", "other", labels={"app": "web"}),
    )


@pytest.fixture(name="api")
def _api(world: World) -> Iterator[KubernetesApi]:
    with KubernetesApi(world) as api:
        yield api


@pytest.fixture(name="client")
def _client(api: KubernetesApi) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {api.token}"}
    with httpx.Client(base_url=api.url, headers=headers, timeout=10, trust_env=False) as client:
        yield client


@pytest.fixture(name="names")
def _names(client):
    """Ask for a list and return the names in it."""

    def names(path: str, **query: str | int) -> list[str]:
        answer = client.get(path, params=query)
        assert answer.status_code == 200, answer.text
        return [item["metadata"]["name"] for item in answer.json()["items"]]

    return names
