"""The bundled systems hold to the contract that `opscheck.testing` has for everybody's."""

import tempfile
from functools import cache
from pathlib import Path
from typing import cast

import pytest

from opscheck import (
    HostTarget,
    HttpTarget,
    KubernetesTarget,
    PgbouncerTarget,
    PostgresTarget,
    PrometheusTarget,
    RedisTarget,
    S3Target,
)
from opscheck.bundle import bundled
from opscheck.core.registry import Registry
from opscheck.policy.draft import read_policy
from opscheck.systems.backup.jobs import BackupJobs
from opscheck.systems.postgres.query import PostgresQuery
from opscheck.systems.tls.files import TlsFiles
from opscheck.systems.tls.target import Endpoint
from opscheck.testing import expect
from opscheck.testing.contract import SECRET, SystemContract
from tests.policy.conftest import TODAY

REGISTRY = Registry.bundled()
POSTGRES = PostgresTarget(kind="postgres", dsn="host=db")
KUBECONFIG = """\
apiVersion: v1
kind: Config
current-context: test
clusters: [{{name: test, cluster: {{server: "http://127.0.0.1:{port}"}}}}]
contexts: [{{name: test, context: {{cluster: test, user: test}}}}]
users: [{{name: test, user: {{token: {secret}}}}}]
"""


@cache
def samples():
    """What the bundled policies expect, and of checks that none of them has, one made here; by check."""
    policies = [read_policy(path, keep_unset=True) for path in sorted(bundled("policies").glob("*.yaml"))]
    found = [one for draft in policies if draft.check_names() for one in draft.finish(today=TODAY).expectations]
    cluster = KubernetesTarget(kind="kubernetes", namespace="shop")
    found += [
        expect(BackupJobs, cluster, tool="cronjob", age={"P1": "26h"}),
        expect(PostgresQuery, POSTGRES, sql="SELECT 1", at_least={"P1": 1}),
        expect(TlsFiles, HostTarget(kind="host", uri="local://"), paths=["/etc/tls/*.pem"], remaining={"P1": "7d"}),
    ]
    return found


def expectations_of(name):
    """One of each check of the system."""
    found = {}
    for one in samples():
        if one.check.partition(".")[0] == name:
            found.setdefault(one.check, one)
    return tuple(found.values())


@pytest.fixture(name="environment", scope="session", autouse=True)
def _environment():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "opscheck")
        patch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
        yield


@cache
def kubeconfig(port):
    """The name of a file with a token, for a cluster on this port."""
    path = Path(tempfile.mkdtemp(prefix="opscheck-contract-")) / "config"
    path.write_text(KUBECONFIG.format(port=port, secret=SECRET))
    return str(path)


HEADERS = {"Authorization": f"Bearer {SECRET}"}
TARGETS = {
    "http": lambda port: HttpTarget(kind="http", base_url=f"http://127.0.0.1:{port}", headers=HEADERS),
    "prometheus": lambda port: PrometheusTarget(
        kind="prometheus", base_url=f"http://127.0.0.1:{port}", headers=HEADERS
    ),
    "kubernetes": lambda port: KubernetesTarget(kind="kubernetes", kubeconfig=kubeconfig(port)),
    "pgbouncer": lambda port: PgbouncerTarget(kind="pgbouncer", dsn=f"postgresql://app:{SECRET}@127.0.0.1:{port}/x"),
    "postgres": lambda port: PostgresTarget(kind="postgres", dsn=f"postgresql://app:{SECRET}@127.0.0.1:{port}/shop"),
    "redis": lambda port: RedisTarget(kind="redis", url=f"redis://app:{SECRET}@127.0.0.1:{port}"),
    "stores": lambda port: S3Target(kind="s3", bucket="backups", endpoint_url=f"http://127.0.0.1:{port}"),
    "tls": lambda port: Endpoint.parse(f"127.0.0.1:{port}"),
}


def contract(name):
    """The contract of one bundled system."""

    class Held(SystemContract):
        system = REGISTRY.systems[name]
        expectations = expectations_of(name)

        @classmethod
        def targets(cls, port):
            return [TARGETS[name](port)] if name in TARGETS else []

    Held.__name__ = Held.__qualname__ = f"Test{name.title()}"
    return cast("type", Held)


TestBackup = contract("backup")
TestHost = contract("host")
TestHttp = contract("http")
TestKubernetes = contract("kubernetes")
TestPgbouncer = contract("pgbouncer")
TestPostgres = contract("postgres")
TestPrometheus = contract("prometheus")
TestRecovery = contract("recovery")
TestRedis = contract("redis")
TestStores = contract("stores")
TestTls = contract("tls")


def test_every_bundled_system_is_held_to_the_contract():
    assert set(REGISTRY.systems) == {name.removeprefix("Test").lower() for name in globals() if name.startswith("Test")}
