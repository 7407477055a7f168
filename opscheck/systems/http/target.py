"""HTTP targets."""

from typing import Annotated, ClassVar

from pydantic import Field, SecretStr

from opscheck.core.addresses import FilePath, url_with
from opscheck.core.field_types import only
from opscheck.core.target import Target, without_credentials

BaseUrl = Annotated[
    SecretStr,
    url_with("https", "http", example="https://api.example.com"),
    only(
        lambda url: not set("?#") & set(url.get_secret_value()) or "${" in url.get_secret_value(),
        "base_url",
        "a URL without `?` and `#`: paths are appended to it",
    ),
]


class HttpTarget(Target, kind="http"):
    """An HTTP or HTTPS API."""

    url_schemes: ClassVar[tuple[str, ...]] = ("http", "https")

    base_url: BaseUrl
    """Where paths start, such as https://api.example.com."""
    headers: dict[str, SecretStr] = Field(default={})
    """Sent with every request."""
    ca_file: Annotated[str, FilePath] | None = None
    """PEM file of the authorities to trust instead of the system's."""
    client_certificate: Annotated[str, FilePath] | None = None
    """PEM file with a client certificate and its key."""

    @property
    def address(self) -> str:
        """The base URL without credentials."""
        return without_credentials(self.base_url.get_secret_value())

    def facts(self) -> dict[str, str]:
        """Its `base_url`, without credentials, ready for a path that starts with a slash."""
        return {"base_url": self.address.rstrip("/")}
