"""What `pip install opscheck` brings is enough for HTTP, TLS and host checks; other systems name their extra."""

import json
import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, distribution, packages_distributions

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from opscheck.core.registry import Registry
from opscheck.demo.serving import LoopbackServer, Response
from tests.servers.tls import Chain, tls_server

# Hides every package that the main package's own requirements do not bring.
PRELUDE = """
import importlib.abc, json, sys

class Hidden(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in HIDDEN:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

*words, hidden = sys.argv[1:]
HIDDEN = set(json.loads(hidden))
sys.meta_path.insert(0, Hidden())
from opscheck.cli import exit_code
sys.exit(exit_code(words))
"""


def closure(name: str) -> set[str]:
    """The distributions that installing this one without extras brings."""
    found: set[str] = set()
    ahead = [name]
    while ahead:
        one = canonicalize_name(ahead.pop())
        try:
            needed = map(Requirement, distribution(one).requires or ())
        except PackageNotFoundError:  # not for this platform
            continue
        found.add(one)
        here = [each.name for each in needed if each.marker is None or each.marker.evaluate({"extra": ""})]
        ahead += [each for each in here if canonicalize_name(each) not in found]
    return found


@pytest.fixture(name="opscheck", scope="module")
def _opscheck():
    base = closure("opscheck")
    owners = packages_distributions()
    hidden = [
        module
        for module, names in owners.items()
        if module != "coverage" and base.isdisjoint(canonicalize_name(name) for name in names)
    ]
    assert {"psycopg", "redis", "kubernetes", "boto3", "urllib3", "isal", "lz4"} <= set(hidden)

    def run(*words: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", PRELUDE, *map(str, words), json.dumps(hidden)]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    return run


@pytest.fixture(name="base", scope="module")
def _base(tmp_path_factory):
    """A policy with an HTTP, a TLS and a host expectation, all of which hold."""
    folder = tmp_path_factory.mktemp("base")
    chain = Chain.made()
    ca = folder / "ca.pem"
    chain.root.write(ca, key=False)
    with (
        LoopbackServer(lambda exchange: exchange.send(Response(body=b"{}"))) as api,
        tls_server(chain.leaf("127.0.0.1"), chain.middle) as port,
    ):
        certificate = {
            "id": "tls",
            "check": "tls.certificate",
            "endpoint": f"127.0.0.1:{port}",
            "ca_file": str(folder / "ca.pem"),
        }
        policy = {
            "version": 1,
            "environment": "test",
            "targets": {"api": {"kind": "http", "base_url": api.url}, "machine": {"kind": "host", "uri": "local://"}},
            "expectations": [
                {"id": "api", "check": "http.response", "target": "api", "path": "/", "severity": "P1"},
                certificate | {"remaining": {"P1": "1h"}, "severity": "P1"},
                {"id": "disk", "check": "host.disk", "target": "machine", "mount": "/", "free": {"P1": "1B"}},
            ],
        }
        (folder / "policy.yaml").write_text(yaml.safe_dump(policy))
        yield folder / "policy.yaml"


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (("validate", "{}"), "3 expectations"),
        (("list", "{}"), "host.disk"),
        (("explain", "tls", "-p", "{}"), "tls.certificate"),
        (("permissions", "{}"), "api (http): nothing to grant"),
        (("schema",), "kubernetes.cronjobs"),
        (("run", "-p", "{}"), "3 passed"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_command_works_on_the_base_packages(opscheck, base, command, said):
    done = opscheck(*(word.format(base) for word in command))

    assert (0, "") == (done.returncode, done.stderr), done.stdout
    assert said in done.stdout


TARGETS = {
    "cluster": ({"kind": "kubernetes"}, "opscheck[kubernetes]"),
    "database": ({"kind": "postgres", "dsn": "host=db"}, "opscheck[postgres]"),
    "pool": ({"kind": "pgbouncer", "dsn": "host=db"}, "opscheck[pgbouncer]"),
    "cache": ({"kind": "redis", "url": "redis://cache"}, "opscheck[redis]"),
    "bucket": ({"kind": "s3", "bucket": "backups"}, "opscheck[s3]"),
}
CONTENT = {
    "id": "content",
    "check": "backup.content",
    "target": "folder",
    "names": "shop-%Y%m%d.dump",
    "depth": "whole",
    "severity": "P1",
}


@pytest.fixture(name="policy")
def _policy(tmp_path):
    """A policy with a target of every kind that needs an extra, and a check that does."""
    targets = {name: target for name, (target, _) in TARGETS.items()}
    targets["folder"] = {"kind": "folder", "path": str(tmp_path)}
    policy = {"version": 1, "environment": "test", "targets": targets, "expectations": [CONTENT]}
    (tmp_path / "policy.yaml").write_text(yaml.safe_dump(policy))
    return tmp_path / "policy.yaml"


def test_target_without_its_client_library_names_the_extra(opscheck, policy):
    done = opscheck("run", "-p", policy)

    assert done.returncode == 4, done.stdout + done.stderr
    for _, extra in TARGETS.values():
        assert f"pip install '{extra}'" in done.stderr
    assert "queries of backup.content need the Python packages isal, lz4" in done.stderr
    assert "pip install 'opscheck[backup]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_policy_is_described_without_its_client_libraries(opscheck, policy):
    done = opscheck("explain", "content", "-p", policy)

    assert (done.returncode, done.stderr) == (0, "")


def test_every_extra_of_a_descriptor_is_one_of_the_package():
    systems = Registry.bundled().systems.values()
    clients = [kind.client for one in systems for kind in one.kinds.values() if kind.client]
    clients += [client for one in systems for client in one.clients.values()]
    extras = set(distribution("opscheck").metadata.get_all("Provides-Extra"))

    assert clients
    for client in clients:
        (extra,) = re.findall(r"^opscheck\[(\w+)\]$", client.install)
        assert extra in extras


def test_all_brings_every_client_library():
    metadata = distribution("opscheck").metadata

    def brought(extra: str) -> set[str]:
        wanted = map(Requirement, metadata.get_all("Requires-Dist"))
        return {one.name for one in wanted if one.marker and one.marker.evaluate({"extra": extra})}

    others = set(metadata.get_all("Provides-Extra")) - {"all", "demo", "drill", "xdist"}
    assert brought("all") == set().union(*map(brought, others))
    assert {"boto3", "kubernetes", "psycopg", "redis", "isal"} < brought("all")
