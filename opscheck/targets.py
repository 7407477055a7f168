"""The kinds of system that opscheck can reach, and what a policy says of each."""

import re
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    SecretStr,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError, core_schema

from opscheck.units import PositiveCount, Timeout

_REFERENCE = re.compile(r"\$\{\w+\}")
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/?#]*)(.*)", re.DOTALL)
_USER_AND_PASSWORD = re.compile(r"[^:@\[]*:[^@]*[^@0-9][^@]*")
_LIBPQ_WORD = re.compile(r"(\w+)\s*=\s*('(?:\\.|[^'\\])*'|\S*)", re.DOTALL)


class Target(BaseModel):
    """
    One system that can be reached. Subclass it with `kind="…"` to add a kind.

    In an expectation a target is written as its name; validation looks the name up.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True, use_attribute_docstrings=True)

    kinds: ClassVar[dict[str, type["Target"]]] = {}

    name: str = Field(default="", exclude=True, repr=False)
    """The target's name in the policy; never written inside the target itself."""
    kind: str
    """What kind of system this is."""
    timeout: Timeout | None = None
    """How long one question to this target may take, where an expectation says nothing else."""
    concurrency: PositiveCount = 16
    """How many questions this target is asked at the same time."""

    def __init_subclass__(cls, kind: str = "", **options: Any) -> None:
        super().__init_subclass__(**options)
        if kind:
            cls.kinds[kind] = cls

    @classmethod
    def __pydantic_init_subclass__(cls, kind: str = "", **options: Any) -> None:
        """Pydantic hands the class keywords over a second time; there is nothing left to do."""

    @classmethod
    def own_kinds(cls) -> list[str]:
        """The kinds, as a policy writes them, that are this class or come from it."""
        return sorted(kind for kind, known in cls.kinds.items() if issubclass(known, cls))

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.with_info_before_validator_function(cls._look_up, handler(source))

    @classmethod
    def _look_up(cls, value: object, info: ValidationInfo) -> object:
        targets = (info.context or {}).get("targets")
        if targets is None or isinstance(value, Target):  # pydantic comes here a second time with what was found
            return value
        if not isinstance(value, str) or value not in targets:
            raise PydanticCustomError("unknown_target", "the name of a target", {"known": sorted(targets)})
        if not isinstance(targets[value], cls):
            raise PydanticCustomError(
                "wrong_kind",
                "a target of kind {kinds}; {name} is of kind {kind}",
                {"kinds": " or ".join(cls.own_kinds()), "name": value, "kind": targets[value].kind},
            )
        return targets[value]

    @property
    def address(self) -> str:
        """Where the target is, without any credential; what a person needs to find it."""
        return self.name

    def facts(self) -> dict[str, str]:
        """
        What a remediation command may name of this target.

        Secrets may be among it: where a command is rendered, they become the references they came from.
        """
        return {}

    def named(self, name: str) -> Self:
        """The same target under its name in the policy."""
        return self.model_copy(update={"name": name})


class HttpTarget(Target, kind="http"):
    """An HTTP or HTTPS API."""

    base_url: SecretStr
    """Where paths start, such as https://api.example.com."""
    headers: dict[str, SecretStr] = {}
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


class PrometheusTarget(HttpTarget, kind="prometheus"):
    """
    A Prometheus, or what answers its query API: Thanos, Mimir, VictoriaMetrics.

    It is an HTTP API too, so that what is expected of one can be expected of it: `/-/healthy`, a latency.
    """

    base_url: SecretStr
    """Where /api/v1/query is below, such as https://prometheus.example.com; with its path prefix, where it has one."""


class BackupTarget(Target):
    """Where a tool that makes backups runs, or is told of: a cluster, or a machine."""


class KubernetesTarget(BackupTarget, kind="kubernetes"):
    """A Kubernetes cluster, reached as kubectl reaches it: kubeconfig, or the pod's own service account."""

    namespace: str = "default"
    """The namespace that expectations look at where they name none."""
    context: str | None = None
    """The kubeconfig context that must be used; the current one by default."""
    server: str | None = None
    """The API server that must be found there, such as https://prod.example.com:6443; another one is refused."""
    kubeconfig: str | None = None
    """The kubeconfig file; $KUBECONFIG or ~/.kube/config by default, else the pod's service account."""

    @property
    def address(self) -> str:
        """Context and namespace."""
        return f"{self.context or 'current context'}, namespace {self.namespace}"

    def facts(self) -> dict[str, str]:
        """Its `namespace`, and the `context` where the policy names one."""
        return {"namespace": self.namespace} | ({"context": self.context} if self.context else {})


