"""Host targets."""

from pydantic import SecretStr

from opscheck.core.target import Target, without_credentials
from opscheck.core.units import PositiveCount


class HostTarget(Target, kind="host"):
    """A machine, container or pod whose commands answer; any testinfra host."""

    uri: SecretStr
    """A testinfra address: local://, ssh://user@host, docker://name, kubectl://pod?namespace=name."""
    concurrency: PositiveCount = 4
    """How many commands run there at the same time."""
    keystore_password: SecretStr | None = None
    """What opens the PKCS#12 files there, for checks of certificates."""

    @property
    def address(self) -> str:
        """The testinfra address without credentials."""
        uri = self.uri.get_secret_value()
        # A host name alone is an address to testinfra: it is reached by SSH.
        return without_credentials(uri) if "://" in uri or uri.startswith("${") else uri.rpartition("@")[2]
