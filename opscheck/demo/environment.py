"""The embedded environment: a real server of every system that daily.yaml checks."""

import os
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self, TypeVar

from opscheck.demo import certificates, cluster, history, mounts
from opscheck.demo.api import DemoApi
from opscheck.demo.backup_jobs import EVERY
from opscheck.demo.backups import Backup, Backups
from opscheck.demo.bucket import secure
from opscheck.demo.certificates import Authority
from opscheck.demo.faults import FAULTS, fault
from opscheck.demo.kubernetes import KubernetesApi, World
from opscheck.demo.postgres import PostgreSQL
from opscheck.demo.redis import Redis
from opscheck.demo.s3 import S3
from opscheck.demo.serving import Tls
from opscheck.transport.processes import folder

__all__ = ["FAULTS", "Environment"]

# Next to the data folder: the demo has no other machine for the archive.
_ARCHIVE_COMMAND = "mkdir -p ../archive && test ! -f ../archive/%f && cp %p ../archive/%f"


class _Closable(Protocol):
    def close(self) -> None: ...


Server = TypeVar("Server", bound=_Closable)


class Environment:
    """
    Started by `with`. After it no process, port or folder remains, also after an exception.

    progress: called with one line for each part that runs. postgres_version: 16 or 18.
    `variables` are the environment variables of `policies/daily.yaml` and `policies/recovery.yaml`.
    Raises ServerFailed.
    """

    api: DemoApi
    kubernetes: KubernetesApi
    postgres: PostgreSQL
    redis: Redis
    s3: S3
    backups: Backups
    authority: Authority
    api_tls: Tls

    def __init__(
        self, progress: Callable[[str], None] = lambda _line: None, *, postgres_version: int | None = None
    ) -> None:
        self._progress = progress
        self._postgres_version = postgres_version
        self._open = ExitStack()
        self._speaking = threading.Lock()
        self.variables: Mapping[str, str] = {}

    @property
    def world(self) -> World:
        """The cluster's state."""
        return self.kubernetes.world

    @property
    def processes(self) -> Mapping[str, int]:
        """The servers that run as programs, and their process ids."""
        found = {"PostgreSQL": self.postgres.pid, "redis-server": self.redis.pid, "S3": self.s3.pid}
        return {name: pid for name, pid in found.items() if pid is not None}

    def break_(self, name: str) -> None:
        """Cause one of FAULTS. Returns when it has an effect. Raises ValueError for an unknown fault."""
        fault(name).break_(self)

    def repair(self, name: str) -> None:
        """Repair the fault that `break_` caused."""
        fault(name).repair(self)

    def close(self) -> None:
        """Stop everything, the last started first. May be called twice."""
        self._open.close()

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _start(self) -> None:
        self._started = datetime.now(UTC).replace(microsecond=0)
        # Leaving the pool waits for its threads, so that every started server is registered and can be closed.
        with ThreadPoolExecutor(max_workers=4) as pool:
            starting = [
                pool.submit(start)
                for start in (self._start_s3, self._start_postgres, self._start_redis, self._start_apis)
            ]
            for started in as_completed(starting):
                started.result()
        self._start_backups()
        self.variables = self._variables()

    def _start_s3(self) -> None:
        self.s3 = self._keep(S3())
        secure(self.s3)
        self._say("S3", self.s3.port)

    def _start_postgres(self) -> None:
        self.postgres = self._keep(
            PostgreSQL(
                self._postgres_version,
                archive_mode="on",
                fsync="on",  # as a server should have it; tests have none
                archive_command=_ARCHIVE_COMMAND,
                archive_timeout="60",  # else a segment of a quiet server is archived when it is full
            )
        )
        self._dumps = history.a_week(self.postgres, self._started)
        self._say(f"PostgreSQL {self.postgres.version}", self.postgres.port)

    def _start_redis(self) -> None:
        self.redis = self._keep(Redis())
        self._say(f"Redis {self.redis.version}", self.redis.port)

    def _start_apis(self) -> None:
        self.authority = Authority()
        self.kubernetes = self._keep(KubernetesApi(cluster.build(self._started), tls=self.authority.tls()))
        self._keep(cluster.MetricsServer(self.world))
        self._say(f"Kubernetes API {self.world.version}", self.kubernetes.port)
        self.api_tls = self.authority.tls()
        self.api = self._keep(DemoApi(tls=self.api_tls))
        self._say("HTTPS API", self.api.port)

    def _start_backups(self) -> None:
        made = [*self._dumps, *history.configurations(self.world, self._started)]
        self.backups = self._keep(Backups(self.s3, made, another=self._back_up, every=EVERY))
        shipped = history.shipped_logs(self._started)
        self._keep(Backups(self.s3, shipped, another=_ship_log, every=history.LOGS_SHIPPED_EVERY))

    def _back_up(self) -> Backup:
        return history.go_on(self.postgres, self.world, cluster.NAMESPACE)

    def _keep(self, server: Server) -> Server:
        self._open.callback(server.close)
        return server

    def _say(self, name: str, port: int) -> None:
        with self._speaking:
            self._progress(f"{name} on 127.0.0.1:{port}")

    def _variables(self) -> dict[str, str]:
        home = self._keep(_Home()).path
        past = os.environ.get("no_proxy") or os.environ.get("NO_PROXY")
        around_proxies = ",".join(filter(None, (past, "127.0.0.1", "localhost")))
        return {
            "API_URL": self.api.url,
            "API_ENDPOINT": f"127.0.0.1:{self.api.port}",
            "API_TOKEN": self.api.token,
            "DATABASE_URL": self.postgres.dsn(),
            "REDIS_URL": self.redis.url,
            "KUBECONFIG": str(self.kubernetes.kubeconfig(home / "kubeconfig", namespace=cluster.NAMESPACE)),
            "NAMESPACE": cluster.NAMESPACE,
            "APPLICATION": cluster.APPLICATION,
            **self.s3.variables,
            "BACKUP_BUCKET": self.s3.bucket,
            "SSL_CERT_FILE": str(certificates.write_bundle(home / "authorities.pem", self.authority.certificate)),
            "DATABASE_HOST": "local://",
            "DATABASE_MOUNT": mounts.roomiest_mount(),
            "NO_PROXY": around_proxies,
            "no_proxy": around_proxies,
        }


def _ship_log() -> Backup:
    return history.ship_log(datetime.now(UTC).replace(microsecond=0))


class _Home:
    """The folder of the environment's own files."""

    def __init__(self) -> None:
        self._folder = folder()
        self.path = Path(self._folder.name)

    def close(self) -> None:
        self._folder.cleanup()
