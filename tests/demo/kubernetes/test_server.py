"""What leads a client to the server."""

import stat

import kubernetes.client
import kubernetes.config
import pytest
import urllib3

from opscheck.demo import certificates
from opscheck.demo.kubernetes import KubernetesApi


def by_kubeconfig(path) -> kubernetes.client.ApiClient:
    configuration = kubernetes.client.Configuration()
    kubernetes.config.load_kube_config(str(path), client_configuration=configuration)
    return kubernetes.client.ApiClient(configuration)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_official_client_connects_with_the_kubeconfig(world, tmp_path, scheme):
    with KubernetesApi(world, tls=certificates.issue() if scheme == "https" else None) as api:
        path = api.kubeconfig(tmp_path / "kubeconfig", namespace="shop")
        with by_kubeconfig(path) as client:
            found = kubernetes.client.CoreV1Api(client).list_namespaced_pod("shop", label_selector="app=web")

    assert api.url.startswith(f"{scheme}://127.0.0.1:")
    assert ["web-1", "web-2"] == [pod.metadata.name for pod in found.items]


def test_client_without_the_ca_cannot_connect(world):
    with (
        KubernetesApi(world, tls=certificates.issue()) as api,
        urllib3.PoolManager(retries=False) as pool,
        pytest.raises(urllib3.exceptions.SSLError),
    ):
        pool.request("GET", f"{api.url}/version")


def test_kubeconfig_is_private_and_can_impersonate(api, tmp_path):
    path = api.kubeconfig(tmp_path / "kubeconfig", context="staging", impersonate="maria")
    written = path.read_text()

    assert 0o600 == stat.S_IMODE(path.stat().st_mode)
    assert "current-context: staging" in written
    assert "as: maria" in written


def test_each_server_has_its_own_token(world):
    with KubernetesApi(world) as one, KubernetesApi(world) as other:
        assert one.token != other.token
        assert one.port != other.port
