"""A stranger's system as its users have it: two wheels in a fresh environment, and a real memcached."""

import json
import os
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.servers.cache import NotThere
from tests.servers.debian import find_debian
from tests.servers.fetching import is_required

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "opscheck-memcached"
POLICY = """\
version: 1
environment: test
uses: ["opscheck-memcached>=0.1"]
targets:
  cache: {{kind: memcached, host: 127.0.0.1, port: {port}}}
expectations:
  - {{id: memory, check: memcached.memory, target: cache, used: {{P1: 90%}}, evictions: {{P2: 10}}, interval: 1s}}
  - {{id: connections, check: memcached.connections, target: cache, used: {{P1: 80%}}}}
"""


@pytest.fixture(name="installed", scope="module")
def _installed(tmp_path_factory):
    """The programs of a fresh environment with both wheels in it, and what the example's tests need."""
    wheels = tmp_path_factory.mktemp("wheels")
    folder = tmp_path_factory.mktemp("fresh") / "venv"
    uv = Path(sys.executable).with_name("uv")
    for source in (ROOT, EXAMPLE):
        build = [sys.executable, "-m", "build", "--wheel", "--installer", "uv", "--outdir", str(wheels), str(source)]
        subprocess.run(build, check=True, capture_output=True, text=True, timeout=240)
    found = [f"{wheel}[xdist]" if wheel.name.startswith("opscheck-") else str(wheel) for wheel in wheels.glob("*.whl")]
    fetch = ["pip", "install", "--python", str(folder), "-c", str(ROOT / "constraints.txt"), *found]
    for words in (["venv", str(folder), "--python", sys.executable], fetch):
        subprocess.run([uv, *words], check=True, capture_output=True, text=True, timeout=240)
    return folder / "bin"


@pytest.fixture(name="memcached_program", scope="module")
def _memcached_program():
    """Debian's memcached."""
    try:
        return find_debian("memcached") / "bin" / "memcached"
    except NotThere as why:
        if is_required():
            raise
        pytest.skip(str(why))


@contextmanager
def running(program, port):
    user = ["-u", "root"] if os.getuid() == 0 else []
    with subprocess.Popen([program, "-l", "127.0.0.1", "-p", str(port), "-U", "0", *user]) as process:
        try:
            for _ in range(200):
                with socket.socket() as contact:
                    if contact.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.05)
            yield process
        finally:
            process.terminate()


@pytest.fixture(name="world")
def _world(installed, memcached_program, tmp_path):
    """A policy and its server, and `opscheck` in the fresh environment."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    (tmp_path / "policy.yaml").write_text(POLICY.format(port=port))

    def run(*words, program="opscheck"):
        environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
        return subprocess.run(
            [installed / program, *words],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    with running(memcached_program, port) as process:
        yield run, process, tmp_path


def test_commands_describe_the_system_like_a_bundled_one(world):
    run, _, _ = world

    for words, said in {
        ("validate", "policy.yaml"): "2 expectations, no errors",
        ("list", "policy.yaml"): "Items fit in the cache's memory.",
        ("explain", "memory", "-p", "policy.yaml"): "stats, answered within 5s, kept in the state file",
        ("permissions", "policy.yaml"): "# cache (memcached)\n# in the file of `memcached -Y FILE`",
        ("schema", "--uses", "opscheck-memcached"): "Share of the memory limit that items take.",
    }.items():
        done = run(*words)
        assert (0, "") == (done.returncode, done.stderr), done.stdout
        assert said in done.stdout


def test_run_passes_and_its_record_has_the_version(world):
    run, _, folder = world
    words = ("run", "-p", "policy.yaml", "--json", "run.json", "--state", "state.json")

    first = run(*words)
    time.sleep(1.1)
    second = run(*words)

    assert 20 == first.returncode, first.stdout + first.stderr  # there is nothing to compare evictions with
    assert 0 == second.returncode, second.stdout + second.stderr
    assert "RESULT: PASSED (exit 0): 2 passed in " in second.stdout
    record = json.loads((folder / "run.json").read_text())
    assert record["policy"]["uses"] == [{"name": "opscheck-memcached", "version": "0.1.0"}]


def test_stopped_server_is_a_violation(world):
    run, process, _ = world
    process.terminate()
    process.wait()

    done = run("run", "-p", "policy.yaml")

    assert 1 == done.returncode, done.stdout + done.stderr
    assert "connection refused" in done.stdout
    assert "systemctl status memcached" in done.stdout
    assert "RESULT: FAILED (exit 1): 1 violated, 1 unknown in " in done.stdout


def test_full_connections_are_a_violation_also_from_a_snapshot(world):
    run, process, folder = world
    text = (folder / "policy.yaml").read_text()
    (folder / "strict.yaml").write_text(text.replace("used: {P1: 80%}", "used: {P1: 0.01%}"))

    done = run("run", "-p", "strict.yaml", "--only", "connections", "--save", "snapshot.json")
    process.terminate()
    process.wait()
    again = run("run", "-p", "strict.yaml", "--only", "connections", "--from", "snapshot.json")

    assert (1, 1) == (done.returncode, again.returncode), again.stdout + again.stderr
    for each in (done, again):
        assert "stats conns" in each.stdout


def test_workers_and_options_of_pytest_work(world):
    run, _, _ = world

    parallel = run("-q", "-n", "2", "--policy=policy.yaml", "-k", "connections or memory", program="pytest")
    chosen = run("-q", "--policy=policy.yaml", "-k", "connections", program="pytest")

    assert "1 failed, 1 passed" in parallel.stdout  # evictions need --state
    assert 20 == parallel.returncode, parallel.stdout + parallel.stderr
    assert 0 == chosen.returncode, chosen.stdout + chosen.stderr
    assert "1 passed" in chosen.stdout
    assert "uses opscheck-memcached 0.1.0" in run("--policy=policy.yaml", "-k", "connections", program="pytest").stdout


def test_its_own_tests_pass(installed, memcached_program):
    done = subprocess.run(
        [installed / "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=EXAMPLE,
        env=os.environ | {"OPSCHECK_MEMCACHED": str(memcached_program)},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )

    assert 0 == done.returncode, done.stdout + done.stderr
    assert "skipped" not in done.stdout
