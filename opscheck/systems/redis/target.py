"""Redis and Valkey targets: one server, or the servers of a replication set or cluster."""

from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, model_validator
from pydantic_core import PydanticCustomError

from opscheck.core.addresses import FilePath, url_with
from opscheck.core.target import Target, without_credentials

SCHEMES = ("redis", "rediss", "unix", "redis+unix", "valkey", "valkeys")


class RedisTarget(Target, kind="redis"):
    """A Redis or Valkey server, or the servers of one set or cluster, each of which is asked and judged."""

    url_schemes = SCHEMES

    url: Annotated[SecretStr, url_with(*SCHEMES, example="redis://cache.example.com:6379")]
    """
    redis://, rediss:// (TLS) or unix:// with user and password where needed.

    Several servers of one set or cluster are separated by commas, `redis://user:password@one:6379,two:6379`. With
    `sentinel`, these are the sentinels. Which database it names makes no difference.
    """
    nodes: Literal["named", "replicas", "cluster"] = "named"
    """
    Which servers are asked: those that `url` names, also the `replicas` that its primary or the sentinels know of, or
    all of the `cluster` that its servers belong to.
    """
    sentinel: Annotated[str, Field(min_length=1)] | None = None
    """
    What sentinels call the primary.

    They are asked where it is; the user and password in `url` are those of the servers.
    """
    sentinel_login: SecretStr | None = None
    """What the sentinels want, as `user:password` or `:password`, where they want something."""
    ca_file: Annotated[str, FilePath] | None = None
    """PEM file of the authorities to trust instead of the system's."""
    client_certificate: Annotated[str, FilePath] | None = None
    """PEM file with a client certificate and its key."""

    @property
    def address(self) -> str:
        """Host, port and database number."""
        return without_credentials(self.url.get_secret_value())

    @property
    def finds(self) -> str:
        """How servers are found that `url` does not name; empty where none are."""
        if self.sentinel is None:
            return "" if self.nodes == "named" else self.nodes
        return "sentinel, replicas" if self.nodes == "replicas" else "sentinel"

    @property
    def is_one_server(self) -> bool:
        """Whether it is the one server that `url` names."""
        return not self.finds and "," not in self.address

    def address_of(self, node: str) -> str:
        """The URL of one of its servers, which is host:port or the path of a socket, without credentials."""
        if self.is_one_server:
            return self.address
        return f"{self.address.partition('://')[0]}://{node}"

    def facts(self) -> dict[str, str]:
        """Its `url`, so that a command reaches the server as opscheck did; none where there may be several."""
        return {"url": self.url.get_secret_value()} if self.is_one_server else {}

    @model_validator(mode="after")
    def _sentinels_watch_no_cluster(self) -> Self:
        if self.sentinel is not None and self.nodes == "cluster":
            raise PydanticCustomError("sentinel_cluster", "`nodes: replicas` or none: sentinels watch no cluster")
        return self
