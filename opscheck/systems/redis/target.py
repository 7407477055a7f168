"""Redis and Valkey targets: one server, or the servers of a replication set or cluster."""

from collections.abc import Mapping
from typing import Annotated, Literal, Self
from urllib.parse import unquote

from pydantic import Field, SecretStr, model_validator
from pydantic_core import PydanticCustomError

from opscheck.core.addresses import FilePath, url_with
from opscheck.core.remedy import Fact
from opscheck.core.target import Target, without_credentials

_PORT = "6379"
# redis-cli supports neither Unix sockets in a URL, nor valkey://.
_NO_URL = ("unix:", "redis+unix:", "valkey:", "valkeys:")
SCHEMES = ("redis", "rediss", "unix", "redis+unix", "valkey", "valkeys")


class RedisTarget(Target, kind="redis"):
    """A Redis or Valkey server, or the servers of one set or cluster; each of them is queried and judged."""

    url_schemes = SCHEMES

    url: Annotated[SecretStr, url_with(*SCHEMES, example="redis://cache.example.com:6379")]
    """
    redis://, rediss:// (TLS) or unix:// with user and password where needed.

    Several servers of one set or cluster are separated by commas: `redis://user:password@one:6379,two:6379`. With
    `sentinel`, these are the sentinels. The database number is ignored.
    """
    nodes: Literal["named", "replicas", "cluster"] = "named"
    """
    The queried servers: `named` in `url`, also the `replicas` that the primary or the sentinels report, or all nodes of
    the `cluster`.
    """
    sentinel: Annotated[str, Field(min_length=1)] | None = None
    """
    The name of the primary at the sentinels.

    They report its address. User and password in `url` are those of the servers.
    """
    sentinel_login: SecretStr | None = None
    """Credentials of the sentinels, as `user:password` or `:password`."""
    ca_file: Annotated[str, FilePath] | None = None
    """PEM file of the CAs to trust instead of the system's trust store."""
    client_certificate: Annotated[str, FilePath] | None = None
    """PEM file with a client certificate and its key."""

    @property
    def address(self) -> str:
        """Host, port and database number."""
        return without_credentials(self.url.get_secret_value())

    @property
    def finds(self) -> str:
        """The discovery of servers beyond `url`; empty for none."""
        if self.sentinel is None:
            return "" if self.nodes == "named" else self.nodes
        return "sentinel, replicas" if self.nodes == "replicas" else "sentinel"

    @property
    def is_one_server(self) -> bool:
        """True when it is the one server that `url` names."""
        return not self.finds and "," not in self.address

    def address_of(self, node: str) -> str:
        """The URL of one of its servers, which is host:port or the path of a socket, without credentials."""
        if self.is_one_server:
            return self.address
        return f"{self.address.partition('://')[0]}://{node}"

    @property
    def hides_password(self) -> bool:
        """True when commands need the password in REDISCLI_AUTH: they cannot contain the `url` itself."""
        return bool(self._login[1]) and not self._is_url_of_redis_cli

    def connection_to(self, node: str) -> tuple[str, ...]:
        """The options of redis-cli for one of its servers, without a password unless it is in the `url`."""
        scheme, (user, password) = self.address.partition("://")[0], self._login
        host, _, port = node.rpartition(":")
        if self._is_url_of_redis_cli:
            # Without a user in the URL redis-cli sends an empty one, which no server has.
            user = "default" if password and not user else ""
            options: tuple[str, ...] = ("-u", self.url.get_secret_value())
        elif "unix" in scheme:
            options = ("-s", node)
        else:
            options = ("-h", host.strip("[]"), "-p", port, *["--tls"] * (scheme in {"rediss", "valkeys"}))
        options += ("--user", user) if user else ()
        options += ("--cacert", self.ca_file) if self.ca_file else ()
        certificate = self.client_certificate
        return options + (("--cert", certificate, "--key", certificate) if certificate else ())

    @property
    def _is_url_of_redis_cli(self) -> bool:
        return self.is_one_server and not self.address.startswith(_NO_URL)

    @property
    def _login(self) -> tuple[str, str]:
        user, _, password = self.url.get_secret_value().partition("://")[2].rpartition("@")[0].partition(":")
        return unquote(user), password

    def facts(self) -> Mapping[str, Fact]:
        """Its `url`, and the `connection` options of redis-cli; none where there may be several servers."""
        if not self.is_one_server:
            return {}
        node = self.address.partition("://")[2]
        if "unix:" not in self.address:
            host = node.partition("/")[0]
            node = host if host.rpartition("]")[2].count(":") else f"{host}:{_PORT}"
        return {"url": self.url.get_secret_value(), "connection": self.connection_to(node)}

    @model_validator(mode="after")
    def _sentinels_watch_no_cluster(self) -> Self:
        if self.sentinel is not None and self.nodes == "cluster":
            raise PydanticCustomError(
                "sentinel_cluster", "no `nodes: cluster` with `sentinel`, which never monitors one"
            )
        return self
