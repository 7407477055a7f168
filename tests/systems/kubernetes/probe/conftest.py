"""A small cluster, reached as a policy's target reaches it."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import trustme
import yaml

from opscheck import KubernetesTarget
from opscheck.demo.kubernetes import KubernetesApi, World, node, node_metrics, pod, pod_metrics
from opscheck.systems.kubernetes.probe import KubernetesSession, open_session


@pytest.fixture(name="world")
def _world() -> World:
    """A node, two pods in `shop` and one in `other`, all measured."""
    return World(
        node("node-1"),
        node_metrics("node-1", "1", "4Gi"),
        pod("web-1", "shop", labels={"app": "web"}),
        pod("web-2", "shop", labels={"app": "web"}),
        pod("api-1", "other", labels={"app": "api"}),
        pod_metrics("web-1", "shop", app=("100m", "64Mi")),
    )


@pytest.fixture(name="api")
def _api(world: World) -> Iterator[KubernetesApi]:
    with KubernetesApi(world) as api:
        yield api


@pytest.fixture(name="opened")
def _opened(api: KubernetesApi, tmp_path: Path) -> Iterator[Callable[..., KubernetesSession]]:
    """Open a session; the keywords are those of the target, without any that of the small cluster."""
    with ExitStack() as stack:

        def opened(timeout_s: float = 5.0, **fields) -> KubernetesSession:
            given = {"kubeconfig": str(api.kubeconfig(tmp_path / "config")), "namespace": "shop"} | fields
            session = open_session(KubernetesTarget(kind="kubernetes", **given), timeout_s)
            stack.callback(session.close)
            return session

        yield opened


@pytest.fixture(name="session")
def _session(opened) -> KubernetesSession:
    return opened()


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(monkeypatch, tmp_path):
    for name in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST", "HTTPS_PROXY", "HTTP_PROXY", "https_proxy", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


@pytest.fixture(name="authority", scope="module")
def _authority():
    return trustme.CA()


@pytest.fixture(name="config")
def _config(api, tmp_path):
    """Write the small cluster's kubeconfig with changes to its cluster, user and context; return its path."""

    def config(*, server=api, user=None, cluster=None) -> Path:
        """None in `user` or `cluster` takes a field away."""
        path = server.kubeconfig(tmp_path / "config")
        written = yaml.safe_load(path.read_text())
        for section, entry, changes in (("users", "user", user), ("clusters", "cluster", cluster)):
            merged = written[section][0][entry] | (changes or {})
            written[section][0][entry] = {name: value for name, value in merged.items() if value is not None}
        path.write_text(yaml.safe_dump(written))
        return path

    return config
