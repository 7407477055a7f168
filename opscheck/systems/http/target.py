"""HTTP targets."""

from pydantic import Field, SecretStr

from opscheck.core.target import Target, without_credentials


class HttpTarget(Target, kind="http"):
    """An HTTP or HTTPS API."""

    base_url: SecretStr
    """Where paths start, such as https://api.example.com."""
    headers: dict[str, SecretStr] = Field(default={})
    """Sent with every request."""
    ca_file: str | None = None
    """PEM file of the authorities to trust instead of the system's."""
    client_certificate: str | None = None
    """PEM file with a client certificate and its key."""

    @property
    def address(self) -> str:
        """The base URL without credentials."""
        return without_credentials(self.base_url.get_secret_value())

    def facts(self) -> dict[str, str]:
        """Its `base_url`, without credentials, ready for a path that starts with a slash."""
        return {"base_url": self.address.rstrip("/")}
