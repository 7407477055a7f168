"""The environment's proxy for a server."""

import pytest

from opscheck.transport.proxies import environment_proxy

PROXY = "http://proxy.example:3128"


@pytest.fixture(autouse=True)
def _environment(monkeypatch):
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv("HTTPS_PROXY", PROXY)
    monkeypatch.setenv("NO_PROXY", "inside.example")


@pytest.mark.parametrize(
    ("server", "proxy"),
    [
        ("https://s3.example.com", PROXY),
        ("https://s3.example.com:8443/bucket?a=b", PROXY),
        ("http://s3.example.com", None),
        ("https://s3.inside.example", None),
        ("https://localhost:9000", None),
        ("https://127.0.0.1:9000", None),
        ("https://[::1]:9000", None),
    ],
)
def test_proxy_applies_to_remote_servers_only(server, proxy):
    assert proxy == environment_proxy(server)
