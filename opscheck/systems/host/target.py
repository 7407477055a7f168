"""Host targets."""

from typing import Annotated

from pydantic import SecretStr

from opscheck.core.addresses import url_with
from opscheck.core.target import Target, without_credentials
from opscheck.core.units import PositiveCount

# Those of testinfra's backends that reach one machine. `ssh` twice: it is proposed.
_SCHEMES = [
    "ssh",
    "local",
    "safe-ssh",
    "paramiko",
    "docker",
    "podman",
    "kubectl",
    "openshift",
    "lxc",
    "salt",
    "ansible",
    "chroot",
    "winrm",
]


class HostTarget(Target, kind="host"):
    """A machine, container or pod that runs commands; any testinfra host."""

    url_schemes = ("ssh", "docker", "kubectl")

    uri: Annotated[SecretStr, url_with(*_SCHEMES, example="ssh://user@host", also=lambda uri: "://" not in uri)]
    """A testinfra address: local://, ssh://user@host, docker://name, kubectl://pod?namespace=name."""
    concurrency: PositiveCount = 4
    """Maximum number of commands that run there concurrently."""
    keystore_password: SecretStr | None = None
    """Password of the PKCS#12 files there, for checks of certificates."""

    @property
    def address(self) -> str:
        """The testinfra address without credentials."""
        uri = self.uri.get_secret_value()
        # To testinfra a bare host name is an address: it connects by SSH.
        return without_credentials(uri) if "://" in uri or uri.startswith("${") else uri.rpartition("@")[2]
