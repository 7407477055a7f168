"""CAs, and names that resolve to loopback."""

import pytest

from tests.servers.tls import DAY, Chain, issued, resolve, rsa_key


@pytest.fixture(name="chain", scope="module")
def _chain() -> Chain:
    return Chain.made()


@pytest.fixture(name="stranger", scope="module")
def _stranger() -> Chain:
    return Chain.made()


@pytest.fixture(name="rsa", scope="module")
def _rsa() -> Chain:
    root = issued("RSA Root", authority=True, key=rsa_key(2048), begins=-3000 * DAY, ends=3000 * DAY)
    return Chain(root, issued("RSA Issuing", root, authority=True, key=rsa_key(2048), ends=1000 * DAY))


@pytest.fixture(name="ca_file")
def _ca_file(chain, rsa, tmp_path) -> str:
    path = tmp_path / "ca.pem"
    path.write_bytes(chain.root.pem + rsa.root.pem)
    return str(path)


@pytest.fixture(name="resolved")
def _resolved(monkeypatch) -> None:
    resolve(monkeypatch, "127.0.0.1")
