"""HTTP targets."""

from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import Field, SecretStr

from opscheck.core.addresses import FilePath, url_with
from opscheck.core.field_types import only
from opscheck.core.remedy import Fact
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
    """The URL that paths are appended to, such as https://api.example.com."""
    headers: dict[str, SecretStr] = Field(default={})
    """Headers of every request."""
    ca_file: Annotated[str, FilePath] | None = None
    """PEM file of the CAs to trust instead of the system's trust store."""
    client_certificate: Annotated[str, FilePath] | None = None
    """PEM file with a client certificate and its key."""

    @property
    def address(self) -> str:
        """The base URL without credentials."""
        return without_credentials(self.base_url.get_secret_value())

    def facts(self) -> Mapping[str, Fact]:
        """Its `base_url`, ready for a path that starts with a slash, and the `curl_options` for its headers and TLS."""
        options = [("-H", f"{name}: {value.get_secret_value()}") for name, value in self.headers.items()]
        files = {"--cacert": self.ca_file, "--cert": self.client_certificate}
        options += [(option, file) for option, file in files.items() if file]
        return {
            "base_url": self.base_url.get_secret_value().rstrip("/"),
            "curl_options": tuple(word for option in options for word in option),
        }
