"""A certificate for loopback, and the authority that has issued it."""

import pytest

from tests.servers.tls import Chain, Issued


@pytest.fixture(name="chain", scope="module")
def _chain() -> Chain:
    return Chain.made()


@pytest.fixture(name="leaf", scope="module")
def _leaf(chain) -> Issued:
    return chain.leaf("127.0.0.1")


@pytest.fixture(name="ca_file")
def _ca_file(chain, tmp_path) -> str:
    return str(chain.root.write(tmp_path / "ca.pem", key=False))