class PostgresTarget(Target, kind="postgres"):
    """A PostgreSQL database. One connection serves the whole run, and one more each database that is visited."""

    dsn: SecretStr
    """A libpq connection string or URL."""
    concurrency: PositiveCount = Field(default=2, le=4)
    """
    How many databases are visited at the same time, each over one connection of its own.

    In each, one question is asked after the other: opscheck must not be the one that fills the connections.
    """
    scratch: bool = False
    """
    True says that a restore drill may make databases on this server, and drop them again.

    The database that `dsn` names must have `scratch` in its name, and nothing in it.
    """

    @property
    def address(self) -> str:
        """Host, port and database."""
        return without_credentials(self.dsn.get_secret_value())

    def facts(self) -> dict[str, str]:
        """Its `dsn`, so that a command reaches the server as opscheck did."""
        return {"dsn": self.dsn.get_secret_value()}


class PgbouncerTarget(Target, kind="pgbouncer"):
    """A PgBouncer, by its console. One connection serves the whole run."""

    dsn: SecretStr
    """A libpq connection string or URL that names the database `pgbouncer`, for one of its `stats_users`."""
    concurrency: PositiveCount = Field(default=1, le=1)
    """Always one question at a time."""

    @property
    def address(self) -> str:
        """Host, port and the console's name."""
        return without_credentials(self.dsn.get_secret_value())

    def facts(self) -> dict[str, str]:
        """Its `dsn`, so that a command reaches the console as opscheck did."""
        return {"dsn": self.dsn.get_secret_value()}


class RedisTarget(Target, kind="redis"):
    """A Redis or Valkey server, or the servers of one set or cluster, each of which is asked and judged."""

    url: SecretStr
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
    ca_file: str | None = None
    """PEM file of the authorities to trust instead of the system's."""
    client_certificate: str | None = None
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


class HostTarget(BackupTarget, kind="host"):
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


class StoreTarget(Target):
    """A place where backups are kept: a bucket, or a folder."""


class S3Target(StoreTarget, kind="s3"):
    """A bucket in S3 or a store that speaks its protocol; credentials come the way boto3 finds them."""

    bucket: str
    """The bucket's name."""
    endpoint_url: str | None = None
    """Where the store is, when it is not AWS; AWS_ENDPOINT_URL by default."""
    region: str | None = None
    """The store's region."""
    profile: str | None = None
    """The profile of the AWS configuration files; the default one, or AWS_PROFILE, where none is named."""
    path_style: bool | None = None
    """True asks for `endpoint/bucket/key`, false for `bucket.endpoint/key`; boto3 chooses by default."""
    ca_file: str | None = None
    """PEM file of the authorities to trust instead of the system's."""

    @property
    def address(self) -> str:
        """The bucket as a URL."""
        return f"s3://{self.bucket}"

    def facts(self) -> dict[str, str]:
        """Its `bucket`, its `store` as a URL, and the `endpoint_url` where the policy names one."""
        named = {"bucket": self.bucket, "store": self.address}
        return named | ({"endpoint_url": self.endpoint_url} if self.endpoint_url else {})


class FolderTarget(StoreTarget, kind="folder"):
    """A folder of the machine that opscheck runs on, or one that is mounted there."""

    path: str
    """The folder, as an absolute path."""

    @property
    def address(self) -> str:
        """Its path."""
        return self.path

    def facts(self) -> dict[str, str]:
        """Its path, as `store` too."""
        return {"path": self.path, "store": self.path}

    @field_validator("path")
    @classmethod
    def _absolute(cls, path: str) -> str:
        if not path.startswith("/") and not _REFERENCE.match(path):
            raise PydanticCustomError("path_not_absolute", "an absolute path, such as /mnt/backups")
        return path


def without_credentials(url: str) -> str:
    """
    A URL or libpq string without user, password and query; only scheme, host, port and path are left.

    A reference to a variable that is not set, which `opscheck explain` leaves standing, is given back as it is.
    """
    if _REFERENCE.fullmatch(url):
        return url
    parts = _URL.fullmatch(url)
    if parts is None:
        words = ((name, value.strip("'")) for name, value in _LIBPQ_WORD.findall(url))
        return " ".join(f"{name}={_database(value)}" for name, value in words if name in {"host", "port", "dbname"})
    scheme, authority, rest = parts.groups()
    if any(_USER_AND_PASSWORD.fullmatch(part) for part in authority.split(",")):  # libpq takes several hosts
        # The password has a `/` or `?` that is not encoded, and the host is in what looks like a path.
        authority, rest = "", rest.rpartition("@")[2]
    return f"{scheme}://{authority.rpartition('@')[2]}{re.split('[?#]', rest)[0]}"


def _database(name: str) -> str:
    # libpq takes a whole connection string as the name of a database.
    return without_credentials(name) if "=" in name or "://" in name else name
