"""tls.certificate from the policy to the exit code, and certificates and keys in every output."""

import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.servers.interpreters import Interpreter
from tests.servers.tls import DAY, Chain, issued, tls_server


@pytest.fixture(name="chain", scope="module")
def _chain() -> Chain:
    return Chain.made()


@pytest.fixture(name="run")
def _run(interpreter: Interpreter):
    """`opscheck run` in a folder."""

    def run(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
        return interpreter("opscheck", "run", "-p", "policy.yaml", *options, cwd=folder)

    return run


def write(folder: Path, *expectations: dict) -> None:
    entries = [{"check": "tls.certificate", "ca_file": "ca.pem", **one} for one in expectations]
    policy = {"version": 1, "environment": "test", "expectations": entries}
    (folder / "policy.yaml").write_text(yaml.safe_dump(policy))


def results(folder: Path) -> dict[str, dict]:
    return {one["id"]: one for one in json.loads((folder / "run.json").read_text())["results"]}


@pytest.fixture(name="world")
def _world(chain, tmp_path):
    """Three servers, a policy for them and for one that is not there; and a client certificate."""
    chain.root.write(tmp_path / "ca.pem", key=False)
    client = chain.leaf("opscheck", client=True)
    client.write(tmp_path / "client.pem", chain.middle)
    leaf = chain.leaf("127.0.0.1")
    ended = issued("127.0.0.1", ends=-DAY)
    with tls_server(leaf, chain.middle) as good, tls_server(ended) as bad:
        write(
            tmp_path,
            {"id": "good", "endpoint": f"127.0.0.1:{good}", "client_certificate": "client.pem"},
            {"id": "bad", "endpoint": f"127.0.0.1:{bad}", "remaining": {"P3": "30d", "P1": "7d", "P0": "1d"}},
            {"id": "down", "endpoint": "127.0.0.1:1"},
        )
        yield tmp_path, [client, leaf, ended, chain.root, chain.middle]


def test_run_and_snapshot_distinguish_good_bad_and_down(world, run):
    folder, _ = world

    live = run(folder, "--json", "run.json", "--save", "snapshot.json")
    told = results(folder)
    again = run(folder, "--json", "run.json", "--from", "snapshot.json")
    judged_again = results(folder)

    self_signed, ended = told["bad"]["findings"]
    verdicts = {"good": "passed", "bad": "violated", "down": "unknown"}
    assert verdicts == {name: one["verdict"] for name, one in told.items()}
    assert verdicts == {name: one["verdict"] for name, one in judged_again.items()}
    assert (1, 1) == (live.returncode, again.returncode)
    assert self_signed["observed"].startswith("self-signed")
    assert ended["observed"].startswith("ended 1d")
    assert any("certbot" in command for command in ended["remediation"]["commands"])
    assert "connection refused by 127.0.0.1:1" in live.stdout


def test_private_key_is_in_no_output(world, run):
    folder, issued_here = world
    done = run(folder, "--json", "run.json", "--save", "snapshot.json", "--junit", "run.xml", "--state", "state.db")

    outputs = [(folder / name).read_bytes() for name in ("run.json", "snapshot.json", "run.xml")]
    outputs += [done.stdout.encode(), done.stderr.encode()]
    secrets = {line for one in issued_here for line in re.findall(rb"[A-Za-z0-9+/=]{30,}", one.key_pem)}
    assert 5 < len(secrets)
    assert all(len(output) > 100 for output in outputs[:4])
    assert [] == [line for line in secrets for output in outputs if line in output]
    assert [] == [output for output in outputs if b"PRIVATE" in output]


@pytest.mark.parametrize("option", ["explain", "validate", "permissions"])
def test_offline_commands_accept_the_policy(world, option, interpreter):
    folder, _ = world
    words = {"explain": ["bad", "-p", "policy.yaml"]}.get(option, ["policy.yaml"])
    done = interpreter("opscheck", option, *words, cwd=folder)

    assert (0, "") == (done.returncode, done.stderr)


def test_policy_error_has_its_position(tmp_path, run):
    write(tmp_path, {"id": "a", "endpoint": "api.example.com"}, {"id": "b", "endpoint": "x:1", "starttls": "smpt"})

    done = run(tmp_path)

    assert 4 == done.returncode
    assert "host:port, such as api.example.com:443" in done.stdout + done.stderr
    assert "smtp" in done.stdout + done.stderr
