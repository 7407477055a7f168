"""Which modules a command loads: what it does not need would cost every user time."""

import json
import os
import subprocess
import sys

import pytest

from opscheck.bundle import bundled

DAILY = str(bundled("policies") / "daily.yaml")
VARIABLES = {
    "API_URL": "http://127.0.0.1:1",
    "API_TOKEN": "0123456789",
    "API_ENDPOINT": "127.0.0.1:1",
    "DATABASE_URL": "postgresql://user:0123456789@127.0.0.1:1/db",
    "REDIS_URL": "redis://127.0.0.1:1",
}
CLIENTS = {"boto3", "botocore", "httpcore", "kubernetes", "psycopg", "redis", "testinfra", "urllib3"}
PROBES = {"isal", "lz4", "cryptography", "asyncio"}
MODELS = {"pydantic", "yaml", "msgspec"}
SYSTEMS = {"opscheck.systems.redis.ping", "opscheck.systems.kubernetes.pods", "opscheck.systems.postgres.connections"}

HTTP_POLICY = """
version: 1
environment: test
targets: {api: {kind: http, base_url: "http://127.0.0.1:1"}}
expectations:
  - {id: health, check: http.response, target: api, path: /, status: 200, severity: P1}
"""


def loaded(*words: str) -> set[str]:
    """The modules that `opscheck` has loaded at the end of a command."""
    code = (
        "import json, sys; from opscheck.cli import exit_code; code = exit_code(sys.argv[1:]);"
        "print(json.dumps([code, sorted(sys.modules)]), file=sys.stderr)"
    )
    environ = {**os.environ, **VARIABLES}
    done = subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, check=True, timeout=60, env=environ
    )
    _, modules = json.loads(done.stderr.splitlines()[-1])
    return set(modules)


@pytest.mark.parametrize(
    ("words", "forbidden"),
    [
        (("--help",), {"pytest", "difflib", *MODELS, *CLIENTS, *PROBES, *SYSTEMS}),
        (("--version",), {"pytest", "difflib", *MODELS, *CLIENTS, *PROBES, *SYSTEMS}),
        (("validate", DAILY), {"pytest", "_pytest", "packaging", *CLIENTS, *PROBES}),
        (("list", DAILY), {"pytest", "_pytest", "packaging", *CLIENTS, *PROBES}),
        (("explain", "pods", "-p", DAILY), {"pytest", "_pytest", "packaging", *CLIENTS, *PROBES}),
        (("permissions", DAILY), {"pytest", "_pytest", "packaging", *CLIENTS, *PROBES}),
        (("schema",), {"pytest", "_pytest", *CLIENTS, *PROBES}),
    ],
    ids=["help", "version", "validate", "list", "explain", "permissions", "schema"],
)
def test_command_loads_no_more_than_it_needs(words, forbidden):
    assert loaded(*words) & forbidden == set()


def test_run_of_one_system_loads_no_other(tmp_path):
    policy = tmp_path / "policy.yaml"
    policy.write_text(HTTP_POLICY)
    modules = loaded("run", "-p", str(policy))

    assert (
        modules & ((CLIENTS - {"httpcore"}) | {"isal", "lz4", "cryptography", "packaging.requirements", *SYSTEMS})
        == set()
    )
    assert {name.split(".")[2] for name in modules if name.startswith("opscheck.systems.") and name.count(".") > 2} == {
        "http"
    }
